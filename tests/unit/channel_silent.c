/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: sends that are tried once: done when nothing was said, and
 * what a wait counts as an event.
 */
#include "fake_channel.h"

static char owners[3];
static uint32_t handles[3];
static const struct iovec iov = { "hello", 5 };
static int results[3];

/* The kernel tries while requests are submitted. */
static void try_all(enum fake_enter how)
{
	struct fake_req *req;

	for (int i = 0; (req = fake_find(FAKE_SEND, 0)) && req->once;
	     i = (i + 1) % 3) {
		if (req->link && results[i] == 5) {
			fake_sent(req, 5, NULL);
			fake_complete(fake_find(FAKE_CLOSE, 0), 0, 0);
		} else {
			fake_sent(req, results[i], NULL);
		}
	}
}

static void start(void)
{
	channel_open(4, 8);
	fake.on_enter = try_all;
	for (int i = 0; i < 3; i++) {
		handles[i] = channel_handle(&owners[i]);
		results[i] = 5;
	}
}

static void all_sent(void)
{
	start();
	for (int i = 0; i < 3; i++)
		chan_try_send(ch, handles[i], slot(i), &iov, 1, 0);
	channel_no_more();
	mp_flush(ch);
	CHECK_EQ(fake.completions, 0);
	CHECK(chan_ready(ch));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(channel_next(&owners[i], CHAN_OP_SEND).result, 5);
	channel_no_more();
}

static void one_falls_short(void)
{
	static const int shorts[] = { 0, 3, -EAGAIN, -EPIPE };

	for (size_t n = 0; n < ARRAY_SIZE(shorts); n++) {
		start();
		results[1] = shorts[n];
		for (int i = 0; i < 3; i++)
			chan_try_send(ch, handles[i], slot(i), &iov, 1, 0);
		mp_flush(ch);
		CHECK_EQ(fake.completions, 1);
		CHECK_EQ(channel_next(&owners[1], CHAN_OP_SEND).result,
			 shorts[n]);
		CHECK_EQ(channel_next(&owners[0], CHAN_OP_SEND).result, 5);
		CHECK_EQ(channel_next(&owners[2], CHAN_OP_SEND).result, 5);
		channel_no_more();
	}
}

/* Nothing is known of requests that the kernel did not take. */
static void refused_enter(void)
{
	start();
	chan_try_send(ch, handles[0], slot(0), &iov, 1, 0);
	fake.enter_error = -EAGAIN;
	CHECK_EQ(mp_flush(ch), -EAGAIN);
	channel_no_more();
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(channel_next(&owners[0], CHAN_OP_SEND).result, 5);
}

/* A completion that found no room may be the one that tells. */
static void overflow(void)
{
	struct chan_event ev;

	start();
	chan_try_send(ch, handles[0], slot(0), &iov, 1, 0);
	mp_flush(ch);
	fake.overflowed = true;
	CHECK(!chan_dispatch(ch, &ev));
	CHECK(chan_ready(ch));
	fake.overflowed = false;
	CHECK_EQ(channel_next(&owners[0], CHAN_OP_SEND).result, 5);
}

static void dead_handle(void)
{
	start();
	chan_try_send(ch, handles[0], slot(0), &iov, 1, 0);
	chan_try_send(ch, handles[1], slot(1), &iov, 1, 0);
	mp_flush(ch);
	chan_unregister(ch, handles[0]);
	CHECK_EQ(channel_next(&owners[1], CHAN_OP_SEND).result, 5);
	channel_no_more();
}

static void more_than_there_is_room_for(void)
{
	unsigned int i, n = 0;
	struct chan_event ev;

	start();
	for (i = 0; i < 400; i++)
		chan_try_send(ch, handles[0], slot(0), &iov, 1, 0);
	mp_flush(ch);
	while (chan_dispatch(ch, &ev))
		n += ev.op == CHAN_OP_SEND && ev.result == 5;
	CHECK_EQ(n, 400);
}

static void close_behind(void)
{
	start();
	chan_try_send_close(ch, handles[0], slot(0), &iov, 1, 0);
	CHECK(fake_queued_nth(0)->link);
	CHECK(fake_queued_nth(0)->flags & MSG_MORE);
	mp_flush(ch);
	CHECK_EQ(channel_next(&owners[0], CHAN_OP_SEND).result, 5);
	channel_no_more();
	CHECK_EQ(fake_count(), 0);

	results[0] = -EAGAIN;
	chan_try_send_close(ch, handles[0], slot(0), &iov, 1, 0);
	mp_flush(ch);
	CHECK_EQ(channel_next(&owners[0], CHAN_OP_SEND).result, -EAGAIN);
	CHECK_EQ(channel_next(&owners[0], CHAN_OP_CLOSE).result, -ECANCELED);
	channel_no_more();
}

static void what_a_wait_counts(void)
{
	struct chan_event ev;

	start();
	chan_recv(ch, handles[2], slot(2));
	chan_try_send(ch, handles[0], slot(0), &iov, 1, 0);
	chan_try_send_close(ch, handles[1], slot(1), &iov, 1, 0);
	CHECK_EQ(chan_wait(ch, 1000, NULL), 0);
	CHECK_EQ(fake.wait_count, 2);
	while (chan_dispatch(ch, &ev))
		;
	CHECK_EQ(chan_wait(ch, 1000, NULL), 0);
	CHECK_EQ(fake.wait_count, 1);
	/* Handed over before: its end is there already, and counts. */
	chan_close(ch, handles[0], slot(0));
	chan_expect(ch);
	mp_flush(ch);
	CHECK_EQ(chan_wait(ch, 1000, NULL), 0);
	CHECK_EQ(fake.wait_count, 1);
}

static void without_the_feature(void)
{
	start();
	fake.caps.silent = false;
	chan_try_send(ch, handles[0], slot(0), &iov, 1, 0);
	chan_try_send_close(ch, handles[1], slot(1), &iov, 1, 0);
	CHECK_EQ(chan_wait(ch, 1000, NULL), 0);
	CHECK_EQ(fake.wait_count, 1);
	CHECK_EQ(fake.completions, 3);
	CHECK_EQ(channel_next(&owners[0], CHAN_OP_SEND).result, 5);
	CHECK_EQ(channel_next(&owners[1], CHAN_OP_SEND).result, 5);
	CHECK_EQ(channel_next(&owners[1], CHAN_OP_CLOSE).result, 0);
	channel_no_more();
}

static const struct unit_case cases[] = {
	{ "all sent: nothing is said, each is told", all_sent },
	{ "one falls short: that is told first", one_falls_short },
	{ "an enter that took nothing", refused_enter },
	{ "completions without room", overflow },
	{ "a handle that died meanwhile", dead_handle },
	{ "more than can be remembered", more_than_there_is_room_for },
	{ "with a close behind", close_behind },
	{ "what a wait counts", what_a_wait_counts },
	{ "a kernel without silent requests", without_the_feature },
};

UNIT_MAIN(cases)
