/* SPDX-License-Identifier: MIT */
/*
 * Description: a set inside a set, and poll() and select() on a set.
 */
#include "../lib/net.h"

#include <poll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

static int polled(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int n = MUST(poll(&pfd, 1, ms));

	return n ? pfd.revents : 0;
}

static void t_level(struct fix *f)
{
	int outer = MUST(epoll_create1(0));
	char byte;

	set_add(outer, f->ep, EPOLLIN);
	CHECK_EV(set_next(outer, f->ep, 0), 0);
	for (int i = 0; i < 3; i++) {
		peer_write(f->peer, "x", 1);
		CHECK_EV(set_next(outer, f->ep, WAIT_MS), EPOLLIN);
		CHECK_EV(set_next(outer, f->ep, 0), EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		CHECK_EV(set_next(outer, f->ep, 0), 0);
	}
	MUST(close(outer));
}

static void t_listener(struct fix *f)
{
	int outer = MUST(epoll_create1(0));

	set_add(outer, f->ep, EPOLLIN);
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(outer, f->ep, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->lfd, 0), EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	CHECK_EV(set_next(outer, f->ep, 0), 0);
	MUST(close(outer));
}

static void t_poll(struct fix *f)
{
	char byte;

	CHECK_EV(polled(f->ep, 0), 0);
	CHECK_EV(polled(f->ep, 10), 0);
	peer_write(f->peer, "x", 1);
	CHECK_EV(polled(f->ep, WAIT_MS), POLLIN);
	CHECK_EV(polled(f->ep, 0), POLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EV(polled(f->ep, 0), 0);
}

static void t_select(struct fix *f)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	fd_set set;

	peer_write(f->peer, "x", 1);
	FD_ZERO(&set);
	FD_SET(f->ep, &set);
	CHECK_EQ(MUST(select(f->ep + 1, &set, NULL, NULL, &tv)), 1);
	CHECK(FD_ISSET(f->ep, &set));
}

struct poke {
	pid_t tid;
	int fd;
};

static void *poke_when_asleep(void *arg)
{
	struct poke *p = arg;

	thread_asleep(p->tid);
	CHECK_EQ(write(p->fd, "x", 1), 1);
	return NULL;
}

static void t_poll_wakes(struct fix *f)
{
	struct poke p = { .tid = syscall(SYS_gettid), .fd = f->peer };
	pthread_t thread = thread_start(poke_when_asleep, &p);

	CHECK_EV(polled(f->ep, WAIT_MS), POLLIN);
	thread_join(thread);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
}

static void t_outer_wakes(struct fix *f)
{
	struct poke p = { .tid = syscall(SYS_gettid), .fd = f->peer };
	int outer = MUST(epoll_create1(0));
	pthread_t thread;

	set_add(outer, f->ep, EPOLLIN);
	thread = thread_start(poke_when_asleep, &p);
	CHECK_EV(set_next(outer, f->ep, WAIT_MS), EPOLLIN);
	thread_join(thread);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	MUST(close(outer));
}

/* A set with members of its own and a nested one: both kinds report. */
static void t_mixed(struct fix *f)
{
	int outer = MUST(epoll_create1(0)), ends[2];

	MUST(pipe(ends));
	set_add(outer, f->ep, EPOLLIN);
	set_add(outer, ends[0], EPOLLIN);
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EV(set_next(outer, ends[0], 0), EPOLLIN);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(outer, f->ep, WAIT_MS), EPOLLIN);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	MUST(close(outer));
}

static void t_loop(struct fix *f)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int outer = MUST(epoll_create1(0));

	set_add(outer, f->ep, EPOLLIN);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, outer, &ev), ELOOP);
	MUST(close(outer));
}

static const struct net_case cases[] = {
	{ "the outer set follows the inner one", t_level, BOTH },
	{ "a listener in the inner set", t_listener, BOTH | NOCONN },
	{ "poll() on a set", t_poll, BOTH },
	{ "select() on a set", t_select, BOTH },
	{ "poll() on a set sleeps and wakes", t_poll_wakes, BOTH },
	{ "the outer wait sleeps and wakes", t_outer_wakes, BOTH },
	{ "an outer set with other members", t_mixed, BOTH },
	{ "a loop of sets: ELOOP", t_loop, BOTH },
};

NET_MAIN(cases)
