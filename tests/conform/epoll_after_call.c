/* SPDX-License-Identifier: MIT */
/*
 * Description: what a call found out is still reported by the next wait.
 */
#include "../lib/net.h"

#include <unistd.h>

/* Bytes and the end behind them, all taken by calls. */
static void read_all(struct fix *f, size_t len)
{
	char buf[8192];
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(f->fd, buf, len - done, 0);

		if (n < 0 && errno == EAGAIN)
			continue;
		CHECK(n > 0);
		done += (size_t)n;
	}
}

/* Until the end or the error is there, which takes a while. */
static ssize_t read_end(struct fix *f)
{
	char byte;
	ssize_t n;

	while ((n = recv(f->fd, &byte, 1, 0)) < 0 && errno == EAGAIN)
		usleep(1000);
	return n;
}

static void t_reset(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLRDHUP);
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	net_reset(f->peer);
	f->peer = -1;
	read_all(f, 6);
	CHECK_ERRNO(read_end(f), ECONNRESET);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLRDHUP | EPOLLHUP);
}

static void t_end(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLRDHUP);
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	MUST(shutdown(f->peer, SHUT_WR));
	read_all(f, 6);
	CHECK_EQ(read_end(f), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLRDHUP);
}

static void t_end_edge(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(shutdown(f->peer, SHUT_WR));
	read_all(f, 6);
	CHECK_EQ(read_end(f), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* The call met the end while a wait was going on in no set. */
static void t_end_out(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLOUT | EPOLLRDHUP | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(read_end(f), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* Much at once goes past the queue: the reset is met by the call itself. */
static ssize_t send_much(struct fix *f)
{
	static char much[65536];
	ssize_t n;

	while ((n = send(f->fd, much, sizeof(much), MSG_NOSIGNAL)) > 0 ||
	       (n < 0 && errno == EAGAIN))
		usleep(1000);
	return n;
}

static void t_send_fails(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	net_reset(f->peer);
	f->peer = -1;
	CHECK_ERRNO(send_much(f), ECONNRESET);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLRDHUP | EPOLLHUP);
}

static const struct net_case cases[] = {
	{ "a reset behind data", t_reset, BOTH },
	{ "the end behind data", t_end, BOTH },
	{ "the end behind data, edge-triggered", t_end_edge, BOTH },
	{ "the end, edge-triggered, for room", t_end_out, BOTH },
	{ "a reset that send() met", t_send_fails, BOTH },
};

NET_MAIN(cases)
