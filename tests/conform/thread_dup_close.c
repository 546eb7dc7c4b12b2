/* SPDX-License-Identifier: MIT */
/*
 * Description: a copy outlives the number that a shared set knows.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <unistd.h>

static void *looks(void *arg)
{
	struct fix *f = arg;

	set_next(f->ep, f->lfd, 0);
	return NULL;
}

/* A second thread waits on it as well. */
static void share_set(struct fix *f)
{
	thread_join(thread_start(looks, f));
}

/* The events of the closed number, as long as a copy is open. */
static void nameless(struct fix *f, int old, int copy)
{
	struct epoll_event ev = { .events = EPOLLIN };
	char buf[8];

	CHECK_EV(set_next(f->ep, old, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, copy, NULL), ENOENT);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, copy, &ev), ENOENT);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, old, NULL), EBADF);
	CHECK_EQ(recv(copy, buf, 3, 0), 3);
	CHECK_MEM(buf, "unr", 3);
	CHECK_EV(set_next(f->ep, old, 0), EPOLLIN);
	CHECK_EQ(recv(copy, buf, sizeof(buf), 0), 3);
	CHECK_EV(set_next(f->ep, old, 0), 0);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, old, WAIT_MS), EPOLLIN);
}

static void run(struct fix *f, bool share_first)
{
	int old = f->fd, copy;

	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, old, WAIT_MS), EPOLLIN);
	copy = MUST(fcntl(old, F_DUPFD_CLOEXEC, old + 1));
	if (share_first)
		share_set(f);
	MUST(close(old));
	if (!share_first)
		share_set(f);
	nameless(f, old, copy);
	MUST(close(copy));
	CHECK_EV(set_next(f->ep, old, 0), 0);
	/* Somebody else on that number. */
	MUST(close(f->peer));
	f->fd = server_accept(f, &f->peer, EPOLLIN);
	CHECK_EV(set_next(f->ep, old, 0), 0);
	peer_write(f->peer, "y", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_shared_closed(struct fix *f)
{
	run(f, true);
}

static void t_closed_shared(struct fix *f)
{
	run(f, false);
}

/* Entries of two numbers, with bytes unread. */
static void t_both(struct fix *f)
{
	int old = f->fd, copy = MUST(dup(old));
	char buf[8];

	set_add(f->ep, copy, EPOLLIN);
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, old, WAIT_MS), EPOLLIN);
	share_set(f);
	CHECK_EV(set_next(f->ep, copy, 0), EPOLLIN);
	CHECK_EV(set_next(f->ep, old, 0), EPOLLIN);
	set_del(f->ep, copy);
	CHECK_EV(set_next(f->ep, copy, 0), 0);
	CHECK_EV(set_next(f->ep, old, 0), EPOLLIN);
	set_add(f->ep, copy, EPOLLIN);
	MUST(close(old));
	CHECK_EV(set_next(f->ep, copy, 0), EPOLLIN);
	CHECK_EV(set_next(f->ep, old, 0), EPOLLIN);
	CHECK_EQ(recv(copy, buf, sizeof(buf), 0), 6);
	CHECK_EV(set_next(f->ep, old, 0), 0);
	CHECK_EV(set_next(f->ep, copy, 0), 0);
	f->fd = copy;
}

static const struct net_case cases[] = {
	{ "shared, closed", t_shared_closed, BOTH },
	{ "closed, shared", t_closed_shared, BOTH },
	{ "beside an entry of the copy", t_both, BOTH },
};

NET_MAIN(cases)
