/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: the three flush rules: a full batch, a wait, an explicit call;
 * and nothing else enters the kernel.
 */
#include <signal.h>

#include "fake_channel.h"

static char owner;

static uint32_t start(unsigned int batch)
{
	channel_open(batch, 8);
	return channel_handle(&owner);
}

static void queue_some(uint32_t handle, unsigned int count)
{
	while (count--)
		chan_recv(ch, handle, slot(1));
}

static void nothing_by_itself(void)
{
	uint32_t handle = start(4);
	struct chan_event ev;

	queue_some(handle, 20);
	CHECK(!chan_dispatch(ch, &ev));
	CHECK(!chan_ready(ch));
	CHECK(!chan_has_work(ch));
	CHECK_EQ(fake.enters, 0);
	CHECK_EQ(fake_queued(), 20);
}

static void announced(void)
{
	start(4);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++)
			CHECK(!chan_announce(ch));
		CHECK(chan_announce(ch));
		chan_flush_reap(ch);
	}
	CHECK_EQ(fake.enters, 3);
}

static void batch_of_one(void)
{
	start(1);
	CHECK(chan_announce(ch));
	CHECK(chan_announce(ch));
}

/* What was announced before a wait went out with it. */
static void wait_begins_anew(void)
{
	uint32_t handle = start(4);

	CHECK(!chan_announce(ch));
	CHECK(!chan_announce(ch));
	CHECK(!chan_announce(ch));
	queue_some(handle, 1);
	chan_wait(ch, 0, NULL);
	CHECK(!chan_announce(ch));
	CHECK(!chan_announce(ch));
	CHECK(!chan_announce(ch));
	CHECK(chan_announce(ch));
}

static void one_enter_submits_and_waits(void)
{
	uint32_t handle = start(4);
	sigset_t mask;

	sigemptyset(&mask);
	queue_some(handle, 3);
	CHECK_EQ(chan_wait(ch, 1234567, &mask), 0);
	CHECK_EQ(fake.enters, 1);
	CHECK_EQ(fake.waits, 1);
	CHECK_EQ(fake.sent_in_last, 3);
	CHECK_EQ(fake.wait_ns, 1234567);
	CHECK(fake.wait_mask == &mask);
}

static void wait_result(void)
{
	start(4);
	fake.wait_result = -EINTR;
	CHECK_EQ(chan_wait(ch, -1, NULL), -EINTR);
	CHECK_EQ(fake.wait_ns, -1);
	CHECK(!fake.wait_mask);
}

/* Without a time: it submits and collects, and does not enter for nothing. */
static void wait_of_no_time(void)
{
	uint32_t handle = start(4);

	CHECK_EQ(chan_wait(ch, 0, NULL), 0);
	CHECK_EQ(fake.enters, 0);
	fake.defer = true;
	queue_some(handle, 2);
	CHECK_EQ(chan_wait(ch, 0, NULL), 0);
	CHECK_EQ(fake.sent_in_last, 2);
	CHECK_EQ(chan_wait(ch, 0, NULL), 0);
	CHECK_EQ(fake.enters, 1);
	fake_complete(fake_nth(0), 0, 0);
	CHECK_EQ(chan_wait(ch, 0, NULL), 0);
	channel_next(&owner, CHAN_OP_RECV);
	channel_no_more();
	CHECK_EQ(fake.reaps, 2);
	CHECK_EQ(fake.waits, 0);
	fake_complete(fake_nth(0), 0, 0);
	fake.silent_rounds = 2;
	CHECK_EQ(chan_wait(ch, 0, NULL), 0);
	channel_next(&owner, CHAN_OP_RECV);
	CHECK_EQ(fake.reaps, 5);
}

static void explicit(void)
{
	uint32_t handle = start(100);

	queue_some(handle, 5);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(fake.submits, 1);
	CHECK_EQ(fake.enters, 1);
	CHECK_EQ(fake_count(), 5);
	CHECK_EQ(fake_queued(), 0);
}

/* With nothing queued a flush is free, a reap is not: it may bring some. */
static void empty(void)
{
	start(4);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(fake.enters, 0);
	CHECK_EQ(chan_flush_reap(ch), 0);
	CHECK_EQ(fake.reaps, 1);
}

static void reap_collects(void)
{
	uint32_t handle = start(4);

	fake.defer = true;
	queue_some(handle, 1);
	mp_flush(ch);
	fake_complete(fake_nth(0), 0, 0);
	CHECK(!chan_ready(ch));
	CHECK(chan_has_work(ch));
	channel_no_more();
	CHECK_EQ(chan_flush_reap(ch), 0);
	CHECK(chan_ready(ch));
	CHECK(chan_has_work(ch));
	channel_next(&owner, CHAN_OP_RECV);
	channel_no_more();
	CHECK(!chan_has_work(ch));
}

static void errors(void)
{
	uint32_t handle = start(4);

	queue_some(handle, 1);
	fake.enter_error = -EBADR;
	CHECK_EQ(mp_flush(ch), -EBADR);
	fake.enter_error = -EBADR;
	CHECK_EQ(chan_flush_reap(ch), -EBADR);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(fake_count(), 1);
}

static const struct unit_case cases[] = {
	{ "queueing and dispatching never enter", nothing_by_itself },
	{ "a full batch is announced, again and again", announced },
	{ "a batch of one", batch_of_one },
	{ "a wait begins a new batch", wait_begins_anew },
	{ "one enter submits and waits, as it was told",
	  one_enter_submits_and_waits },
	{ "a wait says how it ended", wait_result },
	{ "a wait of no time sets no timer, and enters only for something",
	  wait_of_no_time },
	{ "an explicit flush", explicit },
	{ "an empty flush does not enter, a reap does", empty },
	{ "a reap brings what is pending", reap_collects },
	{ "a failed enter is said, and keeps the queue", errors },
};

UNIT_MAIN(cases)
