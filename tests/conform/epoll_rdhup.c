/* SPDX-License-Identifier: MIT */
/*
 * Description: EPOLLRDHUP comes only when asked for, with the data before it.
 */
#include "../lib/net.h"

#include <unistd.h>

static void t_unasked(struct fix *f)
{
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_alone(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLRDHUP);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, 20), 0);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLRDHUP);
}

/* nginx: a FIN behind the request must show as RDHUP in the same event. */
static void t_with_data(struct fix *f)
{
	char buf[16];

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "hello", 5);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 5);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_after_data(struct fix *f)
{
	char byte;

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLRDHUP);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

/* The peer closes fully; we may still write: no HUP before our own FIN. */
static void t_close(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN | EPOLLRDHUP);
}

static const struct net_case cases[] = {
	{ "not reported when not asked for", t_unasked, BOTH },
	{ "alone, with data unread", t_alone, BOTH },
	{ "in one event with the data before it", t_with_data, BOTH },
	{ "as its own edge after the data", t_after_data, BOTH },
	{ "peer closes: no HUP", t_close, BOTH },
};

NET_MAIN(cases)
