/* SPDX-License-Identifier: MIT */
/*
 * Description: shutdown() each way while data is under way both ways.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BULK (300 << 10)

struct feed {
	int fd;
	size_t len;
	bool fin;
};

static void *write_stream(void *arg)
{
	struct feed *w = arg;
	static char buf[16384];

	for (size_t at = 0; at < w->len; at += sizeof(buf)) {
		size_t part = w->len - at < sizeof(buf) ? w->len - at :
							  sizeof(buf);

		bytes_fill(buf, part, at);
		peer_write(w->fd, buf, part);
	}
	if (w->fin)
		MUST(shutdown(w->fd, SHUT_WR));
	return NULL;
}

/* Reads the stream up to EOF. */
static void read_stream(struct fix *f, size_t len)
{
	uint64_t hash = HASH_START;
	char buf[3000];
	size_t got = 0;
	ssize_t n;

	for (;;) {
		n = recv(f->fd, buf, sizeof(buf), 0);
		if (!n)
			break;
		if (n > 0) {
			hash = bytes_hash(hash, buf, n);
			got += n;
			continue;
		}
		CHECK_EQ(errno, EAGAIN);
		set_wait(f->ep, f->fd, EPOLLIN);
	}
	CHECK_EQ(got, len);
	CHECK(hash == bytes_stream_hash(len));
}

/* We say that we are done; the peer sends on for long. */
static void t_ours_first(struct fix *f)
{
	struct feed w = { .fd = f->peer, .len = BULK, .fin = true };
	pthread_t writer;

	CHECK_EQ(send(f->fd, "bye", 3, 0), 3);
	MUST(shutdown(f->fd, SHUT_WR));
	peer_expect(f->peer, "bye");
	peer_eof(f->peer);
	writer = thread_start(write_stream, &w);
	read_stream(f, BULK);
	thread_join(writer);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
}

/* The peer is done; we answer at length. */
static void t_peer_first(struct fix *f)
{
	static char buf[BULK];
	struct peer_reader r;

	bytes_fill(buf, BULK, 0);
	peer_write(f->peer, "question", 8);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 8);
	peer_reader_start(&r, f->peer, true);
	server_write(f->ep, f->fd, buf, BULK);
	MUST(close(f->fd));
	f->fd = -1;
	peer_reader_turn(&r, f->ep);
	peer_reader_expect(&r, BULK);
}

/* Both at once: each reads the other's bytes, then EOF. */
static void t_crossing(struct fix *f)
{
	char buf[8];

	CHECK_EQ(send(f->fd, "ours", 4, 0), 4);
	peer_write(f->peer, "theirs", 6);
	MUST(shutdown(f->peer, SHUT_WR));
	MUST(shutdown(f->fd, SHUT_WR));
	server_read(f->ep, f->fd, buf, 6);
	CHECK_MEM(buf, "theirs", 6);
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	peer_expect(f->peer, "ours");
	peer_eof(f->peer);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLHUP);
}

/* What had come stays readable after SHUT_RD, and then there is an end. */
static void t_shut_rd_unread(struct fix *f)
{
	char buf[8];

	peer_write(f->peer, "before", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(shutdown(f->fd, SHUT_RD));
	CHECK_EQ(recv(f->fd, buf, 8, 0), 6);
	CHECK_MEM(buf, "before", 6);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 0);
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	peer_expect(f->peer, "x");
}

/* Linux lets the peer go on and even delivers it. */
static void t_shut_rd_later(struct fix *f)
{
	char buf[8];

	MUST(shutdown(f->fd, SHUT_RD));
	CHECK_EQ(recv(f->fd, buf, 8, 0), 0);
	peer_write(f->peer, "later", 5);
	UNTIL(recv(f->fd, buf, 8, MSG_PEEK) == 5);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 5);
	CHECK_MEM(buf, "later", 5);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 0);
}

static void t_both_unread(struct fix *f)
{
	char buf[8];

	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(send(f->fd, "last", 4, 0), 4);
	MUST(shutdown(f->fd, SHUT_RDWR));
	peer_expect(f->peer, "last");
	peer_eof(f->peer);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 6);
	CHECK_MEM(buf, "unread", 6);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 0);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
}

/* A large answer, then SHUT_WR at once: not a byte is cut off. */
static void t_large_behind(struct fix *f)
{
	static char buf[BULK];
	struct peer_reader r;
	size_t sent;

	bytes_fill(buf, BULK, 0);
	sent = MUST(send(f->fd, buf, BULK, 0));
	MUST(shutdown(f->fd, SHUT_WR));
	peer_reader_start(&r, f->peer, true);
	peer_reader_turn(&r, f->ep);
	peer_reader_expect(&r, sent);
	peer_write(f->peer, "still open", 10);
	CHECK(set_wait(f->ep, f->fd, EPOLLIN) & EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, 16, 0), 10);
}

static void t_errno(struct fix *f)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	/* Volatile: the compiler would warn of it. */
	volatile int bad = 3;

	CHECK_ERRNO(shutdown(fd, SHUT_RD), ENOTCONN);
	CHECK_ERRNO(shutdown(fd, SHUT_WR), ENOTCONN);
	CHECK_ERRNO(shutdown(fd, SHUT_RDWR), ENOTCONN);
	MUST(close(fd));
	CHECK_ERRNO(shutdown(f->fd, bad), EINVAL);
	CHECK_ERRNO(shutdown(f->fd, -1), EINVAL);
	CHECK_ERRNO(shutdown(f->lfd, bad), EINVAL);
	CHECK_ERRNO(shutdown(f->ep, SHUT_WR), ENOTSOCK);
	CHECK_ERRNO(shutdown(-1, SHUT_WR), EBADF);
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	peer_expect(f->peer, "x");
}

static const struct net_case cases[] = {
	{ "our FIN first, 300 KiB still coming", t_ours_first, BOTH },
	{ "the peer's FIN first, 300 KiB to answer", t_peer_first, BOTH },
	{ "both at once", t_crossing, BOTH },
	{ "SHUT_RD with unread bytes", t_shut_rd_unread, BOTH },
	{ "SHUT_RD, and the peer sends on", t_shut_rd_later, BOTH },
	{ "SHUT_RDWR with unread bytes", t_both_unread, BOTH },
	{ "SHUT_WR behind 300 KiB", t_large_behind, BOTH },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
