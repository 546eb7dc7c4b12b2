/* SPDX-License-Identifier: MIT */
/*
 * Description: cancelling on a real ring: what waits ends at once, what is
 * not there is said.
 */
#include <poll.h>

#include "real_ring.h"

enum { RECV = 1, POLL, ACCEPT, CLOSE, CANCEL = 100 };

static int ends[2];

static void finish(void)
{
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	real_drop();
	real_quiet();
}

/* The cancel and its target are both answered by one enter, without a wait:
 * a close may follow in the same batch. */
static void expect_cancelled(uint64_t cookie)
{
	struct ring_event ev;
	bool target = false, cancel = false;

	ring_cancel(ring, CANCEL, cookie);
	CHECK_EQ(ring_reap(ring), 1);
	while (ring_next(ring, &ev)) {
		target |= ev.cookie == cookie && ev.res == -ECANCELED;
		cancel |= ev.cookie == CANCEL && ev.res == 0;
	}
	CHECK(target);
	CHECK(cancel);
}

static void a_recv(void)
{
	real_pair(ends);
	for (int stream = 0; stream < 2; stream++) {
		ring_recv(ring, RECV, real_fd(ends[0]), REAL_GROUP, stream);
		CHECK_EQ(ring_submit(ring), 1);
		expect_cancelled(RECV);
	}
	finish();
}

static void a_poll(void)
{
	real_pair(ends);
	ring_poll(ring, POLL, real_fd(ends[0]), POLLRDHUP, false);
	CHECK_EQ(ring_submit(ring), 1);
	expect_cancelled(POLL);
	finish();
}

static void an_accept(void)
{
	struct sockaddr_storage name;
	struct sockaddr_in addr;
	socklen_t len;
	int lfd = real_listen(&addr), peer, fd;

	ring_accept(ring, ACCEPT, lfd, &name, &len, false);
	CHECK_EQ(ring_submit(ring), 1);
	expect_cancelled(ACCEPT);
	/* And the connection that comes then is the program's. */
	peer = real_connect(&addr);
	fd = MUST(accept(lfd, NULL, NULL));
	MUST(close(fd));
	MUST(close(peer));
	MUST(close(lfd));
	real_quiet();
}

static void nothing_there(void)
{
	ring_cancel(ring, CANCEL, 12345);
	CHECK_EQ(real_wait(CANCEL).res, -ENOENT);
	real_quiet();
}

/* Queued together: the order of the calls is the order of the effects. */
static void in_one_batch(void)
{
	struct ring_event ev;

	real_pair(ends);
	ring_recv(ring, RECV, real_fd(ends[0]), REAL_GROUP, false);
	ring_cancel(ring, CANCEL, RECV);
	CHECK_EQ(ring_submit(ring), 2);
	ev = real_wait(RECV);
	CHECK_EQ(ev.res, -ECANCELED);
	CHECK(!(ev.flags & RING_F_BUFFER));
	finish();
}

/* Cancel, then close, in one enter: the peer sees the end at once, though
 * an armed receive would have held the file. */
static void then_close(void)
{
	char c;

	real_pair(ends);
	ring_recv(ring, RECV, real_fd(ends[0]), REAL_GROUP, false);
	CHECK_EQ(ring_submit(ring), 1);
	ring_cancel(ring, CANCEL, RECV);
	ring_close_file(ring, CLOSE, real_fd(ends[0]), 0);
	CHECK_EQ(ring_reap(ring), 2);
	CHECK_EQ(read(ends[1], &c, 1), 0);
	CHECK_EQ(real_wait(CLOSE).res, 0);
	MUST(close(ends[1]));
	real_drop();
	real_quiet();
}

/* Bytes that were there already are delivered, not lost. */
static void too_late(void)
{
	struct ring_event ev;

	real_pair(ends);
	CHECK_EQ(MUST(write(ends[1], "x", 1)), 1);
	ring_recv(ring, RECV, real_fd(ends[0]), REAL_GROUP, false);
	ring_cancel(ring, CANCEL, RECV);
	CHECK_EQ(ring_submit(ring), 2);
	ev = real_wait(RECV);
	CHECK_EQ(ev.res, 1);
	CHECK(ev.flags & RING_F_BUFFER);
	CHECK_EQ(*bufring_data(&buffers, ev.buffer), 'x');
	bufring_take(&buffers);
	bufring_put(&buffers, ev.buffer);
	finish();
}

static const struct unit_case cases[] = {
	{ "a receive", a_recv },
	{ "a poll", a_poll },
	{ "an accept: later connections are not taken", an_accept },
	{ "what is not there", nothing_there },
	{ "in one batch with its target", in_one_batch },
	{ "followed by a close in one batch", then_close },
	{ "too late: the bytes arrive", too_late },
};

REAL_MAIN(cases)
