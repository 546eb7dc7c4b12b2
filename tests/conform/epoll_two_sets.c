/* SPDX-License-Identifier: MIT */
/*
 * Description: one connection in two sets of the same thread.
 */
#include "../lib/net.h"

#include <unistd.h>

static int second(struct fix *f, uint32_t events)
{
	int ep = MUST(epoll_create1(0));

	set_add(ep, f->fd, events);
	return ep;
}

static void t_both_report(struct fix *f)
{
	int ep = second(f, EPOLLIN | EPOLLOUT);
	char byte;

	CHECK_EV(set_next(ep, f->fd, 0), EPOLLOUT);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_wait(ep, f->fd, EPOLLIN), EPOLLIN | EPOLLOUT);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EV(set_next(ep, f->fd, 0), EPOLLOUT);
	MUST(close(ep));
}

static void t_edge_and_level(struct fix *f)
{
	int ep = second(f, EPOLLIN | EPOLLET);

	for (int i = 0; i < 3; i++) {
		peer_write(f->peer, "x", 1);
		CHECK_EV(set_next(ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EV(set_next(ep, f->fd, 0), 0);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	}
	MUST(close(ep));
}

static void t_del_one(struct fix *f)
{
	int ep = second(f, EPOLLIN);

	peer_write(f->peer, "x", 1);
	set_del(f->ep, f->fd);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EV(set_next(ep, f->fd, WAIT_MS), EPOLLIN);
	set_add(f->ep, f->fd, EPOLLIN);
	set_del(ep, f->fd);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(ep, f->fd, 0), 0);
	MUST(close(ep));
}

static void t_close_one_set(struct fix *f)
{
	int ep = second(f, EPOLLIN);
	char byte;

	CHECK_EV(set_next(ep, f->fd, 0), 0);
	MUST(close(ep));
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
}

static void t_close_fd(struct fix *f)
{
	struct epoll_event ev;
	int ep = second(f, EPOLLIN | EPOLLOUT);

	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(close(f->fd));
	f->fd = -1;
	CHECK_EQ(MUST(epoll_wait(ep, &ev, 1, 0)), 0);
	CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, 0)), 0);
	MUST(close(ep));
}

static void t_move(struct fix *f)
{
	int ep = MUST(epoll_create1(0));
	char byte;

	for (int i = 0; i < 4; i++) {
		peer_write(f->peer, "x", 1);
		set_del(f->ep, f->fd);
		set_add(ep, f->fd, EPOLLIN);
		CHECK_EV(set_next(ep, f->fd, WAIT_MS), EPOLLIN);
		set_del(ep, f->fd);
		set_add(f->ep, f->fd, EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	}
	MUST(close(ep));
}

static void t_listener(struct fix *f)
{
	int ep = MUST(epoll_create1(0));

	set_add(ep, f->lfd, EPOLLIN);
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	CHECK_EV(set_next(ep, f->lfd, 0), 0);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	MUST(close(ep));
}

static const struct net_case cases[] = {
	{ "both sets report", t_both_report, BOTH },
	{ "edge in one, level in the other", t_edge_and_level, BOTH },
	{ "DEL from one leaves the other", t_del_one, BOTH },
	{ "close of one set leaves the other", t_close_one_set, BOTH },
	{ "close of the connection leaves both", t_close_fd, BOTH },
	{ "moved to and fro with a byte unread", t_move, BOTH },
	{ "a listener in two sets", t_listener, BOTH | NOCONN },
};

NET_MAIN(cases)
