/* SPDX-License-Identifier: MIT */
/*
 * Description: a stream that is read in parts of 8 KiB, as servers read bodies.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PART 8192
#define STREAM (1 << 20)

/* It fits into the first window of a connection. */
#define WHOLE 32768

struct stream {
	struct fix *f;
	char buf[PART];
	uint64_t hash;
	size_t got;
	bool eof;
};

struct writer {
	int fd;
	size_t len;
};

/* Random sizes up to 64 KiB. */
static void *write_all(void *arg)
{
	struct writer *w = arg;
	static __thread char buf[1 << 16];
	unsigned int seed = 11;
	size_t at = 0;

	while (at < w->len) {
		size_t part = (rand_r(&seed) & 0xffff) + 1;

		if (part > w->len - at)
			part = w->len - at;
		bytes_fill(buf, part, at);
		peer_write(w->fd, buf, part);
		at += part;
	}
	MUST(shutdown(w->fd, SHUT_WR));
	return NULL;
}

/* One part; false when there was less than that. */
static bool read_part(struct stream *s)
{
	ssize_t n = recv(s->f->fd, s->buf, PART, 0);

	if (n < 0) {
		CHECK_EQ(errno, EAGAIN);
		return false;
	}
	s->hash = bytes_hash(s->hash, s->buf, n);
	s->got += n;
	s->eof |= n == 0;
	return n == PART;
}

static int waiting(int fd)
{
	int n;

	MUST(ioctl(fd, FIONREAD, &n));
	return n;
}

/* How long a loop reads after one event. */
static void until_short(struct stream *s)
{
	while (read_part(s))
		;
}

static void one_part(struct stream *s)
{
	read_part(s);
}

/* Asks how much there is, and reads that: what comes meanwhile is told. */
static void what_there_was(struct stream *s)
{
	int left;

	if (!read_part(s))
		return;
	left = waiting(s->f->fd);
	while (left > 0 && read_part(s))
		left -= PART;
}

static void run_stream(struct fix *f, uint32_t events,
		       void (*turn)(struct stream *))
{
	struct stream s = { .f = f, .hash = HASH_START };
	struct writer w = { f->peer, STREAM };
	pthread_t thread;

	set_mod(f->ep, f->fd, events);
	thread = thread_start(write_all, &w);
	while (!s.eof) {
		uint32_t told = set_next(f->ep, f->fd, WAIT_MS);

		CHECK_EV(told & EPOLLIN, EPOLLIN);
		turn(&s);
		/* The end is told once, and may be behind a short read. */
		if (told & EPOLLRDHUP && events & EPOLLET)
			while (!s.eof)
				read_part(&s);
	}
	thread_join(thread);
	CHECK_EQ(s.got, STREAM);
	CHECK_EQ(s.hash, bytes_stream_hash(STREAM));
}

static void t_short(struct fix *f)
{
	run_stream(f, EPOLLIN | EPOLLRDHUP | EPOLLET, until_short);
}

static void t_available(struct fix *f)
{
	run_stream(f, EPOLLIN | EPOLLRDHUP | EPOLLET, what_there_was);
}

static void t_level(struct fix *f)
{
	run_stream(f, EPOLLIN | EPOLLRDHUP, one_part);
}

/* All bytes of the first WHOLE are read, and some parts of the next. */
static void begin(struct fix *f, struct stream *s, int parts)
{
	static char bytes[WHOLE];
	int i;

	*s = (struct stream){ .f = f, .hash = HASH_START };
	for (i = 0; i < 2; i++) {
		bytes_fill(bytes, WHOLE, s->got);
		peer_write(f->peer, bytes, WHOLE);
		while (s->got < WHOLE * (i + 1u) && !(i && !parts--)) {
			if (!i)
				set_wait(f->ep, f->fd, EPOLLIN);
			else
				CHECK(set_next(f->ep, f->fd, 0) & EPOLLIN);
			read_part(s);
		}
	}
}

static void t_counted(struct fix *f)
{
	struct stream s;
	int parts;

	for (parts = 0; parts < 4; parts++) {
		begin(f, &s, parts);
		CHECK_EQ(waiting(f->fd), WHOLE - parts * PART);
		while (s.got < 2 * WHOLE)
			read_part(&s);
		CHECK_EQ(s.hash, bytes_stream_hash(2 * WHOLE));
		CHECK_EQ(waiting(f->fd), 0);
	}
}

static void t_peeked(struct fix *f)
{
	static char all[WHOLE], want[WHOLE];
	struct stream s;

	begin(f, &s, 2);
	CHECK_EQ(recv(f->fd, all, sizeof(all), MSG_PEEK), WHOLE - 2 * PART);
	bytes_fill(want, WHOLE, WHOLE + 2 * PART);
	CHECK_MEM(all, want, WHOLE - 2 * PART);
	while (s.got < 2 * WHOLE)
		read_part(&s);
	CHECK_EQ(s.hash, bytes_stream_hash(2 * WHOLE));
	CHECK_ERRNO(recv(f->fd, all, 1, MSG_PEEK), EAGAIN);
}

/* What came before is unread: an edge all the same. */
static void t_more(struct fix *f)
{
	struct stream s;
	char byte;
	int i;

	begin(f, &s, 2);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	while (set_next(f->ep, f->fd, 0))
		;
	for (i = 0; i < 3; i++) {
		bytes_fill(&byte, 1, 2 * WHOLE + i);
		peer_write(f->peer, &byte, 1);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	}
	until_short(&s);
	CHECK_EQ(s.got, 2 * WHOLE + 3);
	CHECK_EQ(s.hash, bytes_stream_hash(2 * WHOLE + 3));
}

static void t_end(struct fix *f)
{
	struct stream s;

	begin(f, &s, 2);
	MUST(shutdown(f->peer, SHUT_WR));
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_until(f->ep, f->fd, EPOLLIN | EPOLLRDHUP),
		 EPOLLIN | EPOLLRDHUP);
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN | EPOLLRDHUP | EPOLLHUP);
	until_short(&s);
	CHECK_EQ(s.got, 2 * WHOLE);
	while (!s.eof)
		read_part(&s);
	CHECK_EQ(s.hash, bytes_stream_hash(2 * WHOLE));
}

static void t_reset(struct fix *f)
{
	struct stream s;

	begin(f, &s, 2);
	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLERR);
	while (s.got < 2 * WHOLE)
		if (!read_part(&s))
			break;
	CHECK_EQ(s.got, 2 * WHOLE);
	CHECK_ERRNO(recv(f->fd, s.buf, PART, 0), ECONNRESET);
}

static void t_closed(struct fix *f)
{
	struct stream s;
	char byte;

	begin(f, &s, 2);
	MUST(close(f->fd));
	f->fd = -1;
	set_next(f->ep, f->lfd, 0);
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
}

static const struct net_case cases[] = {
	{ "edges, read until a short read", t_short, BOTH },
	{ "edges, read as much as there was", t_available, BOTH },
	{ "levels, one part an event", t_level, BOTH },
	{ "FIONREAD between the parts", t_counted, BOTH },
	{ "MSG_PEEK between the parts", t_peeked, BOTH },
	{ "more comes while parts are unread: an edge", t_more, BOTH },
	{ "the end comes while parts are unread", t_end, BOTH },
	{ "a reset comes while parts are unread", t_reset, BOTH },
	{ "closed with unread parts: a reset", t_closed, BOTH },
};

NET_MAIN(cases)
