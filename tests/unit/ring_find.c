/* SPDX-License-Identifier: MIT */
/*
 * Description: a completion is found among any number of others, which keep
 * their order and are read once.
 */
#include "real_ring.h"

/* More than the 128 places that real_ring.h's ring has for completions. */
#define QUEUE 256
#define MANY (3 * QUEUE)

/* Answered at once: nothing has this cookie. */
static void ask(uint64_t cookie)
{
	if (!ring_room(ring))
		CHECK(ring_submit(ring) > 0);
	ring_cancel(ring, cookie, 999999);
}

static int find(uint64_t cookie)
{
	int res = 0, ret, i;

	for (i = 0; i < 2 * MANY; i++) {
		ret = ring_find(ring, cookie, &res);
		CHECK(ret >= 0);
		if (ret)
			return res;
		CHECK(ring_reap(ring) >= 0);
	}
	CHECK(!"found");
	return 0;
}

static void next_is(uint64_t cookie)
{
	struct ring_event ev;

	do {
		if (!ring_ready(ring))
			CHECK(ring_reap(ring) >= 0);
		CHECK(ring_next(ring, &ev));
	} while (!ev.cookie);
	CHECK_EQ(ev.cookie, cookie);
	CHECK_EQ(ev.res, -ENOENT);
}

/* The others fill the queue and more: what is looked for is behind them. */
static void behind_more_than_fit(void)
{
	for (uint64_t i = 1; i <= MANY; i++)
		ask(i);
	ask(MANY + 1);
	CHECK_EQ(find(MANY + 1), -ENOENT);
	ask(MANY + 2);
	for (uint64_t i = 1; i <= MANY; i++)
		next_is(i);
	next_is(MANY + 2);
	CHECK(!ring_ready(ring));
}

/* One waits to be read; what is found does not pile up behind it. */
static void many_finds(void)
{
	ask(1);
	for (uint64_t i = 2; i < 20 * QUEUE; i++) {
		ask(i);
		CHECK(ring_submit(ring) > 0);
		CHECK_EQ(find(i), -ENOENT);
	}
	next_is(1);
	ask(7);
	next_is(7);
}

static void twice(void)
{
	behind_more_than_fit();
	behind_more_than_fit();
	many_finds();
}

static const struct unit_case cases[] = {
	{ "behind more than the queue holds", behind_more_than_fit },
	{ "one after the other, one waits", many_finds },
	{ "all again", twice },
};

REAL_MAIN(cases)
