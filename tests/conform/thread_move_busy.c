/* SPDX-License-Identifier: MIT */
/*
 * Description: a connection moves to another thread's set while bytes come.
 *
 * The first thread reads some of the stream, gives the connection to a worker
 * and goes on turning its own loop; the worker reads the rest. Whatever the
 * first thread had under way, no byte is lost, doubled or moved.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <unistd.h>

#define CONNS 60
#define STREAM 30000

struct moved {
	int fd;
	size_t got;
	uint64_t hash;
	uint32_t mode;		/* 0 or EPOLLET */
};

struct worker {
	int ep, mail[2], done[2];
	pthread_t thread;
};

static void *write_stream(void *arg)
{
	int fd = *(int *)arg;
	unsigned int seed = (unsigned int)fd;
	char buf[512];
	size_t at = 0;

	while (at < STREAM) {
		size_t n = (size_t)rand_r(&seed) % sizeof(buf) + 1;

		if (n > STREAM - at)
			n = STREAM - at;
		bytes_fill(buf, n, at);
		peer_write(fd, buf, n);
		at += n;
	}
	MUST(shutdown(fd, SHUT_WR));
	return NULL;
}

/* Reads until it would wait; true at the end of the stream. */
static bool read_some(struct moved *m, size_t most)
{
	char buf[300];

	while (most) {
		size_t want = most < sizeof(buf) ? most : sizeof(buf);
		ssize_t n = recv(m->fd, buf, want, 0);

		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			return false;
		}
		if (!n)
			return true;
		m->hash = bytes_hash(m->hash, buf, (size_t)n);
		m->got += (size_t)n;
		most -= (size_t)n;
	}
	return false;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct moved m;

	while (read(w->mail[0], &m, sizeof(m)) == sizeof(m)) {
		set_add(w->ep, m.fd, EPOLLIN | m.mode);
		do {
			CHECK(set_next(w->ep, m.fd, WAIT_MS) != 0);
		} while (!read_some(&m, SIZE_MAX));
		CHECK_EQ(write(w->done[1], &m, sizeof(m)), sizeof(m));
	}
	return NULL;
}

static void worker_start(struct worker *w)
{
	w->ep = MUST(epoll_create1(0));
	MUST(pipe(w->mail));
	MUST(pipe(w->done));
	net_nonblock(w->done[0], true);
	w->thread = thread_start(work, w);
}

static void worker_stop(struct worker *w)
{
	MUST(close(w->mail[1]));
	thread_join(w->thread);
	MUST(close(w->mail[0]));
	MUST(close(w->done[0]));
	MUST(close(w->done[1]));
	MUST(close(w->ep));
}

static void move_one(struct fix *f, struct worker *w, uint32_t mode)
{
	struct moved m = { .hash = HASH_START, .mode = mode };
	pthread_t writer;
	int peer;

	m.fd = server_accept(f, &peer, EPOLLIN);
	writer = thread_start(write_stream, &peer);
	set_wait(f->ep, m.fd, EPOLLIN);
	CHECK(!read_some(&m, 200));
	set_del(f->ep, m.fd);
	CHECK_EQ(write(w->mail[1], &m, sizeof(m)), sizeof(m));
	/* The first thread's own loop turns meanwhile. */
	while (read(w->done[0], &m, sizeof(m)) != sizeof(m)) {
		CHECK_EQ(errno, EAGAIN);
		set_next(f->ep, -1, 1);
	}
	thread_join(writer);
	CHECK_EQ(m.got, STREAM);
	CHECK(m.hash == bytes_stream_hash(STREAM));
	MUST(close(m.fd));
	MUST(close(peer));
}

static void move(struct fix *f, uint32_t mode)
{
	struct worker w;

	worker_start(&w);
	for (int i = 0; i < CONNS; i++)
		move_one(f, &w, mode);
	worker_stop(&w);
}

static void t_level(struct fix *f)
{
	move(f, 0);
}

static void t_edge(struct fix *f)
{
	move(f, EPOLLET);
}

static const struct net_case cases[] = {
	{ "level", t_level, NOCONN | BOTH },
	{ "edge", t_edge, NOCONN | BOTH },
};

NET_MAIN(cases)
