/* SPDX-License-Identifier: MIT */
/*
 * Description: handles are reused with a new generation, and run out.
 */
#include "../../core/cookie.h"
#include "../../core/handle.h"
#include "unit.h"

static struct handle_table table;
static char owners[1000];

static void open_table(void)
{
	handle_table_close(&table);
	CHECK_EQ(handle_table_open(&table), 0);
}

static uint32_t open_handle(void *owner)
{
	int index = handle_open(&table, owner);

	CHECK(index > 0);
	return (uint32_t)index;
}

static void nobody(void)
{
	open_table();
	CHECK(!handle_owner(&table, 0, 0));
	CHECK(!handle_owner(&table, 1, 0));
	CHECK(!handle_owner(&table, HANDLE_MAX - 1, 0));
	CHECK(!handle_owner(&table, HANDLE_MAX, 0));
	CHECK(!handle_owner(&table, UINT32_MAX, 0));
	open_handle(&owners[0]);
	CHECK(!handle_owner(&table, 0, 0));
}

static void many(void)
{
	uint32_t index[ARRAY_SIZE(owners)];

	open_table();
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
		index[i] = open_handle(&owners[i]);
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		uint32_t gen = handle_gen(&table, index[i]);

		CHECK(handle_owner(&table, index[i], gen) == &owners[i]);
	}
}

static void reuse(void)
{
	uint32_t a, b, gen_a;

	open_table();
	a = open_handle(&owners[0]);
	gen_a = handle_gen(&table, a);
	handle_close(&table, a);
	CHECK(!handle_owner(&table, a, gen_a));
	CHECK(!handle_owner(&table, a, handle_gen(&table, a)));
	b = open_handle(&owners[1]);
	CHECK_EQ(b, a);
	CHECK(handle_gen(&table, b) != gen_a);
	CHECK(!handle_owner(&table, a, gen_a));
	CHECK(handle_owner(&table, b, handle_gen(&table, b)) == &owners[1]);
}

static void generations_are_new(void)
{
	uint32_t index, seen[300], n;

	open_table();
	for (n = 0; n < ARRAY_SIZE(seen); n++) {
		index = open_handle(&owners[0]);
		seen[n] = handle_gen(&table, index);
		for (uint32_t i = 0; i < n; i++)
			CHECK(seen[i] != seen[n]);
		handle_close(&table, index);
	}
}

/* A cookie has 24 bits of it: the table must not count further. */
static void generation_wraps(void)
{
	uint32_t index;

	open_table();
	index = open_handle(&owners[0]);
	table.entries[index].gen = COOKIE_GEN_MASK;
	CHECK(handle_owner(&table, index, COOKIE_GEN_MASK) == &owners[0]);
	handle_close(&table, index);
	CHECK_EQ(handle_gen(&table, index), 0);
}

static void close_in_the_middle(void)
{
	uint32_t index[10], gen[10];

	open_table();
	for (int i = 0; i < 10; i++) {
		index[i] = open_handle(&owners[i]);
		gen[i] = handle_gen(&table, index[i]);
	}
	for (int i = 0; i < 10; i += 2)
		handle_close(&table, index[i]);
	for (int i = 0; i < 10; i++)
		CHECK(handle_owner(&table, index[i], gen[i]) ==
		      (i % 2 ? &owners[i] : NULL));
	/* What comes next takes those places, before new ones. */
	for (int i = 0; i < 5; i++)
		CHECK(open_handle(&owners[20 + i]) <= index[9]);
	CHECK(open_handle(&owners[30]) > index[9]);
}

static void full(void)
{
	uint32_t last = 0;

	open_table();
	table.size = 5;		/* as HANDLE_MAX, sooner */
	for (int i = 0; i < 4; i++)
		last = open_handle(&owners[i]);
	CHECK_EQ(handle_open(&table, &owners[4]), -ENOMEM);
	CHECK_EQ(handle_open(&table, &owners[4]), -ENOMEM);
	handle_close(&table, last);
	CHECK_EQ(open_handle(&owners[5]), last);
	CHECK_EQ(handle_open(&table, &owners[6]), -ENOMEM);
}

static void close_table(void)
{
	open_table();
	open_handle(&owners[0]);
	handle_table_close(&table);
	CHECK(!handle_owner(&table, 1, 0));
	handle_table_close(&table);
}

static const struct unit_case cases[] = {
	{ "an index that was never given is nobody", nobody },
	{ "a thousand owners are found", many },
	{ "a reused index has a new generation, the old is nobody", reuse },
	{ "no generation comes back soon", generations_are_new },
	{ "the generation wraps as in a cookie", generation_wraps },
	{ "closed ones are nobody, their places are taken first",
	  close_in_the_middle },
	{ "a full table says ENOMEM and recovers", full },
	{ "a closed table has nobody", close_table },
};

UNIT_MAIN(cases)
