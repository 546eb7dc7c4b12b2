/* SPDX-License-Identifier: MIT */
/*
 * Description: receiving was shut before a set knew the connection.
 */
#include "../lib/net.h"

#include <sys/ioctl.h>
#include <unistd.h>

static void accept_shut(struct fix *f, uint32_t events)
{
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	MUST(shutdown(f->fd, SHUT_RD));
	set_add(f->ep, f->fd, events);
}

/* Bytes that come nevertheless are there, and then the end again. */
static void t_reads(struct fix *f)
{
	char buf[8];
	int n;

	accept_shut(f, EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLRDHUP);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
	peer_write(f->peer, "hello", 5);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLRDHUP);
	MUST(ioctl(f->fd, FIONREAD, &n));
	CHECK_EQ(n, 5);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 5);
	CHECK_MEM(buf, "hello", 5);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
}

static void t_edge(struct fix *f)
{
	accept_shut(f, EPOLLIN | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "hello", 5);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_both(struct fix *f)
{
	accept_shut(f, EPOLLOUT | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT | EPOLLRDHUP);
	server_write(f->ep, f->fd, "bye", 3);
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS),
		 EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	peer_expect(f->peer, "bye");
	peer_eof(f->peer);
}

static const struct net_case cases[] = {
	{ "bytes that come are read", t_reads, BOTH | NOCONN },
	{ "each arrival is told", t_edge, BOTH | NOCONN },
	{ "then sending, too", t_both, BOTH | NOCONN },
};

NET_MAIN(cases)
