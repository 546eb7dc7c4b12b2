/* SPDX-License-Identifier: MIT */
/*
 * Description: an echo server under bulk: no byte lost, doubled or moved.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct writer {
	int fd;
	size_t len;
	unsigned int seed;
};

/* The client's sending half: random sizes up to 64 KiB. */
static void *write_all(void *arg)
{
	struct writer *w = arg;
	static __thread char buf[1 << 16];
	size_t at = 0;

	while (at < w->len) {
		size_t part = (rand_r(&w->seed) & 0xffff) + 1;

		if (part > w->len - at)
			part = w->len - at;
		bytes_fill(buf, part, at);
		peer_write(w->fd, buf, part);
		at += part;
	}
	MUST(shutdown(w->fd, SHUT_WR));
	return NULL;
}

struct echo {
	struct fix *f;
	char *buf;
	size_t size, have, sent;
	bool eof, waits_out;
};

/* Read when empty, write what there is; false when it has to wait. */
static bool echo_step(struct echo *e)
{
	ssize_t n;

	if (e->sent == e->have) {
		n = recv(e->f->fd, e->buf, e->size, 0);
		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			return false;
		}
		e->sent = 0;
		e->have = n;
		e->eof = n == 0;
		return !e->eof;
	}
	n = send(e->f->fd, e->buf + e->sent, e->have - e->sent,
		 MSG_NOSIGNAL);
	if (n < 0) {
		CHECK_EQ(errno, EAGAIN);
		return false;
	}
	e->sent += n;
	return true;
}

static void echo_level(struct echo *e)
{
	while (!e->eof) {
		while (echo_step(e))
			;
		bool out = e->sent < e->have;

		if (out != e->waits_out)
			set_mod(e->f->ep, e->f->fd,
			       out ? EPOLLOUT : EPOLLIN);
		e->waits_out = out;
		if (!e->eof)
			set_wait(e->f->ep, e->f->fd,
				out ? EPOLLOUT : EPOLLIN);
	}
}

static void echo_edge(struct echo *e)
{
	set_mod(e->f->ep, e->f->fd,
	       EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	while (!e->eof) {
		while (echo_step(e))
			;
		if (!e->eof)
			CHECK(set_next(e->f->ep, e->f->fd, WAIT_MS) != 0);
	}
}

static void run_echo(struct fix *f, size_t len, size_t size, bool slow,
		     bool edge, bool turn)
{
	struct writer w = { .fd = f->peer, .len = len, .seed = 7 };
	struct echo e = { .f = f, .size = size };
	struct peer_reader r;
	pthread_t writer;

	e.buf = malloc(size);
	CHECK(e.buf != NULL);
	peer_reader_start(&r, f->peer, slow);
	writer = thread_start(write_all, &w);
	if (edge)
		echo_edge(&e);
	else
		echo_level(&e);
	MUST(shutdown(f->fd, SHUT_WR));
	if (turn)
		peer_reader_turn(&r, f->ep);
	thread_join(writer);
	peer_reader_expect(&r, len);
	free(e.buf);
}

static void run(struct fix *f, size_t len, size_t size, bool slow, bool edge)
{
	run_echo(f, len, size, slow, edge, true);
}

/* The last bytes are queued, and the loop does not turn any more. */
static void t_loop_blocks(struct fix *f)
{
	if (tap_preloaded())
		tap_skip("LIMIT: beyond the kernel's buffer output waits for "
			 "the loop");
	run_echo(f, 12 << 20, 1 << 16, true, false, false);
}

static void t_fast(struct fix *f)
{
	run(f, 64 << 20, 1 << 16, false, false);
}

static void t_edge(struct fix *f)
{
	run(f, 32 << 20, 1 << 16, false, true);
}

static void t_slow(struct fix *f)
{
	run(f, 12 << 20, 1 << 16, true, false);
}

static void t_small_buffer(struct fix *f)
{
	run(f, 4 << 20, 700, false, false);
}

static void t_large_buffer(struct fix *f)
{
	run(f, 32 << 20, 1 << 20, false, true);
}

static const struct net_case cases[] = {
	{ "the loop blocks with output left", t_loop_blocks, BOTH },
	{ "64 MiB, level, fast reader", t_fast, WARM },
	{ "32 MiB, edge, fast reader", t_edge, BOTH },
	{ "12 MiB, level, slow reader", t_slow, BOTH },
	{ "4 MiB through 700 bytes", t_small_buffer, BOTH },
	{ "32 MiB through 1 MiB", t_large_buffer, BOTH },
};

NET_MAIN(cases)
