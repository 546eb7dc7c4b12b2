/* SPDX-License-Identifier: MIT */
/*
 * Description: one-shot entries, fired or not, of a set that threads share.
 */
#include "../lib/net.h"

#include <unistd.h>

#define ONCE (EPOLLIN | EPOLLRDHUP | EPOLLONESHOT)

/* A second thread waits on the set: what the first has seen stays seen. */
static uint32_t seen;

static void *looks(void *arg)
{
	struct fix *f = arg;

	seen = set_next(f->ep, f->fd, 0);
	return NULL;
}

static uint32_t other_thread(struct fix *f)
{
	thread_join(thread_start(looks, f));
	return seen;
}

static void t_fired(struct fix *f)
{
	char buf[8];

	set_mod(f->ep, f->fd, ONCE);
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(other_thread(f), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, ONCE);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 6);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, ONCE);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

/* A hang-up, which no entry but a fired one can be without. */
static void t_fired_hung_up(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLOUT | EPOLLONESHOT);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	MUST(shutdown(f->fd, SHUT_WR));
	peer_eof(f->peer);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(-1, f->fd), 0);
	CHECK_EV(other_thread(f), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, EPOLLONESHOT);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_fired_del(struct fix *f)
{
	struct epoll_event ev = { .events = EPOLLIN };

	set_mod(f->ep, f->fd, EPOLLOUT | EPOLLONESHOT);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	CHECK_EV(other_thread(f), 0);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, &ev), EEXIST);
	set_del(f->ep, f->fd);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, f->fd, NULL), ENOENT);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, &ev), ENOENT);
	set_add(f->ep, f->fd, ONCE);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_armed(struct fix *f)
{
	char buf[8];

	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_mod(f->ep, f->fd, ONCE);
	CHECK_EV(other_thread(f), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(recv(f->fd, buf, 3, 0), 3);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, ONCE);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* Read before it is reported: it still waits for what comes. */
static void t_armed_read(struct fix *f)
{
	char buf[8];

	set_mod(f->ep, f->fd, ONCE);
	CHECK_EV(other_thread(f), 0);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 1);
	set_mod(f->ep, f->fd, ONCE);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static const struct net_case cases[] = {
	{ "fired, with bytes unread", t_fired, BOTH },
	{ "fired, then hung up", t_fired_hung_up, BOTH },
	{ "fired, then epoll_ctl", t_fired_del, BOTH },
	{ "armed, with bytes unread", t_armed, BOTH },
	{ "armed", t_armed_read, BOTH },
};

NET_MAIN(cases)
