/* SPDX-License-Identifier: MIT */
/*
 * Description: streaming reads into lent buffers: pieces, back-pressure, ends.
 */
#include <stdlib.h>

#include "native.h"

static void pieces(void)
{
	struct mp_completion c;
	int peer, i;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read_stream(h), 0);
	for (i = 0; i < 200; i++) {
		char text[8] = { (char)i, (char)~i };

		peer_write(peer, text, 2);
		c = native_expect(h, MP_OP_READ_STREAM);
		CHECK_EQ(c.result, 2);
		CHECK_EQ(c.more, 1);
		CHECK_MEM(c.data, text, 2);
		CHECK_EQ(mp_buffer_release(ch, c.buffer), 0);
	}
	close(peer);
	c = native_expect(h, MP_OP_READ_STREAM);
	CHECK_EQ(c.result, 0);
	CHECK_EQ(c.more, 0);
	CHECK(!c.data);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	native_quiet();
}

#define TOTAL (3u << 20)

static void *push(void *arg)
{
	char *p = malloc(TOTAL);

	bytes_fill(p, TOTAL, 0);
	peer_write(*(int *)arg, p, TOTAL);
	close(*(int *)arg);
	free(p);
	return NULL;
}

/* All buffers are held back again and again: nothing is lost. */
static void no_buffers(void)
{
	static unsigned int held[4096];
	uint64_t hash = HASH_START;
	unsigned int n = 0;
	size_t sum = 0;
	pthread_t thread;
	struct mp_completion c;
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	thread = thread_start(push, &peer);
	CHECK_EQ(mp_read_stream(h), 0);
	for (;;) {
		int ret = mp_dispatch(ch, &c, n ? 20 : WAIT_MS);

		CHECK(ret == 1 || (ret == 0 && n));
		if (!ret) {
			while (n)
				CHECK_EQ(mp_buffer_release(ch, held[--n]), 0);
			continue;
		}
		CHECK(c.handle == h);
		CHECK(c.result >= 0);
		if (!c.result)
			break;
		hash = bytes_hash(hash, c.data, (size_t)c.result);
		sum += (size_t)c.result;
		held[n++] = c.buffer;
		CHECK(n <= ARRAY_SIZE(held));
	}
	CHECK_EQ(sum, TOTAL);
	CHECK_EQ(hash, bytes_stream_hash(TOTAL));
	thread_join(thread);
	while (n)
		CHECK_EQ(mp_buffer_release(ch, held[--n]), 0);
	CHECK_EQ(mp_buffer_release(ch, 0), -EINVAL);
}

/* A buffer that is given back twice would be lent to two connections. */
static void released_twice(void)
{
	struct mp_completion a, b;
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_buffer_release(ch, 0), -EINVAL);
	CHECK_EQ(mp_read_stream(h), 0);
	peer_write(peer, "a", 1);
	a = native_expect(h, MP_OP_READ_STREAM);
	peer_write(peer, "b", 1);
	b = native_expect(h, MP_OP_READ_STREAM);
	CHECK(a.buffer != b.buffer);
	CHECK_EQ(mp_buffer_release(ch, a.buffer), 0);
	CHECK_EQ(mp_buffer_release(ch, a.buffer), -EINVAL);
	CHECK_EQ(mp_buffer_release(ch, 128), -EINVAL);
	CHECK_EQ(mp_buffer_release(ch, ~0u), -EINVAL);
	CHECK_EQ(mp_buffer_release(ch, b.buffer), 0);
	CHECK_EQ(mp_buffer_release(ch, b.buffer), -EINVAL);
	close(peer);
}

static void released_by_close(void)
{
	struct mp_completion c;
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read_stream(h), 0);
	peer_write(peer, "a", 1);
	c = native_expect(h, MP_OP_READ_STREAM);
	CHECK_EQ(mp_buffer_release(ch, c.buffer), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(mp_close(h), 0);
	c = native_expect(h, MP_OP_READ_STREAM);
	CHECK_EQ(c.result, -ECANCELED);
	CHECK_EQ(c.more, 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	peer_eof(peer);
	close(peer);
}

/* What a stream has received is dropped with it, and buffers come back: there
 * are enough for a thousand. */
static void unregistered(void)
{
	int peer, i;
	struct mp_handle *h = native_accept(&peer, NULL);
	int fd = lw ? -1 : mp_to_fd(h);

	for (i = 0; i < 1000 && !lw; i++) {
		CHECK_EQ(mp_read_stream(h), 0);
		peer_write(peer, "x", 1);
		if (i % 2)
			CHECK_EQ(mp_flush(ch), 0);
		CHECK_EQ(mp_unregister(h), 0);
		CHECK_EQ(mp_register(ch, fd, NULL, NULL, &h), 0);
	}
	peer_write(peer, "y", 1);
	CHECK_EQ(mp_read_stream(h), 0);
	CHECK(native_result(h, MP_OP_READ_STREAM) > 0);
	close(peer);
}

static void not_a_socket(void)
{
	struct mp_handle *h;
	int ends[2];

	MUST(pipe(ends));
	CHECK_EQ(mp_register(ch, ends[0], NULL, NULL, &h), 0);
	CHECK_EQ(mp_read_stream(h), 0);
	CHECK_EQ(native_result(h, MP_OP_READ_STREAM), -ENOTSOCK);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	close(ends[1]);
}

static const struct native_case cases[] = {
	{ "pieces as they come, then the end", pieces },
	{ "no buffer is left: it goes on when one is", no_buffers },
	{ "a buffer is given back once", released_twice },
	{ "close ends a stream", released_by_close },
	{ "unregister ends a stream and gives buffers back", unregistered },
	{ "only sockets can be streamed", not_a_socket },
};

NATIVE_MAIN(cases)
