/* SPDX-License-Identifier: MIT */
/*
 * Description: the paper's interface on the fake ring: what the kernel has,
 * and completions as they are dispatched.
 */
#ifndef MP_TEST_FAKE_FRONT_H
#define MP_TEST_FAKE_FRONT_H

#include "fake_channel.h"

/* A handle of descriptor *fd*, which no system call is made with. */
static inline struct mp_handle *front_handle(int fd, void *cookie)
{
	struct mp_handle *h;

	CHECK_EQ(mp_register(ch, fd, cookie, NULL, &h), 0);
	return h;
}

/* The only request of its kind that the kernel has. */
static inline struct fake_req *front_only(enum fake_op op)
{
	struct fake_req *req = fake_find(op, 0);

	CHECK(req != NULL);
	CHECK(!fake_find(op, 1));
	return req;
}

static inline void front_none(enum fake_op op)
{
	CHECK(!fake_find(op, 0));
}

/* A completion that is there: the ring is not entered for it. */
static inline struct mp_completion front_next(struct mp_handle *h,
					      enum mp_op op, int result)
{
	struct mp_completion c;
	unsigned int enters = fake.enters;

	memset(&c, 0x5a, sizeof(c));
	CHECK_EQ(mp_dispatch(ch, &c, 0), 1);
	CHECK_EQ(fake.enters, enters);
	CHECK((struct mp_handle *)c.handle == h);
	CHECK_EQ(c.op, op);
	CHECK_EQ(c.result, result);
	return c;
}

static inline void front_nothing(void)
{
	struct mp_completion c;

	CHECK_EQ(mp_dispatch(ch, &c, 0), 0);
}

/* Makes a descriptor known as a socket's: its first request has succeeded. */
static inline void front_known(struct mp_handle *h)
{
	char c;

	CHECK_EQ(mp_read(h, &c, 1), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fake_fill(front_only(FAKE_RECV_INTO), "k", 1);
	front_next(h, MP_OP_READ, 1);
}

#endif
