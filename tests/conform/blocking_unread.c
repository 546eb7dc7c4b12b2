/* SPDX-License-Identifier: MIT */
/*
 * Description: a socket waits in calls for a while, and has unread bytes.
 */
#include "../lib/net.h"

#include <poll.h>
#include <unistd.h>

/* Read ahead of the program, which has taken the first byte. */
static void switch_unread(struct fix *f, uint32_t events)
{
	char byte;

	set_mod(f->ep, f->fd, events);
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	net_nonblock(f->fd, false);
	net_nonblock(f->fd, true);
}

static void read_rest(struct fix *f, const char *text, size_t len)
{
	char buf[64];

	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), len);
	CHECK_MEM(buf, text, len);
}

/* Waits until the set has told this of the socket, alone or with the rest. */
static void told(struct fix *f, uint32_t bit)
{
	long long end = tap_now_ms() + WAIT_MS;
	struct epoll_event ev[8];
	uint32_t all = 0;

	while (!(all & bit)) {
		int n = MUST(epoll_wait(f->ep, ev, 8, 100));

		CHECK(tap_now_ms() < end);
		while (n--)
			all |= ev[n].events;
	}
}

static void t_end(struct fix *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLRDHUP };

	switch_unread(f, EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(shutdown(f->peer, SHUT_WR));
	told(f, EPOLLRDHUP);
	CHECK_EQ(MUST(poll(&p, 1, 0)), 1);
	CHECK_EV(p.revents, POLLRDHUP);
	MUST(shutdown(f->fd, SHUT_WR));
	told(f, EPOLLHUP);
	read_rest(f, "nread", 5);
}

static void t_edges(struct fix *f)
{
	switch_unread(f, EPOLLIN | EPOLLET);
	set_next(f->ep, f->fd, 0);
	peer_write(f->peer, "more", 4);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	read_rest(f, "nreadmore", 9);
	peer_write(f->peer, "z", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	read_rest(f, "z", 1);
}

/* Receiving is shut: what is there and what comes is read in one. */
static void t_shut_rd(struct fix *f)
{
	char byte;

	set_mod(f->ep, f->fd, EPOLLIN);
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(shutdown(f->fd, SHUT_RD));
	peer_write(f->peer, "more", 4);
	CHECK_EQ(recv(f->fd, &byte, 1, MSG_PEEK), 1);
	read_rest(f, "unreadmore", 10);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

static const struct net_case cases[] = {
	{ "the ends behind them are told", t_end, BOTH },
	{ "arrivals behind them are told", t_edges, BOTH },
	{ "the same when receiving is shut", t_shut_rd, BOTH },
};

NET_MAIN(cases)
