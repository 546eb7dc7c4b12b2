/* SPDX-License-Identifier: MIT */
/*
 * Description: shutdown() takes its turn behind the bytes written before it.
 */
#include "../lib/net.h"

#include <unistd.h>

static void t_after_send(struct fix *f)
{
	char buf[8];

	CHECK_EQ(send(f->fd, "hello", 5, 0), 5);
	MUST(shutdown(f->fd, SHUT_WR));
	peer_expect(f->peer, "hello");
	peer_eof(f->peer);
	/* The other direction lives. */
	peer_write(f->peer, "still", 5);
	server_read(f->ep, f->fd, buf, 5);
	CHECK_MEM(buf, "still", 5);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
}

static void t_full(struct fix *f)
{
	size_t taken = server_fill(f->fd, 64 << 20);
	struct peer_reader r;
	char byte;

	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	peer_reader_start(&r, f->peer, false);
	peer_reader_expect(&r, taken);
	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
}

static void t_both(struct fix *f)
{
	char byte;

	CHECK_EQ(send(f->fd, "bye", 3, 0), 3);
	MUST(shutdown(f->fd, SHUT_RDWR));
	peer_expect(f->peer, "bye");
	peer_eof(f->peer);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void t_twice(struct fix *f)
{
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_EQ(shutdown(f->fd, SHUT_WR), 0);
	peer_eof(f->peer);
	CHECK_EQ(shutdown(f->fd, SHUT_RD), 0);
	CHECK_EQ(shutdown(f->fd, SHUT_RDWR), 0);
}

static void t_errno(struct fix *f)
{
	int fd, ends[2];

	CHECK_ERRNO(shutdown(f->fd, 3), EINVAL);
	CHECK_ERRNO(shutdown(f->fd, -1), EINVAL);
	CHECK_ERRNO(shutdown(-1, SHUT_WR), EBADF);
	fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(shutdown(fd, SHUT_WR), ENOTCONN);
	MUST(close(fd));
	MUST(pipe(ends));
	CHECK_ERRNO(shutdown(ends[0], SHUT_WR), ENOTSOCK);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* Both have said FIN: the connection is closed, also for shutdown(). */
static void t_after_both_fin(struct fix *f)
{
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	MUST(shutdown(f->fd, SHUT_WR));
	peer_eof(f->peer);
	UNTIL(shutdown(f->fd, SHUT_WR) == -1);
	CHECK_ERRNO(shutdown(f->fd, SHUT_WR), ENOTCONN);
}

static void t_after_reset(struct fix *f)
{
	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLHUP);
	CHECK_ERRNO(shutdown(f->fd, SHUT_WR), ENOTCONN);
	CHECK_ERRNO(shutdown(f->fd, SHUT_RDWR), ENOTCONN);
}

static const struct net_case cases[] = {
	{ "send(), then SHUT_WR: bytes, then EOF", t_after_send, BOTH },
	{ "SHUT_WR behind a full buffer", t_full, BOTH },
	{ "SHUT_RDWR", t_both, BOTH },
	{ "twice", t_twice, BOTH },
	{ "errno", t_errno, BOTH },
	{ "ENOTCONN after both FINs", t_after_both_fin, BOTH },
	{ "ENOTCONN after a reset", t_after_reset, BOTH },
};

NET_MAIN(cases)
