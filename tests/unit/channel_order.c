/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: requests reach the kernel in the order of the calls, whatever
 * has to be flushed between them.
 */
#include "fake_channel.h"

static char owner;

static void expect(unsigned int n, enum fake_op op)
{
	const struct fake_req *req = fake_nth(n);

	CHECK(req);
	CHECK_EQ(req->op, op);
}

static void each_kind(void)
{
	static struct sockaddr_storage addr;
	static socklen_t len;
	const int one = 1;
	struct iovec iov = { "x", 1 };
	uint32_t h;

	channel_open(4, 8);
	fake.hold_cancels = true;
	h = channel_handle(&owner);
	chan_setsockopt(ch, h, slot(3), 6, 1, &one, sizeof(one));
	chan_accept(ch, h, 5, &addr, &len, true);
	chan_recv_stream(ch, h, slot(3));
	chan_cancel(ch, h, CHAN_OP_RECV);
	chan_send(ch, h, slot(3), &iov, 1, 0);
	chan_poll(ch, h, slot(3), 4, true);
	chan_close(ch, h, slot(3));
	mp_flush(ch);
	expect(0, FAKE_SETSOCKOPT);
	expect(1, FAKE_ACCEPT);
	expect(2, FAKE_RECV);
	expect(3, FAKE_CANCEL);
	expect(4, FAKE_SEND);
	expect(5, FAKE_POLL);
	expect(6, FAKE_CLOSE);
	CHECK_EQ(fake_count(), 7);
	CHECK_EQ(fake_nth(3)->target, fake_nth(2)->cookie);
	CHECK(fake_nth(2)->stream);
	CHECK(fake_nth(1)->direct);
}

/* More requests than entries: flushed between, none lost or overtaken. */
static void more_than_fit(void)
{
	unsigned int i, count;
	char bytes[600];
	uint32_t h;

	channel_open(10000, 8);
	h = channel_handle(&owner);
	count = fake.entries * 2 + 7;
	CHECK(count <= sizeof(bytes));
	for (i = 0; i < count; i++) {
		struct iovec iov = { &bytes[i], 1 };

		chan_send(ch, h, slot(1), &iov, 1, 0);
	}
	mp_flush(ch);
	CHECK_EQ(fake_count(), count);
	for (i = 0; i < count; i++)
		CHECK(fake_nth(i)->iov[0].iov_base == &bytes[i]);
	CHECK(fake.enters >= 3);
}

/* A send and its close are taken by the kernel in one piece, or the close
 * would not wait for the send. */
static void pairs_stay_together(void)
{
	struct iovec iov = { "x", 1 };
	uint32_t h;

	for (unsigned int lead = 0; lead < 3; lead++) {
		channel_open(10000, 8);
		h = channel_handle(&owner);
		for (unsigned int i = 0; i < lead; i++)
			chan_recv(ch, h, slot(1));
		while (fake.entries - fake_queued() > 1)
			chan_recv(ch, h, slot(1));
		chan_send_close(ch, h, slot(2), &iov, 1, 0);
		CHECK_EQ(fake_queued(), 2);
		CHECK(fake_queued_nth(1)->linked);
		mp_flush(ch);
		CHECK(fake_find(FAKE_CLOSE, 0)->linked);
	}
}

/* Headers and options are copied: each request has memory of its own until
 * the kernel has read it. */
static void memory_of_their_own(void)
{
	unsigned int i, count;
	char bytes[1400];
	uint32_t h;

	channel_open(10000, 8);
	h = channel_handle(&owner);
	count = fake.entries * 2;
	CHECK(2 * count + 2 <= sizeof(bytes));
	for (i = 0; i < count; i++) {
		struct iovec iov[2] = {
			{ &bytes[2 * i], 1 }, { &bytes[2 * i + 1], 2 },
		};

		if (i % 2)
			chan_setsockopt(ch, h, slot(1), 6, 1, &i, sizeof(i));
		else
			chan_send(ch, h, slot(1), iov, 2, 0);
		memset(iov, 0xee, sizeof(iov));
	}
	mp_flush(ch);
	CHECK_EQ(fake_count(), count);
	for (i = 0; i < count; i++) {
		const struct fake_req *req = fake_nth(i);

		if (i % 2) {
			CHECK_MEM(req->option, &i, sizeof(i));
			continue;
		}
		CHECK_EQ(req->parts, 2);
		CHECK(req->iov[0].iov_base == &bytes[2 * i]);
		CHECK(req->iov[1].iov_base == &bytes[2 * i + 1]);
		CHECK_EQ(req->len, 3);
	}
}

static void completions_keep_order(void)
{
	uint32_t h;

	channel_open(4, 8);
	h = channel_handle(&owner);
	for (int i = 0; i < 5; i++)
		chan_poll(ch, h, slot(i), 1, false);
	mp_flush(ch);
	fake_complete(fake_nth(3), 103, 0);
	fake_complete(fake_nth(0), 100, 0);
	fake_complete(fake_nth(1), 102, 0);
	CHECK_EQ(channel_next(&owner, CHAN_OP_POLL).result, 103);
	CHECK_EQ(channel_next(&owner, CHAN_OP_POLL).result, 100);
	CHECK_EQ(channel_next(&owner, CHAN_OP_POLL).result, 102);
	channel_no_more();
}

static const struct unit_case cases[] = {
	{ "each kind of request, as called", each_kind },
	{ "more than the ring has entries", more_than_fit },
	{ "send and close are never parted", pairs_stay_together },
	{ "a queued request keeps its own header", memory_of_their_own },
	{ "completions are read in their order", completions_keep_order },
};

UNIT_MAIN(cases)
