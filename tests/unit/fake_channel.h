/* SPDX-License-Identifier: MIT */
/*
 * Description: a channel on the fake ring, new for each case.
 */
#ifndef MP_TEST_FAKE_CHANNEL_H
#define MP_TEST_FAKE_CHANNEL_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/channel.h"
#include "../fake/fake.h"
#include "unit.h"

static struct mp_channel *ch;

/* A case that failed may have left its channel behind. */
static inline void channel_close(void)
{
	struct mp_channel *old = ch;

	ch = NULL;
	if (old)
		mp_destroy(old);
}

static inline void channel_open(unsigned int batch, unsigned int buffers)
{
	const struct mp_options options = {
		.size = sizeof(options), .batch = batch, .buffers = buffers,
		.lwsockets = 64,
	};
	static bool first = true;

	/* The last case's channel: a leak checker does not see into the
	 * mapped memory that holds its pointers. */
	if (first)
		atexit(channel_close);
	first = false;
	channel_close();
	fake_reset();
	CHECK_EQ(mp_create(&options, &ch), 0);
}

/* A handle of the owner, which must be given. */
static inline uint32_t channel_handle(void *owner)
{
	int handle = chan_register(ch, owner);

	CHECK(handle > 0);
	return (uint32_t)handle;
}

/* The next completion: it is this owner's. */
static inline struct chan_event channel_next(void *owner, enum chan_op op)
{
	struct chan_event ev;

	memset(&ev, 0x5a, sizeof(ev));
	CHECK(chan_dispatch(ch, &ev));
	CHECK_EQ((uintptr_t)ev.owner, (uintptr_t)owner);
	CHECK_EQ(ev.op, op);
	return ev;
}

static inline void channel_no_more(void)
{
	struct chan_event ev;

	CHECK(!chan_dispatch(ch, &ev));
	CHECK(!chan_ready(ch));
}

static inline struct chan_file slot(int number)
{
	return (struct chan_file){ .fd = number, .lw = true };
}

#endif
