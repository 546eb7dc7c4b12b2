/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: sends of one and of several parts, alone and with the close
 * linked behind.
 */
#include "fake_channel.h"

static char owner;
static struct fake_req *req;
static uint32_t handle;

static void start(void)
{
	channel_open(4, 8);
	handle = channel_handle(&owner);
}

static void one_part(void)
{
	char text[] = "hello", got[8] = "";
	struct iovec iov = { text, 5 };

	start();
	chan_send(ch, handle, slot(4), &iov, 1, 0);
	mp_flush(ch);
	req = fake_find(FAKE_SEND, 0);
	CHECK_EQ(req->file.fd, 4);
	CHECK(req->file.lw);
	CHECK(!req->link);
	CHECK_EQ(req->flags, MSG_WAITALL | MSG_NOSIGNAL);
	fake_sent(req, 5, got);
	CHECK_MEM(got, "hello", 5);
	CHECK_EQ(channel_next(&owner, CHAN_OP_SEND).result, 5);
	channel_no_more();
}

static void several_parts(void)
{
	char text[] = "abcdefghijklmnop", got[17] = "";
	struct iovec iov[8];

	for (unsigned int count = 2; count <= 8; count++) {
		start();
		for (unsigned int i = 0; i < count; i++)
			iov[i] = (struct iovec){ text + 2 * i, 2 };
		chan_send(ch, handle, slot(4), iov, count, MSG_MORE);
		memset(iov, 0, sizeof(iov));
		mp_flush(ch);
		req = fake_find(FAKE_SEND, 0);
		CHECK_EQ(req->parts, count);
		CHECK_EQ(req->flags, MSG_WAITALL | MSG_NOSIGNAL | MSG_MORE);
		fake_sent(req, (int)(2 * count), got);
		CHECK_MEM(got, text, 2 * count);
		CHECK_EQ(channel_next(&owner, CHAN_OP_SEND).result, 2 * count);
	}
}

static void send_close(unsigned int parts)
{
	struct iovec iov[2] = { { "abc", 3 }, { "de", 2 } };

	start();
	chan_send_close(ch, handle, slot(4), iov, parts, 0);
	mp_flush(ch);
	CHECK_EQ(fake_count(), 2);
	req = fake_nth(0);
	CHECK_EQ(req->op, FAKE_SEND);
	CHECK(req->link);
	/* The FIN rides on the last bytes. */
	CHECK_EQ(req->flags, MSG_WAITALL | MSG_NOSIGNAL | MSG_MORE);
	CHECK_EQ(fake_nth(1)->op, FAKE_CLOSE);
	CHECK_EQ(fake_nth(1)->file.fd, 4);
	CHECK(fake_nth(1)->file.lw);
	CHECK(!fake_startable(fake_nth(1)));
}

static void close_after_send(void)
{
	for (unsigned int parts = 1; parts <= 2; parts++) {
		send_close(parts);
		fake_sent(req, parts == 1 ? 3 : 5, NULL);
		CHECK_EQ(fake_count(), 1);
		CHECK(fake_startable(fake_nth(0)));
		fake_complete(fake_nth(0), 0, 0);
		CHECK_EQ(channel_next(&owner, CHAN_OP_SEND).result,
			 parts == 1 ? 3 : 5);
		CHECK_EQ(channel_next(&owner, CHAN_OP_CLOSE).result, 0);
		channel_no_more();
	}
}

static void fell_short(void)
{
	static const int results[] = { 0, 1, 4, -EPIPE, -ECONNRESET, -EINTR };

	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		send_close(2);
		fake_sent(req, results[i], NULL);
		CHECK_EQ(fake_count(), 0);
		CHECK_EQ(channel_next(&owner, CHAN_OP_SEND).result, results[i]);
		CHECK_EQ(channel_next(&owner, CHAN_OP_CLOSE).result,
			 -ECANCELED);
		channel_no_more();
	}
}

/* Only its own send holds a close up. */
static void link_ends_with_the_pair(void)
{
	struct iovec iov = { "abc", 3 };

	start();
	chan_send_close(ch, handle, slot(4), &iov, 1, 0);
	chan_send(ch, handle, slot(5), &iov, 1, 0);
	chan_close(ch, handle, slot(6));
	mp_flush(ch);
	CHECK_EQ(fake_count(), 4);
	CHECK(fake_nth(1)->linked);
	CHECK(!fake_nth(1)->link);
	CHECK(!fake_nth(2)->linked);
	CHECK(!fake_nth(2)->link);
	CHECK(!fake_nth(3)->linked);
}

static void close_alone(void)
{
	start();
	chan_close(ch, handle, (struct chan_file){ .fd = 77 });
	mp_flush(ch);
	req = fake_nth(0);
	CHECK_EQ(req->op, FAKE_CLOSE);
	CHECK_EQ(req->file.fd, 77);
	CHECK(!req->file.lw);
	fake_complete(req, -EBADF, 0);
	CHECK_EQ(channel_next(&owner, CHAN_OP_CLOSE).result, -EBADF);
}

static const struct unit_case cases[] = {
	{ "one part", one_part },
	{ "two to eight parts, whose list may go", several_parts },
	{ "send and close: the close waits", close_after_send },
	{ "a send that fell short: the close is cancelled", fell_short },
	{ "the next request does not wait", link_ends_with_the_pair },
	{ "close alone", close_alone },
};

UNIT_MAIN(cases)
