/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: what reaches the kernel, when, and in which order: the three
 * flush rules, one read and one write at a time, gathered writes, the close.
 */
#include "fake_front.h"

static char a[64], b[64];

static void full_batch(void)
{
	struct mp_handle *h[4];
	int i;

	channel_open(4, 8);
	for (i = 0; i < 4; i++)
		h[i] = front_handle(10 + i, NULL);
	for (i = 0; i < 3; i++)
		CHECK_EQ(mp_read(h[i], a, 1), 0);
	CHECK_EQ(fake.enters, 0);
	CHECK_EQ(fake_queued(), 0);
	CHECK_EQ(mp_read(h[3], a, 1), 0);
	CHECK_EQ(fake.enters, 1);
	CHECK_EQ(fake_count(), 4);
	for (i = 0; i < 4; i++)
		CHECK_EQ(fake_nth((unsigned int)i)->file.fd, 10 + i);
}

static void no_completion_left(void)
{
	struct mp_handle *h, *other;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	other = front_handle(11, NULL);
	CHECK_EQ(mp_read(h, a, 1), 0);
	front_nothing();
	CHECK_EQ(fake.enters, 1);
	fake_fill(front_only(FAKE_RECV_INTO), "x", 1);
	CHECK_EQ(mp_read(other, b, 1), 0);
	front_next(h, MP_OP_READ, 1);
	CHECK_EQ(fake_count(), 0);
	front_nothing();
	CHECK_EQ(front_only(FAKE_RECV_INTO)->file.fd, 11);
}

