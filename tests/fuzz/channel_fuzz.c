/* SPDX-License-Identifier: MIT */
/*
 * Description: sockets on a fake ring against plain byte queues.
 *
 * channel_fuzz SECONDS SEED. An episode opens sockets, does random things to
 * both their ends, closes them and lets everything finish. Checked on the
 * way: every byte, its order, what a call may answer, one send in flight, no
 * close while the file is in use. At the end: all was delivered, who was told
 * "not now" got an edge, and all memory and buffers are back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../shim/direct.h"
#include "../../shim/entry.h"
#include "../../shim/fdtable.h"
#include "../../shim/init.h"
#include "../../shim/ready.h"
#include "../../shim/rx.h"
#include "../../shim/rx_request.h"
#include "../../shim/thread.h"
#include "../../shim/tx.h"
#include "../../shim/vsock.h"
#include "../fake/fake.h"
#include "model.h"

/* init.c's and proc.c's: the rest of them needs a guest. */
static uint32_t alive = 1;
volatile uint32_t *shim_alive = &alive;
bool shim_off;

bool init_usable(void)
{
	return true;
}

void shim_tell(const char *fmt, ...)
{
	/* nobody reads a log here */
}

void entry_forked(void)
{
	CHECK(!"there is no fork here");
}

static unsigned long episodes, steps;

/* --- the program's side ---------------------------------------- */

static unsigned int split(struct iovec *iov, char *buf, size_t len)
{
	unsigned int count = 1 + below(4), i;

	for (i = 0; i < count; i++) {
		size_t n = i + 1 == count ? len : below(len + 1);

		iov[i] = (struct iovec){ buf, n };
		buf += n;
		len -= n;
	}
	return count;
}

/* In place of shim/direct.c: the kernel is the fake one. */
static struct chan_file file_of(int fd)
{
	for (unsigned int i = 0; i < CONNS; i++)
		if (conns[i].fd == fd && !conns[i].gone)
			return conns[i].file;
	model_fail(__FILE__, __LINE__, "a call of no socket");
}

int direct_recv(int fd, struct msghdr *msg, int flags)
{
	return chan_call_recv(th->ch, file_of(fd), msg, flags);
}

int direct_send(int fd, const struct msghdr *msg, int flags)
{
	return chan_call_send(th->ch, file_of(fd), msg, flags);
}

static size_t random_size(void)
{
	static const size_t scales[] = { 4, 100, 4096, 9000, 40000 };

	return 1 + below(scales[below(5)]);
}

static void step_recv(struct conn *c)
{
	static const int kinds[] = { 0, 0, 0, 0, MSG_PEEK, MSG_TRUNC };
	static char buf[65536];
	size_t len = random_size();
	int flags = kinds[below(6)];
	struct iovec iov[4];
	unsigned int count = split(iov, buf, len);
	uint32_t before = c->vs->in_edge;
	bool ended = c->vs->eof || c->vs->reset || c->vs->refused;
	ssize_t ret;

	memset(buf, 0xaa, len);
	ret = rx_take(c->vs, iov, count, flags);
	model_received(c, buf, len, flags, ret);
	if (flags & MSG_PEEK)
		return;
	/* An edge that the call itself counted is told by the next wait; of an
	 * end that was known before the program was told by that edge. */
	c->told_in = before;
	c->waits_in = ret < (ssize_t)len && !ended;
}

static void step_send(struct conn *c)
{
	static char buf[65536];
	size_t len = random_size();
	struct iovec iov[4];
	unsigned int count = split(iov, buf, len);
	bool was_broken = c->broken;
	uint32_t before = c->vs->out_edge;
	ssize_t ret;

	stream_fill(buf, len, c->id * 2 + 1, c->written);
	c->direct_pos = c->written;
	ret = tx_put(c->vs, iov, count, below(8) ? 0 : MSG_MORE);
	memset(buf, 0xbb, len);
	if (ret > 0) {
		CHECK(!was_broken || !c->told_broken);
		CHECK((size_t)ret <= len);
		c->written += (uint64_t)ret;
	} else if (ret == -EAGAIN) {
		CHECK(c->vs->tx_bytes || c->vs->kernel_full);
	} else {
		model_failed(c, ret);
	}
	c->waits_out = ret == -EAGAIN || (ret > 0 && (size_t)ret < len);
	c->told_out = before;
}

static void step_close(struct conn *c)
{
	bool given = c->vs->depth == DEPTH_GIVEN;

	/* Output of one that is the kernel's goes on under a number that is
	 * not known here. */
	if (given && tx_is_ours(c->vs))
		return;
	/* Bytes that it could have read: the kernel would send a RST. */
	c->must_reset = c->vs->rx_bytes > 0;
	c->closed = !given;
	c->given = given;
	if (entry_close(c->vs, c->fd) == SHIM_PASS)
		close(c->fd);
	c->vs = NULL;
}

/* As a call of the program: the socket locked, or given back meanwhile. */
static bool grab(struct conn *c)
{
	long ret;

	if (!c->vs)
		return false;
	if (entry_lock(c->fd, &ret)) {
		CHECK(fd_object(c->fd) == (void *)c->vs);
		return true;
	}
	CHECK(ret == SHIM_PASS);
	CHECK(c->broken || c->sent == c->written);
	CHECK(c->broken || c->read == c->delivered);
	CHECK(!has_request(c, FAKE_RECV) && !has_request(c, FAKE_SEND));
	c->given = true;
	c->vs = NULL;
	close(c->fd);
	return false;
}

