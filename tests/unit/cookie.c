/* SPDX-License-Identifier: MIT */
/*
 * Description: the layout of a request's cookie.
 */
#include "../../core/cookie.h"
#include "unit.h"

static const uint32_t generations[] = {
	0, 1, 0x7fffff, 0x800000, COOKIE_GEN_MASK,
};
static const uint32_t indices[] = { 0, 1, 0x7fffffff, 0x80000000, UINT32_MAX };

static void layout(void)
{
	CHECK_EQ(cookie_make(CHAN_OP_RECV, 0, 0), 2ull << 56);
	CHECK_EQ(cookie_make(CHAN_OP_NONE, 1, 0), 1ull << 32);
	CHECK_EQ(cookie_make(CHAN_OP_NONE, 0, 1), 1);
	CHECK_EQ(cookie_make(CHAN_OP_NONE, 0, 0), 0);
}

static void all_parts_come_back(void)
{
	for (int op = 0; op < CHAN_OP_MAX; op++)
		for (size_t g = 0; g < ARRAY_SIZE(generations); g++)
			for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
				uint64_t c = cookie_make(op, generations[g],
							 indices[i]);

				CHECK_EQ(cookie_op(c), op);
				CHECK_EQ(cookie_gen(c), generations[g]);
				CHECK_EQ(cookie_index(c), indices[i]);
			}
}

/* A generation too large must not become another operation. */
static void generation_wraps(void)
{
	uint64_t c = cookie_make(CHAN_OP_SEND, COOKIE_GEN_MASK + 1, 7);

	CHECK_EQ(cookie_op(c), CHAN_OP_SEND);
	CHECK_EQ(cookie_gen(c), 0);
	CHECK_EQ(cookie_index(c), 7);
	c = cookie_make(CHAN_OP_SEND, UINT32_MAX, 7);
	CHECK_EQ(cookie_op(c), CHAN_OP_SEND);
	CHECK_EQ(cookie_gen(c), COOKIE_GEN_MASK);
}

/* The requests of one handle can be told apart, and cookie 0 is nobody's:
 * ring_find() writes it over what it took. */
static void distinct(void)
{
	for (int a = 0; a < CHAN_OP_MAX; a++)
		for (int b = 0; b < a; b++)
			CHECK(cookie_make(a, 3, 9) != cookie_make(b, 3, 9));
	CHECK(cookie_make(CHAN_OP_RECV, 1, 9) !=
	      cookie_make(CHAN_OP_RECV, 2, 9));
	CHECK_EQ(cookie_op(0), CHAN_OP_NONE);
	CHECK(CHAN_OP_MAX <= 256);
}

static const struct unit_case cases[] = {
	{ "op, generation and index have their places", layout },
	{ "what was put in comes out", all_parts_come_back },
	{ "a large generation stays in its field", generation_wraps },
	{ "two requests never share a cookie", distinct },
};

UNIT_MAIN(cases)
