/* SPDX-License-Identifier: MIT */
/*
 * Description: edge-triggered events, one for each arrival and no more.
 */
#include "../lib/net.h"

#include <unistd.h>

#define BOTH_WAYS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

static void none(struct fix *f)
{
	for (int i = 0; i < 3; i++)
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_arrivals(struct fix *f)
{
	char buf[16];

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	none(f);
	for (int i = 0; i < 3; i++) {
		/* The earlier bytes are unread: a new edge all the same. */
		peer_write(f->peer, "x", 1);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		none(f);
	}
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
	none(f);
	peer_write(f->peer, "y", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	none(f);
}

static void t_merged(struct fix *f)
{
	char buf[16];

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	peer_write(f->peer, "ab", 2);
	peer_write(f->peer, "cd", 2);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	none(f);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 4);
	CHECK_MEM(buf, "abcd", 4);
	none(f);
}

static void t_partial(struct fix *f)
{
	char byte;

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	peer_write(f->peer, "ab", 2);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	none(f);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	none(f);
}

/* The mask is all that is true, not only what moved. */
static void t_both_ways(struct fix *f)
{
	set_mod(f->ep, f->fd, BOTH_WAYS);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	none(f);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLOUT);
	none(f);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS),
		 EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	none(f);
}

/* A write that fits makes no OUT edge, when it is acknowledged neither. */
static void t_write_quiet(struct fix *f)
{
	set_mod(f->ep, f->fd, BOTH_WAYS);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	CHECK_EQ(send(f->fd, "hello", 5, 0), 5);
	none(f);
	peer_expect(f->peer, "hello");
	none(f);
}

static void t_out_edge(struct fix *f)
{
	static char buf[1 << 16];
	size_t taken, done = 0;

	set_mod(f->ep, f->fd, BOTH_WAYS);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	taken = server_fill(f->fd, 64 << 20);
	/* Bytes may still move into the peer's buffer: edges are allowed. */
	while (set_next(f->ep, f->fd, 0))
		if (send(f->fd, "x", 1, 0) == 1)
			taken++;
	while (done < taken)
		done += MUST(recv(f->peer, buf, sizeof(buf), 0));
	CHECK_EV(set_wait(f->ep, f->fd, EPOLLOUT), EPOLLOUT);
	CHECK_EQ(send(f->fd, "y", 1, 0), 1);
	peer_expect(f->peer, "y");
	while (set_next(f->ep, f->fd, 0))
		;
	none(f);
}

static void t_add_ready(struct fix *f)
{
	set_del(f->ep, f->fd);
	peer_write(f->peer, "x", 1);
	set_add(f->ep, f->fd, BOTH_WAYS);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLOUT);
	none(f);
}

static void t_reset(struct fix *f)
{
	set_mod(f->ep, f->fd, BOTH_WAYS);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	net_reset(f->peer);
	f->peer = -1;
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLOUT |
		 EPOLLRDHUP | EPOLLERR | EPOLLHUP);
	none(f);
}

static void t_listener(struct fix *f)
{
	int a, b, fd;

	set_mod(f->ep, f->lfd, EPOLLIN | EPOLLET);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	a = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	b = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	for (int i = 0; i < 2; i++) {
		fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
		MUST(close(fd));
	}
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EAGAIN);
	MUST(close(a));
	MUST(close(b));
}

static const struct net_case cases[] = {
	{ "one event for each arrival, read or not", t_arrivals, BOTH },
	{ "arrivals between two waits are one event", t_merged, BOTH },
	{ "a partial read makes no event", t_partial, BOTH },
	{ "both directions: the mask is the whole state", t_both_ways, BOTH },
	{ "a write that fits makes no event", t_write_quiet, BOTH },
	{ "OUT edge after EAGAIN when the peer reads", t_out_edge, BOTH },
	{ "ADD reports what is already true, once", t_add_ready, BOTH },
	{ "RST is one event", t_reset, BOTH },
	{ "an edge-triggered listener", t_listener, BOTH | NOCONN },
};

NET_MAIN(cases)
