/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: unregister, streams without buffers, accepts: what the kernel
 * still has is waited for, what it brings late is nobody's.
 */
#include <unistd.h>

#include "fake_front.h"

static char a[64];
static struct mp_handle *other;
static int lfd = -1;

/* The kernel ends the cancelled request only at the next enter, and brings
 * another completion before it. */
static void late(enum fake_enter how)
{
	struct fake_req *cancel = fake_find(FAKE_CANCEL, 0);

	if (how == FAKE_WAIT && cancel)
		fake_cancel(cancel);
	else if (fake_find(FAKE_SEND, 0))
		fake_sent(fake_find(FAKE_SEND, 0), 2, NULL);
}

static void memory_is_awaited(void)
{
	struct mp_handle *h;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	other = front_handle(11, NULL);
	CHECK_EQ(mp_read(h, a, 1), 0);
	CHECK_EQ(mp_read(h, a, 1), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(mp_write(other, "ok", 2), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake.hold_cancels = true;
	fake.on_enter = late;
	CHECK_EQ(mp_unregister(h), 0);
	CHECK_EQ(fake_count(), 0);
	CHECK(fake.waits > 0);
	front_next(other, MP_OP_WRITE, 2);
	front_nothing();
}

/* It was complete, and even read from the ring, before unregister. */
static void undispatched(void)
{
	struct mp_handle *h, *next;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	other = front_handle(11, NULL);
	CHECK_EQ(mp_read(h, a, 1), 0);
	CHECK_EQ(mp_write(h, "w", 1), 0);
	CHECK_EQ(mp_read(other, a, 1), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake_fill(fake_find(FAKE_RECV_INTO, 0), "x", 1);
	fake_sent(front_only(FAKE_SEND), 1, NULL);
	fake_fill(front_only(FAKE_RECV_INTO), "y", 1);
	front_next(h, MP_OP_READ, 1);
	CHECK_EQ(mp_unregister(h), 0);
	next = front_handle(10, NULL);
	front_next(other, MP_OP_READ, 1);
	front_nothing();
	CHECK_EQ(mp_unregister(next), 0);
}

static void without_memory(void)
{
	struct mp_handle *h;
	unsigned int enters;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	CHECK_EQ(mp_read(h, a, 1), 0);
	enters = fake.enters;
	CHECK_EQ(mp_unregister(h), 0);
	CHECK_EQ(fake.enters, enters);
	front_nothing();
	CHECK_EQ(fake_count(), 0);
}

/* A stream that found no buffer goes on when one comes back, or at once when
 * none is in the caller's hands. */
static void starving(void)
{
	struct mp_completion c, d;
	struct mp_handle *h;

	channel_open(32, 2);
	h = front_handle(10, NULL);
	CHECK_EQ(mp_read_stream(h), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK(!front_only(FAKE_RECV)->stream);
	CHECK(fake_deliver(front_only(FAKE_RECV), "a", 1, 0, false));
	c = front_next(h, MP_OP_READ_STREAM, 1);
	CHECK_EQ(c.more, 1);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK(front_only(FAKE_RECV)->stream);
	CHECK(fake_deliver(front_only(FAKE_RECV), "b", 1, 0, true));
	d = front_next(h, MP_OP_READ_STREAM, 1);
	CHECK(!fake_deliver(front_only(FAKE_RECV), "c", 1, 0, true));
	front_nothing();
	CHECK_EQ(fake_count(), 0);
	CHECK_EQ(mp_buffer_release(ch, c.buffer), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK(fake_deliver(front_only(FAKE_RECV), "c", 1, 0, true));
	c = front_next(h, MP_OP_READ_STREAM, 1);
	CHECK_EQ(*(char *)c.data, 'c');
	CHECK_EQ(mp_buffer_release(ch, c.buffer), 0);
	CHECK_EQ(mp_buffer_release(ch, d.buffer), 0);
	CHECK_EQ(mp_buffer_release(ch, d.buffer), -EINVAL);
	fake_complete(front_only(FAKE_RECV), -ENOBUFS, 0);
	front_nothing();
	fake_complete(front_only(FAKE_RECV), 0, 0);
	CHECK_EQ(front_next(h, MP_OP_READ_STREAM, 0).more, 0);
	CHECK_EQ(fake_lent(), 0);
}

static void stream_unregistered(void)
{
	struct mp_handle *h;

	channel_open(32, 8);
	h = front_handle(10, NULL);
	CHECK_EQ(mp_read_stream(h), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK(fake_deliver(front_only(FAKE_RECV), "a", 1, 0, false));
	CHECK_EQ(mp_unregister(h), 0);
	CHECK_EQ(fake_lent(), 0);
	front_nothing();
}

/* --- accept --------------------------------------------------------------- */

static struct mp_handle *listening(void)
{
	if (lfd < 0) {
		lfd = MUST(socket(AF_INET, SOCK_STREAM, 0));
		MUST(listen(lfd, 5));
	}
	return front_handle(lfd, NULL);
}

static unsigned int accepts(bool direct)
{
	const struct fake_req *req;
	unsigned int i, n = 0;

	for (i = 0; (req = fake_find(FAKE_ACCEPT, i)); i++)
		n += req->direct == direct;
	return n;
}

static void as_many_as_asked(void)
{
	struct mp_handle *h;
	int i;

	channel_open(1000, 8);
	h = listening();
	CHECK_EQ(mp_accept(h, 40, 0), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(accepts(false), 32);
	for (i = 0; i < 40; i++) {
		fake_complete(fake_find(FAKE_ACCEPT, 0), 100 + i, 0);
		CHECK_EQ(front_next(h, MP_OP_ACCEPT, 100 + i).more, i < 39);
		CHECK_EQ(mp_flush(ch), 0);
	}
	CHECK_EQ(fake_count(), 0);
}

/* Slots in use and those that could be: a connection without a slot would be
 * lost. The channel has 64. */
static void slots_are_counted(void)
{
	struct mp_handle *h, *conn = NULL;
	int i;

	channel_open(1000, 8);
	h = listening();
	CHECK_EQ(mp_accept(h, MP_FOREVER, 1), 0);
	for (i = 0; i < 64; i++) {
		struct mp_completion c;

		CHECK_EQ(mp_flush(ch), 0);
		CHECK(accepts(true) > 0);
		CHECK(accepts(true) <= 64u - (unsigned int)i);
		while (!fake_find(FAKE_ACCEPT, 0)->direct)
			fake_complete(fake_find(FAKE_ACCEPT, 0), -EMFILE, 0);
		for (unsigned int n = 0; ; n++)
			if (fake_find(FAKE_ACCEPT, n)->direct) {
				fake_complete(fake_find(FAKE_ACCEPT, n), i, 0);
				break;
			}
		c = front_next(h, MP_OP_ACCEPT, i | MP_LWSOCKET);
		conn = front_handle(c.result, NULL);
	}
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(accepts(true), 0);
	CHECK_EQ(accepts(false), 32);
	/* One ends: the next connection can have its slot. */
	CHECK_EQ(mp_close(conn), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake_complete(front_only(FAKE_CLOSE), 0, 0);
	front_next(conn, MP_OP_CLOSE, 0);
	fake_complete(fake_find(FAKE_ACCEPT, 0), 100, 0);
	front_next(h, MP_OP_ACCEPT, 100);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(accepts(true), 1);
}

/* The first error ends what has not begun; each that has tells its own. */
static void error_stops_the_rest(void)
{
	struct mp_handle *h;
	int i;

	channel_open(1000, 8);
	h = listening();
	CHECK_EQ(mp_accept(h, MP_FOREVER, 0), 0);
	CHECK_EQ(mp_flush(ch), 0);
	for (i = 32; i > 0; i--) {
		fake_complete(fake_find(FAKE_ACCEPT, 0), -EMFILE, 0);
		CHECK_EQ(!!front_next(h, MP_OP_ACCEPT, -EMFILE).more, i > 1);
	}
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(fake_count(), 0);
	CHECK_EQ(mp_accept(h, 1, 0), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(fake_count(), 1);
}

static void listener_closed(void)
{
	struct mp_handle *h;

	channel_open(1000, 8);
	h = listening();
	CHECK_EQ(mp_accept(h, 3, 0), 0);
	CHECK_EQ(mp_flush(ch), 0);
	/* One has come just before: it is told. */
	fake_complete(fake_find(FAKE_ACCEPT, 0), 100, 0);
	CHECK_EQ(mp_close(h), 0);
	front_next(h, MP_OP_ACCEPT, 100);
	front_nothing();
	front_nothing();
	fake_complete(front_only(FAKE_CLOSE), 0, 0);
	front_next(h, MP_OP_CLOSE, 0);
	CHECK_EQ(fake_count(), 0);
}

static const struct unit_case cases[] = {
	{ "unregister waits for what has the caller's memory",
	  memory_is_awaited },
	{ "what was complete is not dispatched", undispatched },
	{ "what the kernel never saw needs no cancel", without_memory },
	{ "a stream without buffers", starving },
	{ "a stream that is unregistered", stream_unregistered },
	{ "as many accepts as asked for, 32 at a time", as_many_as_asked },
	{ "slots are counted", slots_are_counted },
	{ "an error ends the accepts that have not begun",
	  error_stops_the_rest },
	{ "a listener that is closed", listener_closed },
};

UNIT_MAIN(cases)