static void when_asked(void)
{
	struct mp_handle *h;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(fake.enters, 0);
	CHECK_EQ(mp_read(h, a, 1), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(fake.submits, 1);
	CHECK_EQ(fake_count(), 1);
}

static void timeouts(void)
{
	struct mp_completion c;

	channel_open(32, 8);
	CHECK_EQ(mp_dispatch(ch, &c, 0), 0);
	CHECK_EQ(fake.waits, 0);
	fake.wait_result = -EINTR;
	CHECK_EQ(mp_dispatch(ch, &c, -1), -EINTR);
	CHECK(fake.wait_ns < 0);
	CHECK_EQ(mp_dispatch(ch, &c, 50), -EINTR);
	CHECK(fake.wait_ns > 40000000 && fake.wait_ns <= 50000000);
	fake.wait_result = 0;
	CHECK_EQ(mp_dispatch(ch, &c, 3), 0);
}

static void one_read_at_a_time(void)
{
	struct mp_handle *h;
	int i;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	for (i = 0; i < 3; i++)
		CHECK_EQ(mp_read(h, a + i, 1), 0);
	for (i = 0; i < 3; i++) {
		struct fake_req *req;

		CHECK_EQ(mp_flush(ch), 0);
		req = front_only(FAKE_RECV_INTO);
		CHECK(req->iov[0].iov_base == a + i);
		fake_fill(req, "abc" + i, 1);
		front_next(h, MP_OP_READ, 1);
	}
	CHECK_MEM(a, "abc", 3);
}

/* Writes go out together, eight pieces at a time, one send in flight; each is
 * answered by its own length. */
static void writes_are_gathered(void)
{
	struct mp_handle *h;
	char got[32];
	int i;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	for (i = 0; i < 10; i++)
		CHECK_EQ(mp_write(h, "0123456789" + i, 1), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(front_only(FAKE_SEND)->len, 8);
	CHECK(front_only(FAKE_SEND)->flags & MSG_MORE);
	CHECK_EQ(mp_write(h, "AB", 2), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake_sent(front_only(FAKE_SEND), 8, got);
	for (i = 0; i < 8; i++)
		front_next(h, MP_OP_WRITE, 1);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(front_only(FAKE_SEND)->len, 4);
	CHECK(!(front_only(FAKE_SEND)->flags & MSG_MORE));
	fake_sent(front_only(FAKE_SEND), 4, got + 8);
	front_next(h, MP_OP_WRITE, 1);
	front_next(h, MP_OP_WRITE, 1);
	front_next(h, MP_OP_WRITE, 2);
	CHECK_MEM(got, "0123456789AB", 12);
}

/* A send that falls short goes on at the byte where it stopped, in the middle
 * of a piece of a vector that has empty pieces. */
static void short_sends(void)
{
	struct iovec iov[] = { { "ab", 2 }, { "", 0 }, { "cdef", 4 },
			       { "", 0 }, { "g", 1 } };
	struct mp_handle *h;
	char got[16];
	int at, n;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	CHECK_EQ(mp_writev(h, iov, 5), 0);
	CHECK_EQ(mp_write(h, "hij", 3), 0);
	for (at = 0, n = 1; at < 10; at += n, n = n % 4 + 1) {
		if (n > 10 - at)
			n = 10 - at;
		CHECK_EQ(mp_flush(ch), 0);
		CHECK_EQ(front_only(FAKE_SEND)->len, 10 - at);
		fake_sent(front_only(FAKE_SEND), n, got + at);
		CHECK_EQ(mp_dispatch(ch, &(struct mp_completion){ 0 }, 0),
			 (at < 7 && at + n >= 7) || at + n == 10);
	}
	CHECK_MEM(got, "abcdefghij", 10);
}

static void error_in_the_middle(void)
{
	struct mp_handle *h;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	CHECK_EQ(mp_write(h, "abcd", 4), 0);
	CHECK_EQ(mp_write(h, "ef", 2), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake_sent(front_only(FAKE_SEND), 3, NULL);
	front_nothing();
	fake_complete(front_only(FAKE_SEND), -ECONNRESET, 0);
	front_next(h, MP_OP_WRITE, 3);
	CHECK_EQ(mp_flush(ch), 0);
	fake_complete(front_only(FAKE_SEND), -EPIPE, 0);
	front_next(h, MP_OP_WRITE, -EPIPE);
	front_nothing();
	front_none(FAKE_SEND);
}

static void fin_rides_on_the_data(void)
{
	struct mp_handle *h;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	front_known(h);
	CHECK_EQ(mp_write(h, "bye", 3), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK(front_only(FAKE_SEND)->link);
	CHECK(front_only(FAKE_SEND)->flags & MSG_MORE);
	CHECK(front_only(FAKE_CLOSE)->linked);
	/* It falls short: the close is made again, behind the rest. */
	fake_sent(front_only(FAKE_SEND), 1, NULL);
	front_none(FAKE_CLOSE);
	front_nothing();
	CHECK_EQ(front_only(FAKE_SEND)->len, 2);
	fake_sent(front_only(FAKE_SEND), 2, NULL);
	fake_complete(front_only(FAKE_CLOSE), 0, 0);
	front_next(h, MP_OP_WRITE, 3);
	front_next(h, MP_OP_CLOSE, 0);
	front_nothing();
}

/* A file with a receive in flight sends no FIN. */
static void close_waits_for_reads(void)
{
	struct mp_handle *h;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	front_known(h);
	CHECK_EQ(mp_read(h, a, 1), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake.hold_cancels = true;
	CHECK_EQ(mp_write(h, "bye", 3), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(mp_flush(ch), 0);
	front_none(FAKE_CLOSE);
	CHECK(!front_only(FAKE_SEND)->link);
	fake_sent(front_only(FAKE_SEND), 3, NULL);
	front_next(h, MP_OP_WRITE, 3);
	front_nothing();
	front_none(FAKE_CLOSE);
	fake_cancel(front_only(FAKE_CANCEL));
	front_next(h, MP_OP_READ, -ECANCELED);
	front_nothing();
	fake_complete(front_only(FAKE_CLOSE), 0, 0);
	front_next(h, MP_OP_CLOSE, 0);
}

/* What is no socket says so once, and no request is lost by it. */
static void files_are_found_out(void)
{
	struct mp_handle *h;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	CHECK_EQ(mp_read(h, a, 4), 0);
	CHECK_EQ(mp_write(h, "w1", 2), 0);
	CHECK_EQ(mp_write(h, "w2", 2), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake_complete(front_only(FAKE_RECV_INTO), -ENOTSOCK, 0);
	fake_complete(front_only(FAKE_SEND), -ENOTSOCK, 0);
	front_nothing();
	CHECK_EQ(front_only(FAKE_READ)->len, 4);
	CHECK_EQ(front_only(FAKE_WRITE)->parts, 2);
	fake_fill(front_only(FAKE_READ), "file", 4);
	fake_sent(front_only(FAKE_WRITE), 4, NULL);
	front_next(h, MP_OP_READ, 4);
	front_next(h, MP_OP_WRITE, 2);
	front_next(h, MP_OP_WRITE, 2);
	CHECK_EQ(mp_read(h, a, 4), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake_complete(front_only(FAKE_READ), -ENOTSOCK, 0);
	front_next(h, MP_OP_READ, -ENOTSOCK);
}

static const struct unit_case cases[] = {
	{ "a full batch is handed over", full_batch },
	{ "so is the queue when no completion is left", no_completion_left },
	{ "and when it is asked for", when_asked },
	{ "how long dispatch waits", timeouts },
	{ "one read at a time", one_read_at_a_time },
	{ "writes are gathered", writes_are_gathered },
	{ "sends that fall short", short_sends },
	{ "an error behind bytes that were sent", error_in_the_middle },
	{ "the FIN rides on the last bytes", fin_rides_on_the_data },
	{ "close waits for the end of reads", close_waits_for_reads },
	{ "what is no socket", files_are_found_out },
};

UNIT_MAIN(cases)
