/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: received bytes are lent, counted and given back.
 */
#include "fake_channel.h"

static char owner;
static uint32_t handle;

static void start(void)
{
	channel_open(4, 8);
	handle = channel_handle(&owner);
}

static void receive(const char *text, uint32_t flags)
{
	chan_recv(ch, handle, slot(1));
	mp_flush(ch);
	CHECK(fake_deliver(fake_find(FAKE_RECV, 0), text,
			   (unsigned int)strlen(text), flags, false));
}

static void bytes(void)
{
	struct chan_event ev;

	start();
	receive("hello", 0);
	ev = channel_next(&owner, CHAN_OP_RECV);
	CHECK_EQ(ev.handle, handle);
	CHECK_EQ(ev.result, 5);
	CHECK_MEM(ev.data, "hello", 5);
	CHECK(!ev.more);
	CHECK(!ev.nonempty);
	receive("there", RING_F_NONEMPTY);
	CHECK_MEM(ev.data, "hello", 5);
	ev = channel_next(&owner, CHAN_OP_RECV);
	CHECK(ev.nonempty);
	CHECK_MEM(ev.data, "there", 5);
}

static void no_bytes(void)
{
	static const int results[] = { 0, -ECONNRESET, -ECANCELED };
	struct chan_event ev;

	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		start();
		chan_recv(ch, handle, slot(1));
		mp_flush(ch);
		fake_complete(fake_nth(0), results[i], 0);
		ev = channel_next(&owner, CHAN_OP_RECV);
		CHECK_EQ(ev.result, results[i]);
		CHECK(!ev.data);
		CHECK_EQ(fake_lent(), 0);
	}
}

static void streams_go_on(void)
{
	struct chan_event ev;

	start();
	chan_recv_stream(ch, handle, slot(1));
	mp_flush(ch);
	for (int i = 0; i < 3; i++) {
		fake_deliver(fake_nth(0), "x", 1, 0, true);
		ev = channel_next(&owner, CHAN_OP_RECV);
		CHECK(ev.more);
		chan_put_buffer(ch, ev.buffer);
	}
	fake_complete(fake_nth(0), 0, 0);
	ev = channel_next(&owner, CHAN_OP_RECV);
	CHECK(!ev.more);
	CHECK_EQ(ev.result, 0);
	CHECK_EQ(fake_lent(), 0);
}

/* Low: more than half is lent, as the reader of the completions counts. */
static void low(void)
{
	struct chan_event ev[8];

	start();
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(chan_buffers_low(ch), i > 4);
		receive("x", 0);
		ev[i] = channel_next(&owner, CHAN_OP_RECV);
	}
	CHECK(chan_buffers_low(ch));
	for (int i = 0; i < 8; i++) {
		chan_put_buffer(ch, ev[i].buffer);
		CHECK_EQ(fake_lent(), 7 - i);
		CHECK_EQ(chan_buffers_low(ch), 7 - i > 4);
	}
}

static void none_left(void)
{
	struct chan_event ev[8], last;

	start();
	for (int i = 0; i < 8; i++) {
		receive("x", 0);
		ev[i] = channel_next(&owner, CHAN_OP_RECV);
		for (int j = 0; j < i; j++)
			CHECK(ev[i].buffer != ev[j].buffer);
	}
	chan_recv(ch, handle, slot(1));
	mp_flush(ch);
	CHECK(!fake_deliver(fake_nth(0), "x", 1, 0, false));
	last = channel_next(&owner, CHAN_OP_RECV);
	CHECK_EQ(last.result, -ENOBUFS);
	CHECK(!last.data);
	chan_put_buffer(ch, ev[3].buffer);
	receive("y", 0);
	last = channel_next(&owner, CHAN_OP_RECV);
	CHECK_EQ(last.buffer, ev[3].buffer);
	CHECK_EQ(*last.data, 'y');
}

/* Given back in any order, none is lost: twenty times round. */
static void all_come_back(void)
{
	struct chan_event ev[8];

	start();
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 8; i++) {
			receive("x", 0);
			ev[i] = channel_next(&owner, CHAN_OP_RECV);
		}
		for (int i = 0; i < 8; i++)
			chan_put_buffer(ch, ev[(i * 3 + round) % 8].buffer);
		CHECK_EQ(fake_lent(), 0);
		CHECK_EQ(fake_free_buffers(), 8);
	}
}

static const struct unit_case cases[] = {
	{ "bytes stay where they are until given back", bytes },
	{ "an end or an error brings no buffer", no_bytes },
	{ "a stream goes on until it says so", streams_go_on },
	{ "low when more than half is lent", low },
	{ "none left: ENOBUFS, and again after one is back", none_left },
	{ "given back in any order", all_come_back },
};

UNIT_MAIN(cases)
