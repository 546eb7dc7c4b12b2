/* SPDX-License-Identifier: MIT */
/*
 * Description: a socket that one set had before another could take it.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <unistd.h>

/* A second set of the same thread that is waited on already. */
static int other_set(struct fix *f)
{
	int ep = MUST(epoll_create1(0));

	set_add(ep, f->lfd, EPOLLIN);
	CHECK_EV(set_next(ep, f->lfd, 0), 0);
	return ep;
}

/* Accepted by the kernel, blocking: not for a channel. */
static void accept_blocking(struct fix *f)
{
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	net_nonblock(f->fd, false);
}

static void both_report(struct fix *f, int ep)
{
	char buf[8];

	for (int i = 0; i < 3; i++) {
		peer_write(f->peer, "hello", 5);
		CHECK_EV(set_next(ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(recv(f->fd, buf, 2, 0), 2);
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
		CHECK_EV(set_next(ep, f->fd, 0), EPOLLIN);
		CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
		CHECK_EV(set_next(ep, f->fd, 0), 0);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	}
}

static void t_blocking_then_not(struct fix *f)
{
	int ep = other_set(f);

	accept_blocking(f);
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	net_nonblock(f->fd, true);
	set_add(ep, f->fd, EPOLLIN);
	both_report(f, ep);
	MUST(close(ep));
}

/* Out of one, into another, and back. */
static void t_leaves(struct fix *f)
{
	int ep = other_set(f);
	char buf[8];

	accept_blocking(f);
	set_add(f->ep, f->fd, EPOLLIN);
	net_nonblock(f->fd, true);
	set_add(ep, f->fd, EPOLLIN);
	set_del(f->ep, f->fd);
	peer_write(f->peer, "one", 3);
	CHECK_EV(set_next(ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	both_report(f, ep);
	set_del(f->ep, f->fd);
	set_del(ep, f->fd);
	set_add(f->ep, f->fd, EPOLLIN);
	set_add(ep, f->fd, EPOLLIN);
	both_report(f, ep);
	MUST(close(ep));
}

/* The number is another socket's after the close. */
static void t_number_again(struct fix *f)
{
	int fd, ep = other_set(f);

	accept_blocking(f);
	fd = f->fd;
	set_add(f->ep, fd, EPOLLIN);
	MUST(close(fd));
	MUST(close(f->peer));
	f->fd = server_accept(f, &f->peer, EPOLLIN);
	set_add(ep, f->fd, EPOLLIN);
	both_report(f, ep);
	MUST(close(ep));
}

static const struct net_case cases[] = {
	{ "blocking in one, not so in the next", t_blocking_then_not,
	  BOTH | NOCONN },
	{ "leaves a set and comes back", t_leaves, BOTH | NOCONN },
	{ "its number is used again", t_number_again, BOTH | NOCONN },
};

NET_MAIN(cases)
