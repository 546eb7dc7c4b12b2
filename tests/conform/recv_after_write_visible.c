/* SPDX-License-Identifier: MIT */
/*
 * Description: what the peer has sent is there for the next read, with no wait.
 */
#include "../lib/net.h"

#include <sys/ioctl.h>
#include <unistd.h>

/*
 * On loopback send() delivers before it returns (the receive path runs as a
 * softirq on the sender's way out), so after the peer's send() or close() a
 * server may read at once; many programs loop until EAGAIN on that ground.
 * Only the process that sends knows when it sent, so here it is one thread.
 */
static void t_read(struct fix *f)
{
	char buf[16];

	for (int i = 0; i < 100; i++) {
		CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
		peer_write(f->peer, "ping", 4);
		CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 4);
	}
}

static void t_ping_pong(struct fix *f)
{
	char buf[16];

	for (int i = 0; i < 100; i++) {
		peer_write(f->peer, "ping", 4);
		CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 4);
		CHECK_EQ(send(f->fd, "pong", 4, 0), 4);
		peer_expect(f->peer, "pong");
	}
}

static void t_fionread(struct fix *f)
{
	int n = -1;

	CHECK_EQ(MUST(ioctl(f->fd, FIONREAD, &n)), 0);
	CHECK_EQ(n, 0);
	peer_write(f->peer, "abc", 3);
	MUST(ioctl(f->fd, FIONREAD, &n));
	CHECK_EQ(n, 3);
	peer_write(f->peer, "de", 2);
	MUST(ioctl(f->fd, FIONREAD, &n));
	CHECK_EQ(n, 5);
}

static void t_eof(struct fix *f)
{
	char buf[16];

	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
	peer_write(f->peer, "abc", 3);
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
}

static void t_reset(struct fix *f)
{
	char byte;

	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EAGAIN);
	net_reset(f->peer);
	f->peer = -1;
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ECONNRESET);
}

static void t_zero_wait(struct fix *f)
{
	char byte;

	for (int i = 0; i < 100; i++) {
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		peer_write(f->peer, "x", 1);
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	}
}

/* In no set, or with no interest, reading works the same. */
static void t_out_of_set(struct fix *f)
{
	char buf[16];

	set_mod(f->ep, f->fd, 0);
	peer_write(f->peer, "a", 1);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 1);
	set_del(f->ep, f->fd);
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
	peer_write(f->peer, "bc", 2);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 2);
	CHECK_EQ(send(f->fd, "d", 1, 0), 1);
	peer_expect(f->peer, "d");
}

static const struct net_case cases[] = {
	{ "recv() right after the peer's send()", t_read, BOTH },
	{ "ping-pong without epoll_wait", t_ping_pong, BOTH },
	{ "FIONREAD", t_fionread, BOTH },
	{ "data and EOF", t_eof, BOTH },
	{ "reset", t_reset, BOTH },
	{ "epoll_wait(0)", t_zero_wait, BOTH },
	{ "without interest and out of the set", t_out_of_set, BOTH },
};

NET_MAIN(cases)
