/* SPDX-License-Identifier: MIT */
/*
 * Description: end of file: after the data, for ever, and writing goes on.
 */
#include "../lib/net.h"

#include <unistd.h>

static void t_sticky(struct fix *f)
{
	char byte;

	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
		CHECK_EQ(read(f->fd, &byte, 1), 0);
		CHECK_EQ(recv(f->fd, &byte, 1, MSG_PEEK), 0);
	}
}

static void t_after_data(struct fix *f)
{
	char buf[16];

	peer_write(f->peer, "last words", 10);
	MUST(shutdown(f->peer, SHUT_WR));
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	set_wait(f->ep, f->fd, EPOLLRDHUP);
	/* A recv with room left does not wait for more, nor eat the EOF. */
	CHECK_EQ(recv(f->fd, buf, 4, 0), 4);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 6);
	CHECK_MEM(buf, " words", 6);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
}

static void t_write_on(struct fix *f)
{
	char byte;

	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	for (int i = 0; i < 10; i++) {
		server_write(f->ep, f->fd, "reply", 5);
		peer_expect(f->peer, "reply");
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	}
	MUST(close(f->fd));
	f->fd = -1;
	peer_eof(f->peer);
}

/* Our own FIN first: the peer's data still comes, then its EOF. */
static void t_half_closed(struct fix *f)
{
	char buf[16];

	MUST(shutdown(f->fd, SHUT_WR));
	peer_eof(f->peer);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	for (int i = 0; i < 10; i++) {
		peer_write(f->peer, "more", 4);
		server_read(f->ep, f->fd, buf, 4);
		CHECK_MEM(buf, "more", 4);
		CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
	}
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
}

static void t_big_then_eof(struct fix *f)
{
	static char buf[1 << 16];
	size_t len = 3 * sizeof(buf);

	for (size_t at = 0; at < len; at += sizeof(buf))
		peer_write(f->peer, buf, sizeof(buf));
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EQ(server_drain_eof(f->ep, f->fd), len);
}

/* shutdown(RD): what is there and what still comes can be read. */
static void t_shut_rd(struct fix *f)
{
	char buf[16];

	peer_write(f->peer, "one", 3);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(shutdown(f->fd, SHUT_RD));
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
	peer_write(f->peer, "two", 3);
	UNTIL(recv(f->fd, buf, sizeof(buf), MSG_PEEK) == 3);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
	CHECK_EQ(send(f->fd, "still", 5, 0), 5);
	peer_expect(f->peer, "still");
}

static const struct net_case cases[] = {
	{ "EOF is sticky", t_sticky, BOTH },
	{ "data, then EOF", t_after_data, BOTH },
	{ "writing goes on after the peer's FIN", t_write_on, BOTH },
	{ "reading goes on after our FIN", t_half_closed, BOTH },
	{ "192 KiB and EOF behind it", t_big_then_eof, BOTH },
	{ "shutdown(SHUT_RD)", t_shut_rd, BOTH },
};

NET_MAIN(cases)
