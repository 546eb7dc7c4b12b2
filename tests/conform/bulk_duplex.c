/* SPDX-License-Identifier: MIT */
/*
 * Description: bulk both ways at once, random sizes, all calls, any reader.
 *
 * MEGAPIPE_TEST_MIB says how much goes each way in a case: 8 here, 200 when
 * there is time.
 */
/* timeout: 300 */
#include "../lib/net.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST (96 << 10)

enum pace { FAST, SLOW, STOPPING };

struct half {
	int fd;
	size_t len, at;
	enum pace pace;
	unsigned int seed;
	uint64_t hash;
	_Atomic bool done;
};

static size_t bulk(void)
{
	const char *text = getenv("MEGAPIPE_TEST_MIB");
	long mib = text ? atol(text) : 8;

	return (size_t)(mib > 0 ? mib : 8) << 20;
}

/* Mostly small, sometimes large. */
static size_t some(struct half *h)
{
	size_t most = rand_r(&h->seed) % 4 ? 4096 : MOST;

	return 1 + (size_t)rand_r(&h->seed) % most;
}

static size_t some_left(struct half *h)
{
	size_t part = some(h);

	return part < h->len - h->at ? part : h->len - h->at;
}

/* --- the peer, blocking, on two threads ------------------------------ */

static void *peer_writes(void *arg)
{
	struct half *h = arg;
	char *buf = malloc(MOST);

	while (h->at < h->len) {
		size_t part = some_left(h);

		bytes_fill(buf, part, h->at);
		peer_write(h->fd, buf, part);
		h->at += part;
	}
	MUST(shutdown(h->fd, SHUT_WR));
	free(buf);
	return NULL;
}

static void rest(struct half *h, size_t got)
{
	struct timespec pause = { 0, 200 * 1000 }, stop = { 0, 60000000 };
	size_t before = h->at - got, part = h->len / 4 + 1;

	if (h->pace == SLOW && before >> 18 != h->at >> 18)
		nanosleep(&pause, NULL);
	if (h->pace == STOPPING && before / part != h->at / part)
		nanosleep(&stop, NULL);
}

static void *peer_reads(void *arg)
{
	struct half *h = arg;
	char *buf = malloc(MOST);
	ssize_t n;

	while ((n = MUST(recv(h->fd, buf, some(h), 0))) > 0) {
		h->hash = bytes_hash(h->hash, buf, n);
		h->at += n;
		rest(h, n);
	}
	h->done = true;
	free(buf);
	return NULL;
}

/* --- our side, one loop ---------------------------------------------- */

static ssize_t receive_some(struct half *h, char *buf, size_t size)
{
	struct iovec iov[3] = {
		{ buf, size / 3 }, { buf + size / 3, size / 3 },
		{ buf + size / 3 * 2, size - size / 3 * 2 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	switch (rand_r(&h->seed) % 5) {
	case 0: return read(h->fd, buf, size);
	case 1: return readv(h->fd, iov, 3);
	case 2: return recvmsg(h->fd, &msg, 0);
	case 3: return recvfrom(h->fd, buf, size, 0, NULL, NULL);
	default: return recv(h->fd, buf, size, 0);
	}
}

static ssize_t send_some(struct half *h, char *buf, size_t size)
{
	struct iovec iov[3] = {
		{ buf, size / 3 }, { buf + size / 3, size / 3 },
		{ buf + size / 3 * 2, size - size / 3 * 2 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	switch (rand_r(&h->seed) % 5) {
	case 0: return write(h->fd, buf, size);
	case 1: return writev(h->fd, iov, 3);
	case 2: return sendmsg(h->fd, &msg, MSG_NOSIGNAL);
	case 3: return send(h->fd, buf, size, MSG_MORE | MSG_NOSIGNAL);
	default: return send(h->fd, buf, size, MSG_NOSIGNAL);
	}
}

/* Until it would block, or for a while: the other half has its turn. */
static void take_in(struct half *h, char *buf)
{
	for (int i = 0; i < 16; i++) {
		ssize_t n = receive_some(h, buf, some(h));

		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			return;
		}
		if (n == 0) {
			h->done = true;
			return;
		}
		h->hash = bytes_hash(h->hash, buf, n);
		h->at += n;
	}
}

static void put_out(struct half *h, char *buf)
{
	for (int i = 0; i < 16 && h->at < h->len; i++) {
		size_t part = some_left(h);
		ssize_t n;

		bytes_fill(buf, part, h->at);
		n = send_some(h, buf, part);
		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			return;
		}
		h->at += n;
	}
	if (h->at == h->len && !h->done) {
		h->done = true;
		MUST(shutdown(h->fd, SHUT_WR));
	}
}

static void loop(struct fix *f, struct half *in, struct half *out)
{
	char *buf = malloc(MOST);
	uint32_t want = 0;

	CHECK(buf != NULL);
	while (!in->done || !out->done) {
		uint32_t now = (in->done ? 0 : EPOLLIN) |
			       (out->done ? 0 : EPOLLOUT), got;

		if (now != want)
			set_mod(f->ep, f->fd, now);
		want = now;
		got = set_wait(f->ep, f->fd, now);
		if (got & EPOLLIN && !in->done)
			take_in(in, buf);
		if (got & EPOLLOUT && !out->done)
			put_out(out, buf);
	}
	free(buf);
}

static void duplex(struct fix *f, enum pace pace, size_t len)
{
	struct half pw = { .fd = f->peer, .len = len, .seed = 1 };
	struct half pr = { .fd = f->peer, .len = len, .seed = 2,
			   .pace = pace, .hash = HASH_START };
	struct half in = { .fd = f->fd, .len = len, .seed = 3,
			   .hash = HASH_START };
	struct half out = { .fd = f->fd, .len = len, .seed = 4 };
	uint64_t want = bytes_stream_hash(len);
	pthread_t writer, reader;

	writer = thread_start(peer_writes, &pw);
	reader = thread_start(peer_reads, &pr);
	loop(f, &in, &out);
	/* The rest of the output goes while the loop turns. */
	while (!pr.done)
		set_next(f->ep, -1, 5);
	thread_join(writer);
	thread_join(reader);
	CHECK_EQ(in.at, len);
	CHECK(in.hash == want);
	CHECK_EQ(pr.at, len);
	CHECK(pr.hash == want);
}

static void t_fast(struct fix *f)
{
	duplex(f, FAST, bulk());
}

static void t_slow(struct fix *f)
{
	duplex(f, SLOW, bulk());
}

static void t_stopping(struct fix *f)
{
	duplex(f, STOPPING, bulk());
}

static const struct net_case cases[] = {
	{ "a fast reader", t_fast, BOTH },
	{ "a slow reader", t_slow, BOTH },
	{ "a reader that stops now and then", t_stopping, BOTH },
};

NET_MAIN(cases)
