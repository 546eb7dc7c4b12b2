/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: a call returns its own result while what came before keeps
 * its turn.
 */
#include "fake_channel.h"

static char owner;
static enum fake_op answered;
static int answer, delay;

/* The kernel answers the call after some enters. */
static void answer_call(enum fake_enter how)
{
	struct fake_req *req = fake_find(answered, 0);

	if (req && delay-- <= 0)
		fake_complete(req, answer, 0);
}

static uint32_t start(enum fake_op op, int res)
{
	channel_open(4, 8);
	fake.on_enter = answer_call;
	answered = op;
	answer = res;
	delay = 0;
	return channel_handle(&owner);
}

static void results(void)
{
	struct msghdr msg = { 0 };
	int val = 0;

	start(FAKE_INSTALL, 17);
	CHECK_EQ(chan_call_install(ch, 3), 17);
	start(FAKE_INSTALL, -EMFILE);
	CHECK_EQ(chan_call_install(ch, 3), -EMFILE);
	start(FAKE_SEND, 5);
	CHECK_EQ(chan_call_send(ch, slot(1), &msg, 0), 5);
	start(FAKE_RECV_INTO, -EAGAIN);
	CHECK_EQ(chan_call_recv(ch, slot(1), &msg, 0), -EAGAIN);
	start(FAKE_GETSOCKOPT, 4);
	CHECK_EQ(chan_call_getsockopt(ch, slot(1), SO_ERROR, &val, 4), 4);
	start(FAKE_INQ, 99);
	CHECK_EQ(chan_call_inq(ch, slot(1)), 99);
	start(FAKE_OUTQ, 98);
	CHECK_EQ(chan_call_outq(ch, slot(1)), 98);
	start(FAKE_CLOSE, 0);
	CHECK_EQ(chan_call_close(ch, slot(1)), 0);
	CHECK_EQ(fake_count(), 0);
	channel_no_more();
}

static int seen_flags;

static void look_at_flags(enum fake_enter how)
{
	struct fake_req *req = fake_nth(0);

	seen_flags = req->flags;
	fake_complete(req, 0, 0);
}

/* Calls never wait and never kill. */
static void flags(void)
{
	struct msghdr msg = { 0 };

	channel_open(4, 8);
	fake.on_enter = look_at_flags;
	chan_call_send(ch, slot(1), &msg, MSG_MORE);
	CHECK_EQ(seen_flags, MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL);
	chan_call_recv(ch, slot(1), &msg, MSG_PEEK);
	CHECK_EQ(seen_flags, MSG_PEEK | MSG_DONTWAIT);
}

static void earlier_keep_their_turn(void)
{
	uint32_t h = start(FAKE_INQ, 42);

	for (int i = 0; i < 3; i++)
		chan_poll(ch, h, slot(i), 1, false);
	mp_flush(ch);
	for (int i = 0; i < 3; i++)
		fake_complete(fake_nth(0), 10 + i, 0);
	CHECK_EQ(chan_call_inq(ch, slot(9)), 42);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(channel_next(&owner, CHAN_OP_POLL).result, 10 + i);
	channel_no_more();
}

/* The call's completion may be the first, a middle one or the last. */
static int before, after;

static void answer_between(enum fake_enter how)
{
	for (int i = 0; i < before; i++)
		fake_complete(fake_find(FAKE_POLL, 0), i, 0);
	fake_complete(fake_find(FAKE_INQ, 0), 42, 0);
	for (int i = 0; i < after; i++)
		fake_complete(fake_find(FAKE_POLL, 0), before + i, 0);
}

static void anywhere(void)
{
	for (int n = 0; n < 9; n++) {
		uint32_t h;

		before = n % 3;
		after = n / 3;
		channel_open(4, 8);
		h = channel_handle(&owner);
		for (int i = 0; i < before + after; i++)
			chan_poll(ch, h, slot(i), 1, false);
		fake.on_enter = answer_between;
		CHECK_EQ(chan_call_inq(ch, slot(9)), 42);
		for (int i = 0; i < before + after; i++)
			CHECK_EQ(channel_next(&owner, CHAN_OP_POLL).result, i);
		channel_no_more();
	}
}

/* What is queued goes out before the call, in the same enter. */
static void together_with_the_queue(void)
{
	struct iovec iov = { "abc", 3 };
	uint32_t h = start(FAKE_CLOSE, 0);

	chan_send(ch, h, slot(1), &iov, 1, 0);
	CHECK_EQ(chan_call_close(ch, slot(1)), 0);
	CHECK_EQ(fake.enters, 1);
	CHECK_EQ(fake.sent_in_last, 2);
	CHECK_EQ(fake_count(), 1);
	CHECK_EQ(fake_nth(0)->op, FAKE_SEND);
}

static void late_answer(void)
{
	start(FAKE_INQ, 7);
	delay = 3;
	CHECK_EQ(chan_call_inq(ch, slot(1)), 7);
	CHECK_EQ(fake.enters, 4);
}

static void deferred_answer(void)
{
	start(FAKE_INQ, 8);
	fake.defer = true;
	CHECK_EQ(chan_call_inq(ch, slot(1)), 8);
}

/* Two calls of one kind do not take each other's answer. */
static void many_calls(void)
{
	start(FAKE_OUTQ, 0);
	for (int i = 0; i < 1000; i++) {
		answer = i;
		CHECK_EQ(chan_call_outq(ch, slot(1)), i);
	}
	channel_no_more();
	CHECK_EQ(fake.completions, 0);
}

/* A full ring: the call makes room for itself. */
static void full_queue(void)
{
	uint32_t h = start(FAKE_INQ, 5);

	while (fake_queued() < fake.entries)
		chan_poll(ch, h, slot(1), 1, false);
	CHECK_EQ(chan_call_inq(ch, slot(1)), 5);
	CHECK_EQ(fake_count(), fake.entries);
}

static const struct unit_case cases[] = {
	{ "each call returns what the kernel says", results },
	{ "no call waits or raises SIGPIPE", flags },
	{ "completions that were there before it", earlier_keep_their_turn },
	{ "its completion among others", anywhere },
	{ "what is queued goes out with it", together_with_the_queue },
	{ "an answer that takes several enters", late_answer },
	{ "an answer that must be reaped", deferred_answer },
	{ "a thousand calls", many_calls },
	{ "a call when the ring is full", full_queue },
};

UNIT_MAIN(cases)