static void check_ready(const struct conn *c)
{
	uint32_t ready = vs_ready(c->vs);

	CHECK(!!(ready & EPOLLIN) == (c->vs->rx_bytes || c->vs->eof ||
				      c->vs->reset || c->vs->refused ||
				      ready_unpack(c->vs->polled) &
					      EPOLLRDHUP));
	CHECK(c->vs->rx_bytes <= c->delivered - c->read);
	CHECK(c->vs->tx_bytes <= opts.sndbuf);
}

static void step_program(void)
{
	struct conn *c = &conns[below(CONNS)];

	if (!grab(c))
		return;
	switch (below(8)) {
	case 0 ... 2:
		step_recv(c);
		break;
	case 3 ... 5:
		step_send(c);
		break;
	case 6:
		CHECK(rx_readable(c->vs) >= (int)c->vs->rx_bytes);
		break;
	default:
		if (!below(12))
			step_close(c);
	}
	if (c->vs)
		check_ready(c);
	lock_give(&th->lock);
}

static void step_thread(void)
{
	lock_take(&th->lock);
	th->busy = NULL;
	switch (below(3)) {
	case 0:
		thread_flush(th);
		break;
	case 1:
		thread_reap_now(th);
		break;
	default:
		thread_wait(th, 0, NULL);
	}
	lock_give(&th->lock);
}

/* --- an episode ---------------------------------------- */

static void open_conns(void)
{
	memset(conns, 0, sizeof(conns));
	for (unsigned int i = 0; i < CONNS; i++) {
		struct conn *c = &conns[i];
		bool lw = below(2);

		c->id = (unsigned int)random_bits();
		c->fd = lw ? fd_reserve() : dup(chan_fd(th->ch));
		CHECK(c->fd >= 0);
		c->file.fd = lw ? (int)i : c->fd;
		c->file.lw = lw;
		c->vs = vs_new(th, VS_OPEN, lw ? DEPTH_LW : DEPTH_FD, c->fd);
		CHECK(c->vs);
		if (lw)
			c->vs->slot = (int)i;
		fd_set_object(c->fd, c->vs);
		c->vs->nonblock = true;
		vs_touch(c->vs);
	}
}

/* Nothing moves any more by itself: all requests that can end did. */
static void settle(void)
{
	for (int i = 0; i < 400; i++) {
		model_kernel_finishes();
		th->busy = NULL;
		lock_take(&th->lock);
		thread_wait(th, 0, NULL);
		lock_give(&th->lock);
	}
}

/* Who was told to wait, and for whom there is something, must have an edge. */
static void check_wakeups(void)
{
	for (unsigned int i = 0; i < CONNS; i++) {
		struct conn *c = &conns[i];

		if (!grab(c))
			continue;
		lock_give(&th->lock);
		if (c->waits_in && (c->vs->rx_bytes ||
				    (c->vs->eof && !c->told_eof)))
			CHECK(c->vs->in_edge != c->told_in);
		CHECK(c->broken || !c->arrived_left ||
		      c->vs->rx_bytes >= rx_limit(c->vs) ||
		      fake_free_buffers() == 0);
		if (!c->waits_out || c->broken)
			continue;
		CHECK(!c->vs->tx_bytes && !c->vs->kernel_full);
		CHECK(c->vs->out_edge != c->told_out);
	}
}

static void close_all(void)
{
	for (unsigned int i = 0; i < CONNS; i++) {
		if (!grab(&conns[i]))
			continue;
		step_close(&conns[i]);
		lock_give(&th->lock);
	}
}

static void check_end(void)
{
	for (unsigned int i = 0; i < CONNS; i++) {
		struct conn *c = &conns[i];

		CHECK(c->gone || c->given);
		CHECK(c->broken || c->sent == c->written);
		CHECK(!c->must_reset || c->linger_set || !c->file.lw);
	}
	CHECK(fake_count() == 0);
	CHECK(fake_queued() == 0);
	CHECK(fake.completions == 0);
	CHECK(fake_lent() == 0);
	CHECK(th->socks_pool.used == 0);
	CHECK(th->pieces_pool.used == 0);
	CHECK(th->chunks_pool.used == 0);
	CHECK(th->big_chunks_pool.used == 0);
	CHECK(list_empty(&th->socks));
	CHECK(list_empty(&th->updates));
	CHECK(list_empty(&th->later));
}

static void episode(void)
{
	static const uint32_t readaheads[] = { 4096, 8192, 65536 };
	static const uint32_t sndbufs[] = { 4096, 20000, 262144 };
	unsigned int n = 20 + below(600);

	opts.readahead = readaheads[below(3)];
	opts.sndbuf = sndbufs[below(3)];
	fake.defer = below(2);
	model_start_episode();
	open_conns();
	for (; n; n--, steps++) {
		switch (below(4)) {
		case 0:
			step_program();
			break;
		case 1:
			step_thread();
			break;
		case 2:
			model_peer_acts();
			break;
		default:
			model_kernel_acts();
		}
	}
	settle();
	check_wakeups();
	close_all();
	settle();
	check_end();
	episodes++;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	int why;

	fake_reset();
	opts.buffers = 8;
	opts.batch = 4;
	th = thread_get(&why);
	if (!th) {
		printf("Bail out! no channel: %d\n", why);
		return 1;
	}
	fake.on_enter = model_entered;
	for (; time(NULL) < end; seed++) {
		model_seed = seed;
		model_random = seed * 0x9e3779b97f4a7c15ull | 1;
		episode();
		/* The first of a run's seeds repeats the others after it. */
		if (episodes == 1 && argc > 3)
			break;
	}
	mp_destroy(th->ch);
	printf("# %lu episodes, %lu steps\n", episodes, steps);
	return 0;
}
