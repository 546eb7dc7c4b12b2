/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: a completion whose handle died is dropped, and what it brought
 * is given back.
 */
#include "../../core/stats.h"
#include "fake_channel.h"

static char old_owner, new_owner;

static void after_unregister(void)
{
	uint32_t h;

	channel_open(4, 8);
	h = channel_handle(&old_owner);
	chan_recv(ch, h, slot(1));
	mp_flush(ch);
	chan_unregister(ch, h);
	fake_complete(fake_nth(0), -ECONNRESET, 0);
	stat_line->counter[STAT_stale] = 0;
	channel_no_more();
	CHECK_EQ(stat_line->counter[STAT_stale], 1);
}

/* The completion waits in the ring when its handle dies. */
static void while_unread(void)
{
	uint32_t h;

	channel_open(4, 8);
	h = channel_handle(&old_owner);
	chan_recv(ch, h, slot(1));
	mp_flush(ch);
	fake_complete(fake_nth(0), 0, 0);
	chan_unregister(ch, h);
	channel_no_more();
}

static void index_reused(void)
{
	uint32_t a, b;

	channel_open(4, 8);
	a = channel_handle(&old_owner);
	chan_poll(ch, a, slot(1), 1, false);
	mp_flush(ch);
	chan_unregister(ch, a);
	b = channel_handle(&new_owner);
	CHECK_EQ(b, a);
	chan_poll(ch, b, slot(2), 1, false);
	mp_flush(ch);
	fake_complete(fake_find(FAKE_POLL, 0), 111, 0);
	fake_complete(fake_find(FAKE_POLL, 0), 222, 0);
	CHECK_EQ(channel_next(&new_owner, CHAN_OP_POLL).result, 222);
	channel_no_more();
}

static void buffer_comes_back(void)
{
	uint32_t h;

	channel_open(4, 8);
	for (int i = 0; i < 50; i++) {
		h = channel_handle(&old_owner);
		chan_recv(ch, h, slot(1));
		mp_flush(ch);
		CHECK(fake_deliver(fake_nth(0), "abc", 3, 0, false));
		chan_unregister(ch, h);
		CHECK_EQ(fake_lent(), 1);
		channel_no_more();
		CHECK_EQ(fake_lent(), 0);
		CHECK(!chan_buffers_low(ch));
	}
}

static void stream_of_the_dead(void)
{
	uint32_t h;

	channel_open(4, 8);
	h = channel_handle(&old_owner);
	chan_recv_stream(ch, h, slot(1));
	mp_flush(ch);
	fake_deliver(fake_nth(0), "a", 1, 0, true);
	chan_unregister(ch, h);
	fake_deliver(fake_nth(0), "b", 1, 0, true);
	fake_deliver(fake_nth(0), "c", 1, 0, false);
	CHECK_EQ(fake_count(), 0);
	CHECK_EQ(fake_lent(), 3);
	channel_no_more();
	CHECK_EQ(fake_lent(), 0);
}

/* Between two dead ones the living is found. */
static void among_others(void)
{
	uint32_t a, b, c;
	struct chan_event ev;

	channel_open(4, 8);
	a = channel_handle(&old_owner);
	b = channel_handle(&new_owner);
	c = channel_handle(&old_owner);
	chan_recv(ch, a, slot(1));
	chan_recv(ch, b, slot(2));
	chan_recv(ch, c, slot(3));
	mp_flush(ch);
	for (int i = 0; i < 3; i++)
		fake_deliver(fake_nth(0), &"123"[i], 1, 0, false);
	chan_unregister(ch, a);
	chan_unregister(ch, c);
	ev = channel_next(&new_owner, CHAN_OP_RECV);
	CHECK_EQ(ev.handle, b);
	CHECK_EQ(ev.result, 1);
	CHECK_EQ(*ev.data, '2');
	channel_no_more();
	CHECK_EQ(fake_lent(), 1);
	chan_put_buffer(ch, ev.buffer);
	CHECK_EQ(fake_lent(), 0);
}

/* A cancel's own completion is nobody's, and no stale one either. */
static void cancels_are_silent(void)
{
	uint32_t h;

	channel_open(4, 8);
	h = channel_handle(&new_owner);
	chan_recv(ch, h, slot(1));
	mp_flush(ch);
	chan_cancel(ch, h, CHAN_OP_RECV);
	chan_cancel(ch, h, CHAN_OP_POLL);
	stat_line->counter[STAT_stale] = 0;
	mp_flush(ch);
	CHECK_EQ(fake.completions, 3);
	CHECK_EQ(channel_next(&new_owner, CHAN_OP_RECV).result, -ECANCELED);
	channel_no_more();
	CHECK_EQ(stat_line->counter[STAT_stale], 0);
}

static const struct unit_case cases[] = {
	{ "the handle died before the completion", after_unregister },
	{ "the handle died before it was read", while_unread },
	{ "the next owner of the index does not get it", index_reused },
	{ "its buffer is given back", buffer_comes_back },
	{ "all buffers of a stream are given back", stream_of_the_dead },
	{ "the living among the dead", among_others },
	{ "a cancel itself is not seen", cancels_are_silent },
};

UNIT_MAIN(cases)
