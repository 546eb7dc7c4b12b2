/* SPDX-License-Identifier: MIT */
/*
 * Description: one thread waits, another one reads a stream, and is slow.
 */
#include "../lib/net.h"

#include <poll.h>
#include <semaphore.h>

/* More than the kernel takes for one that does not read. */
#define STREAM (16 << 20)

struct reader {
	struct fix *f;
	sem_t told;
	size_t part, got;
	uint64_t hash;
	_Atomic bool eof;
};

/* Until the writer can't go on. */
static void let_it_fill(struct fix *f)
{
	struct pollfd p = { .fd = f->peer, .events = POLLOUT };

	while (MUST(poll(&p, 1, 20)))
		CHECK_EQ(p.revents, POLLOUT);
}

static void read_some(struct reader *r)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(r->f->fd, buf, r->part, 0)) > 0) {
		r->hash = bytes_hash(r->hash, buf, n);
		r->got += n;
	}
	if (n < 0)
		CHECK_EQ(errno, EAGAIN);
	r->eof = n == 0;
}

static void *read_all(void *arg)
{
	struct reader *r = arg;

	while (!r->eof) {
		while (sem_wait(&r->told))
			;
		read_some(r);
	}
	return NULL;
}

static void *write_all(void *arg)
{
	static char buf[STREAM];
	int fd = *(int *)arg;

	bytes_fill(buf, STREAM, 0);
	peer_write(fd, buf, STREAM);
	MUST(shutdown(fd, SHUT_WR));
	return NULL;
}

/* The thread that waits has nothing to do but to tell the other. */
static void run(struct fix *f, size_t part)
{
	struct reader r = { .f = f, .part = part, .hash = HASH_START };
	pthread_t reader, writer;
	bool ended = false;

	MUST(sem_init(&r.told, 0, 0));
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
	writer = thread_start(write_all, &f->peer);
	let_it_fill(f);
	reader = thread_start(read_all, &r);
	while (!ended) {
		struct epoll_event ev;

		CHECK_EQ(epoll_wait(f->ep, &ev, 1, WAIT_MS), 1);
		ended = ev.events & EPOLLRDHUP;
		MUST(sem_post(&r.told));
	}
	thread_join(reader);
	thread_join(writer);
	CHECK_EQ(r.got, STREAM);
	CHECK_EQ(r.hash, bytes_stream_hash(STREAM));
	MUST(sem_destroy(&r.told));
}

static void t_small(struct fix *f)
{
	run(f, 1000);
}

static void t_middle(struct fix *f)
{
	run(f, 8192);
}

static void t_large(struct fix *f)
{
	run(f, 65536);
}

static const struct net_case cases[] = {
	{ "in parts of 1,000 bytes", t_small, BOTH },
	{ "in parts of 8 KiB", t_middle, BOTH },
	{ "in parts of 64 KiB", t_large, BOTH },
};

NET_MAIN(cases)
