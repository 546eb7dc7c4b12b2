/* SPDX-License-Identifier: MIT */
/*
 * Description: timeouts of epoll_wait, with a live connection in the set.
 */
#include "../lib/net.h"

#include <sys/syscall.h>
#include <unistd.h>

/* Never early; late by at most what a loaded machine may need. */
static void timed(struct fix *f, int ms)
{
	struct epoll_event ev;
	long long start = tap_now_us(), took;

	CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, ms)), 0);
	took = tap_now_us() - start;
	CHECK(took >= ms * 1000LL);
	CHECK(took < ms * 1000LL + 1000000);
}

static void t_zero(struct fix *f)
{
	timed(f, 0);
	timed(f, 0);
}

static void t_one(struct fix *f)
{
	for (int i = 0; i < 10; i++)
		timed(f, 1);
}

static void t_fifty(struct fix *f)
{
	timed(f, 50);
	timed(f, 50);
}

/* An event before the end returns at once. */
static void t_early(struct fix *f)
{
	struct epoll_event ev;
	long long start;

	peer_write(f->peer, "x", 1);
	start = tap_now_ms();
	CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, WAIT_MS)), 1);
	CHECK(tap_now_ms() - start < WAIT_MS / 2);
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

static void sleep_and_wake(struct fix *f, int fd, int poke_fd, int ms)
{
	struct poke p = { .tid = syscall(SYS_gettid), .fd = poke_fd };
	pthread_t thread = thread_start(poke_when_asleep, &p);
	struct epoll_event ev;

	CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, ms)), 1);
	CHECK_EQ(ev.data.fd, fd);
	thread_join(thread);
}

static void t_forever_pipe(struct fix *f)
{
	int ends[2];

	MUST(pipe(ends));
	set_add(f->ep, ends[0], EPOLLIN);
	sleep_and_wake(f, ends[0], ends[1], -1);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static void t_forever_data(struct fix *f)
{
	sleep_and_wake(f, f->fd, f->peer, -1);
}

static void t_bounded_data(struct fix *f)
{
	long long start = tap_now_ms();

	sleep_and_wake(f, f->fd, f->peer, WAIT_MS);
	CHECK(tap_now_ms() - start < WAIT_MS / 2);
}

/* An empty set sleeps as well. */
static void t_empty(struct fix *f)
{
	f->ep = MUST(epoll_create1(0));
	timed(f, 0);
	timed(f, 20);
}

static const struct net_case cases[] = {
	{ "0 returns at once", t_zero, BOTH },
	{ "1 ms", t_one, BOTH },
	{ "50 ms", t_fifty, BOTH },
	{ "an event ends a long wait", t_early, BOTH },
	{ "-1, woken by a pipe from another thread", t_forever_pipe, BOTH },
	{ "-1, woken by data from another thread", t_forever_data, BOTH },
	{ "5 s, woken by data at once", t_bounded_data, BOTH },
	{ "an empty set", t_empty, BARE },
};

NET_MAIN(cases)
