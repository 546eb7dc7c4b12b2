/* SPDX-License-Identifier: MIT */
/*
 * Description: bytes written before close() arrive, then EOF, or RST if due.
 */
#include "../lib/net.h"

#include <sys/ioctl.h>
#include <unistd.h>

static void close_server(struct fix *f)
{
	MUST(close(f->fd));
	f->fd = -1;
}

static void t_small(struct fix *f)
{
	CHECK_EQ(send(f->fd, "goodbye", 7, 0), 7);
	close_server(f);
	peer_expect(f->peer, "goodbye");
	peer_eof(f->peer);
}

static void t_many_small(struct fix *f)
{
	struct peer_reader r;
	char buf[64];
	size_t sum = 0;

	for (int i = 0; i < 300; i++) {
		size_t len = i % 60 + 1;

		bytes_fill(buf, len, sum);
		CHECK_EQ(send(f->fd, buf, len, 0), len);
		sum += len;
	}
	close_server(f);
	peer_reader_start(&r, f->peer, false);
	peer_reader_expect(&r, sum);
}

static void t_nothing(struct fix *f)
{
	close_server(f);
	peer_eof(f->peer);
}

static void t_shutdown_close(struct fix *f)
{
	CHECK_EQ(send(f->fd, "one", 3, 0), 3);
	CHECK_EQ(send(f->fd, "two", 3, MSG_MORE), 3);
	MUST(shutdown(f->fd, SHUT_WR));
	close_server(f);
	peer_expect(f->peer, "onetwo");
	peer_eof(f->peer);
}

static void large(struct fix *f, bool slow)
{
	static char buf[1 << 16];
	struct peer_reader r;
	size_t sent;

	peer_reader_start(&r, f->peer, slow);
	for (sent = 0; sent < 4 << 20; sent += sizeof(buf)) {
		bytes_fill(buf, sizeof(buf), sent);
		server_write(f->ep, f->fd, buf, sizeof(buf));
	}
	close_server(f);
	peer_reader_expect(&r, sent);
}

static void t_large(struct fix *f)
{
	large(f, false);
}

static void t_large_slow(struct fix *f)
{
	large(f, true);
}

/* All that was taken before EAGAIN is owed, though we close at once. */
static void t_full(struct fix *f)
{
	size_t taken = server_fill(f->fd, 64 << 20);
	struct peer_reader r;

	close_server(f);
	peer_reader_start(&r, f->peer, false);
	peer_reader_expect(&r, taken);
}

/* Unread bytes at close: the peer gets what was sent, then the RST. */
static void t_unread(struct fix *f)
{
	char byte;

	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(send(f->fd, "reply", 5, 0), 5);
	close_server(f);
	peer_expect(f->peer, "reply");
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
}

static void t_partly_read(struct fix *f)
{
	char byte;

	peer_write(f->peer, "unread", 6);
	server_read(f->ep, f->fd, &byte, 1);
	close_server(f);
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
}

static void t_unseen(struct fix *f)
{
	char byte;

	peer_write(f->peer, "unseen", 6);
	close_server(f);
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
}

/* It is in our kernel, and nobody has looked. */
static void arrived(int peer)
{
	int left;

	do {
		MUST(ioctl(peer, TIOCOUTQ, &left));
	} while (left);
}

/* The reply goes out before the reset, whatever was never read. */
static void t_unseen_reply(struct fix *f)
{
	char byte;

	peer_write(f->peer, "unseen", 6);
	arrived(f->peer);
	CHECK_EQ(send(f->fd, "reply", 5, 0), 5);
	close_server(f);
	peer_expect(f->peer, "reply");
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
}

/* Turned away at the door: a client that spoke first is told why. */
static void t_refusal(struct fix *f)
{
	char byte;

	for (int in_set = 0; in_set < 2; in_set++) {
		f->peer = net_client(&f->addr);
		peer_write(f->peer, "request", 7);
		arrived(f->peer);
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
		f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
		if (in_set)
			set_add(f->ep, f->fd, EPOLLIN);
		CHECK_EQ(send(f->fd, "go away", 7, 0), 7);
		close_server(f);
		set_next(f->ep, -1, 0);
		peer_expect(f->peer, "go away");
		CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
		MUST(close(f->peer));
		f->peer = -1;
	}
}

/* One more comes between the answer and the end. */
static void t_answered_unread(struct fix *f)
{
	char buf[4];

	for (int i = 0; i < 3; i++) {
		peer_write(f->peer, "ping", 4);
		server_read(f->ep, f->fd, buf, 4);
		server_write(f->ep, f->fd, "pong", 4);
		peer_expect(f->peer, "pong");
	}
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "ping", 4);
	arrived(f->peer);
	CHECK_EQ(send(f->fd, "bye!", 4, 0), 4);
	close_server(f);
	peer_expect(f->peer, "bye!");
	CHECK_ERRNO(recv(f->peer, buf, 1, 0), ECONNRESET);
}

/* Read all, with the peer's EOF pending: an orderly end. */
static void t_eof_pending(struct fix *f)
{
	char buf[4];

	peer_write(f->peer, "bye", 3);
	MUST(shutdown(f->peer, SHUT_WR));
	server_read(f->ep, f->fd, buf, 3);
	CHECK_EQ(send(f->fd, "bye", 3, 0), 3);
	close_server(f);
	peer_expect(f->peer, "bye");
	peer_eof(f->peer);
}

/* The same shape as HTTP with one request on each connection. */
static void t_short_lived(struct fix *f)
{
	char buf[8];

	for (int i = 0; i < 50; i++) {
		int peer, fd = server_accept(f, &peer, EPOLLIN);

		peer_write(peer, "req", 3);
		server_read(f->ep, fd, buf, 3);
		CHECK_EQ(send(fd, "response", 8, 0), 8);
		MUST(close(fd));
		peer_expect(peer, "response");
		peer_eof(peer);
		MUST(close(peer));
	}
}

static const struct net_case cases[] = {
	{ "a small reply", t_small, BOTH },
	{ "300 small writes", t_many_small, BOTH },
	{ "nothing written", t_nothing, BOTH },
	{ "shutdown, then close", t_shutdown_close, BOTH },
	{ "4 MiB", t_large, BOTH },
	{ "4 MiB to a slow peer", t_large_slow, BOTH },
	{ "a full buffer", t_full, BOTH },
	{ "unread bytes: reply, then RST", t_unread, BOTH },
	{ "partly read: RST", t_partly_read, BOTH },
	{ "unread and never reported: RST", t_unseen, BOTH },
	{ "a reply to what nobody looked at", t_unseen_reply, BOTH },
	{ "a reply to who spoke before it was accepted", t_refusal,
	  BOTH | NOCONN },
	{ "the last answer, and one more request", t_answered_unread, BOTH },
	{ "the peer's FIN pending: no RST", t_eof_pending, BOTH },
	{ "50 short connections", t_short_lived, BOTH | NOCONN },
};

NET_MAIN(cases)
