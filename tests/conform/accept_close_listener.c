/* SPDX-License-Identifier: MIT */
/*
 * Description: closing a listener: the queue is reset, the accepted live on.
 */
#include "../lib/net.h"

#include <unistd.h>

static void expect_reset(int peer)
{
	char byte;

	CHECK_ERRNO(recv(peer, &byte, 1, 0), ECONNRESET);
	MUST(close(peer));
}

static void expect_refused(struct fix *f)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	CHECK_ERRNO(connect(fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), ECONNREFUSED);
	MUST(close(fd));
}

static void close_listener(struct fix *f)
{
	MUST(close(f->lfd));
	f->lfd = -1;
}

static void t_refused(struct fix *f)
{
	close_listener(f);
	expect_refused(f);
}

static void t_queued_is_reset(struct fix *f)
{
	int peers[3];

	for (int i = 0; i < 3; i++)
		peers[i] = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	close_listener(f);
	for (int i = 0; i < 3; i++)
		expect_reset(peers[i]);
	expect_refused(f);
}

static void t_established(struct fix *f)
{
	char buf[8];

	close_listener(f);
	peer_write(f->peer, "ping", 4);
	server_read(f->ep, f->fd, buf, 4);
	server_write(f->ep, f->fd, "pong", 4);
	peer_expect(f->peer, "pong");
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
}

static void t_after_del(struct fix *f)
{
	int peer;

	set_del(f->ep, f->lfd);
	peer = net_client(&f->addr);
	close_listener(f);
	expect_reset(peer);
	expect_refused(f);
}

/* shutdown() stops a listener as well: HUP, and accept says EINVAL. */
static void t_shutdown(struct fix *f)
{
	int peer = net_client(&f->addr);

	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	MUST(shutdown(f->lfd, SHUT_RD));
	expect_reset(peer);
	expect_refused(f);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EINVAL);
	CHECK(set_next(f->ep, f->lfd, WAIT_MS) & EPOLLHUP);
}

static void t_dup_keeps(struct fix *f)
{
	int copy = MUST(dup(f->lfd)), peer;

	close_listener(f);
	peer = net_client(&f->addr);
	f->fd = MUST(accept4(copy, NULL, NULL, SOCK_NONBLOCK));
	MUST(close(f->fd));
	f->fd = -1;
	peer_eof(peer);
	MUST(close(peer));
	MUST(close(copy));
	expect_refused(f);
}

static const struct net_case cases[] = {
	{ "afterwards connect() is refused", t_refused, BOTH | NOCONN },
	{ "the queued are reset", t_queued_is_reset, BOTH | NOCONN },
	{ "the accepted live on", t_established, BOTH },
	{ "DEL, then close", t_after_del, BOTH | NOCONN },
	{ "shutdown() of a listener", t_shutdown, BOTH | NOCONN },
	{ "a dup keeps it open", t_dup_keeps, BOTH | NOCONN },
};

NET_MAIN(cases)
