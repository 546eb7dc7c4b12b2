/* SPDX-License-Identifier: MIT */
/*
 * Description: TCP_CORK and TCP_NODELAY: values, and no byte held for ever.
 */
#include "../lib/net.h"

#include <netinet/tcp.h>
#include <unistd.h>

static void set(int fd, int option, int value)
{
	MUST(setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)));
}

static int get(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	MUST(getsockopt(fd, IPPROTO_TCP, option, &value, &len));
	CHECK_EQ(len, sizeof(value));
	return value;
}

static void t_values(struct fix *f)
{
	static const int options[] = { TCP_NODELAY, TCP_CORK };

	CHECK_EQ(get(f->fd, TCP_NODELAY), 0);
	CHECK_EQ(get(f->fd, TCP_CORK), 0);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		set(f->fd, options[i], 1);
		CHECK_EQ(get(f->fd, options[i]), 1);
		set(f->fd, options[i], 0);
		CHECK_EQ(get(f->fd, options[i]), 0);
	}
}

static void t_uncork(struct fix *f)
{
	for (int i = 0; i < 5; i++) {
		set(f->fd, TCP_CORK, 1);
		CHECK_EQ(send(f->fd, "head", 4, 0), 4);
		CHECK_EQ(send(f->fd, "body", 4, 0), 4);
		set(f->fd, TCP_CORK, 0);
		peer_expect(f->peer, "headbody");
	}
}

/* While corked a part of a segment waits, for 200 ms at the most. */
static void t_corked_waits(struct fix *f)
{
	char byte;

	set(f->fd, TCP_CORK, 1);
	CHECK_EQ(send(f->fd, "part", 4, 0), 4);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_ERRNO(recv(f->peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
	peer_expect(f->peer, "part");
}

/* TCP_NODELAY set while corked pushes what is there. */
static void t_nodelay_pushes(struct fix *f)
{
	long long start = tap_now_ms();

	set(f->fd, TCP_CORK, 1);
	CHECK_EQ(send(f->fd, "part", 4, 0), 4);
	set(f->fd, TCP_NODELAY, 1);
	peer_expect(f->peer, "part");
	CHECK(tap_now_ms() - start < 1000);
}

static void t_corked_close(struct fix *f)
{
	set(f->fd, TCP_CORK, 1);
	CHECK_EQ(send(f->fd, "last", 4, 0), 4);
	MUST(close(f->fd));
	f->fd = -1;
	peer_expect(f->peer, "last");
	peer_eof(f->peer);
}

/* With TCP_NODELAY nothing waits for an acknowledgement. */
static void t_nodelay(struct fix *f)
{
	char buf[4];

	set(f->fd, TCP_NODELAY, 1);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(send(f->fd, "a", 1, 0), 1);
		CHECK_EQ(send(f->fd, "b", 1, 0), 1);
		peer_read(f->peer, buf, 2);
		CHECK_MEM(buf, "ab", 2);
	}
}

static void t_corked_large(struct fix *f)
{
	static char buf[1 << 16];
	struct peer_reader r;
	size_t sent;

	peer_reader_start(&r, f->peer, false);
	set(f->fd, TCP_CORK, 1);
	for (sent = 0; sent < 1 << 20; sent += sizeof(buf)) {
		bytes_fill(buf, sizeof(buf), sent);
		server_write(f->ep, f->fd, buf, sizeof(buf));
	}
	bytes_fill(buf, 7, sent);
	server_write(f->ep, f->fd, buf, 7);
	set(f->fd, TCP_CORK, 0);
	MUST(shutdown(f->fd, SHUT_WR));
	peer_reader_expect(&r, sent + 7);
}

static const struct net_case cases[] = {
	{ "values read back", t_values, BOTH },
	{ "uncorking sends", t_uncork, BOTH },
	{ "corked bytes wait, and go", t_corked_waits, BOTH },
	{ "TCP_NODELAY pushes corked bytes", t_nodelay_pushes, BOTH },
	{ "close() sends corked bytes", t_corked_close, BOTH },
	{ "TCP_NODELAY, 50 pairs", t_nodelay, BOTH },
	{ "1 MiB corked", t_corked_large, BOTH },
};

NET_MAIN(cases)
