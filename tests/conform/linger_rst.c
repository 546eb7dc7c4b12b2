/* SPDX-License-Identifier: MIT */
/*
 * Description: SO_LINGER with a time of 0 makes close() a reset.
 */
#include "../lib/net.h"

#include <unistd.h>

static void set_linger(int fd, int on, int seconds)
{
	struct linger l = { .l_onoff = on, .l_linger = seconds };
	socklen_t len = sizeof(l);

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	l = (struct linger){ 0 };
	MUST(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len));
	CHECK_EQ(l.l_onoff, on);
	CHECK_EQ(l.l_linger, seconds);
}

static void close_server(struct fix *f)
{
	MUST(close(f->fd));
	f->fd = -1;
}

static void t_idle(struct fix *f)
{
	char byte;

	set_linger(f->fd, 1, 0);
	close_server(f);
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
}

/* The peer had the bytes already: it reads them, then the error. */
static void t_after_delivery(struct fix *f)
{
	char buf[8];

	server_write(f->ep, f->fd, "hello", 5);
	CHECK_EQ(recv(f->peer, buf, 5, MSG_PEEK | MSG_WAITALL), 5);
	set_linger(f->fd, 1, 0);
	close_server(f);
	peer_expect(f->peer, "hello");
	CHECK_ERRNO(recv(f->peer, buf, 1, 0), ECONNRESET);
}

/* What the peer's window did not take is thrown away. */
static void t_full(struct fix *f)
{
	static char buf[1 << 16];
	size_t taken, got = 0;
	ssize_t n;

	taken = server_fill(f->fd, 64 << 20);
	set_linger(f->fd, 1, 0);
	close_server(f);
	while ((n = recv(f->peer, buf, sizeof(buf), 0)) > 0)
		got += n;
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, ECONNRESET);
	CHECK(got < taken);
}

static void t_turned_off(struct fix *f)
{
	set_linger(f->fd, 1, 0);
	set_linger(f->fd, 0, 0);
	server_write(f->ep, f->fd, "hello", 5);
	close_server(f);
	peer_expect(f->peer, "hello");
	peer_eof(f->peer);
}

/* A time: close() of a non-blocking socket still ends in order. */
static void t_with_time(struct fix *f)
{
	set_linger(f->fd, 1, 1);
	server_write(f->ep, f->fd, "hello", 5);
	close_server(f);
	peer_expect(f->peer, "hello");
	peer_eof(f->peer);
}

static void t_after_shutdown(struct fix *f)
{
	char byte;

	MUST(shutdown(f->fd, SHUT_WR));
	peer_eof(f->peer);
	set_linger(f->fd, 1, 0);
	close_server(f);
	/* EOF was read; the RST shows in the error of the socket. */
	UNTIL(send(f->peer, "x", 1, MSG_NOSIGNAL) == -1);
	CHECK_EQ(recv(f->peer, &byte, 1, 0), 0);
}

static const struct net_case cases[] = {
	{ "idle: RST", t_idle, BOTH },
	{ "bytes delivered before: read, then RST", t_after_delivery,
	  BOTH },
	{ "a full buffer is thrown away", t_full, BOTH },
	{ "turned off again: orderly", t_turned_off, BOTH },
	{ "a time of 1 s: orderly", t_with_time, BOTH },
	{ "after SHUT_WR", t_after_shutdown, BOTH },
};

NET_MAIN(cases)
