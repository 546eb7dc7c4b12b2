/* SPDX-License-Identifier: MIT */
/*
 * Description: SO_RCVLOWAT: readable only from so many bytes on.
 */
#include "../lib/net.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int readable(int fd)
{
	int n = -1;

	MUST(ioctl(fd, FIONREAD, &n));
	return n;
}

static void set_lowat(int fd, int value)
{
	int got = -1;
	socklen_t len = sizeof(got);

	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)));
	MUST(getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &got, &len));
	CHECK_EQ(got, value ? value : 1);
}

static void arrive(struct fix *f, const char *text, int sum)
{
	peer_write(f->peer, text, strlen(text));
	UNTIL(readable(f->fd) == sum);
}

static void t_level(struct fix *f)
{
	char buf[32];

	set_lowat(f->fd, 10);
	arrive(f, "12345", 5);
	CHECK_EV(set_next(f->ep, f->fd, 5), 0);
	arrive(f, "6789", 9);
	CHECK_EV(set_next(f->ep, f->fd, 5), 0);
	peer_write(f->peer, "0", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	/* recv() itself gives what there is. */
	CHECK_EQ(recv(f->fd, buf, 4, 0), 4);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(recv(f->fd, buf, 32, 0), 6);
	CHECK_MEM(buf, "567890", 6);
}

static void t_edge(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	set_lowat(f->fd, 10);
	arrive(f, "12345", 5);
	CHECK_EV(set_next(f->ep, f->fd, 5), 0);
	arrive(f, "67890", 10);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	arrive(f, "x", 11);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

/* Set while bytes wait: from then on it counts. */
static void t_late(struct fix *f)
{
	char buf[32];

	arrive(f, "12345", 5);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_lowat(f->fd, 10);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "67890", 5);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, 7, 0), 7);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	/* Lowered: what is there is enough. */
	set_lowat(f->fd, 2);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, 32, 0), 3);
	set_lowat(f->fd, 0);
	arrive(f, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

/* An end is an event, whatever is missing. */
static void t_eof(struct fix *f)
{
	set_lowat(f->fd, 10);
	arrive(f, "123", 3);
	CHECK_EV(set_next(f->ep, f->fd, 5), 0);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 3);
}

/* Larger than any read-ahead. */
static void t_large(struct fix *f)
{
	static char buf[120 << 10];
	size_t half = sizeof(buf) / 2, got = 0;

	bytes_fill(buf, sizeof(buf), 0);
	set_lowat(f->fd, sizeof(buf));
	peer_write(f->peer, buf, half);
	UNTIL(readable(f->fd) == (int)half);
	CHECK_EV(set_next(f->ep, f->fd, 5), 0);
	peer_write(f->peer, buf + half, half);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	memset(buf, 0, sizeof(buf));
	while (got < sizeof(buf))
		got += MUST(recv(f->fd, buf + got, sizeof(buf) - got, 0));
	CHECK(bytes_hash(HASH_START, buf, got) == bytes_stream_hash(got));
}

/* Connections have it from their listener. */
static void t_inherited(struct fix *f)
{
	set_lowat(f->lfd, 4);
	for (int i = 0; i < 4; i++) {
		int peer, fd = server_accept(f, &peer, EPOLLIN);

		peer_write(peer, "123", 3);
		UNTIL(readable(fd) == 3);
		CHECK_EV(set_next(f->ep, fd, 5), 0);
		peer_write(peer, "4", 1);
		CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
		MUST(close(fd));
		MUST(close(peer));
	}
}

static const struct net_case cases[] = {
	{ "level", t_level, BOTH },
	{ "edge", t_edge, BOTH },
	{ "set while bytes wait", t_late, BOTH },
	{ "EOF below it", t_eof, BOTH },
	{ "120 KiB", t_large, BOTH },
	{ "inherited from the listener", t_inherited, BOTH | NOCONN },
};

NET_MAIN(cases)
