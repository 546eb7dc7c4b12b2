/* SPDX-License-Identifier: MIT */
/*
 * Description: objects of a pool: newest freed first, never unmapped.
 */
#include <string.h>

#include "../../core/pool.h"
#include "unit.h"

#define BLOCK 8192
#define COUNT 500

static void lifo(void)
{
	struct pool p = POOL_INIT(64, BLOCK);
	void *a = pool_get(&p), *b = pool_get(&p), *c = pool_get(&p);

	CHECK(a && b && c);
	pool_put(&p, a);
	pool_put(&p, c);
	pool_put(&p, b);
	CHECK(pool_get(&p) == b);
	CHECK(pool_get(&p) == c);
	CHECK(pool_get(&p) == a);
	CHECK_EQ(p.used, 3);
}

static void no_overlap(void)
{
	struct pool p = POOL_INIT(120, BLOCK);
	unsigned char *objects[COUNT];

	for (int i = 0; i < COUNT; i++) {
		objects[i] = pool_get(&p);
		CHECK(objects[i]);
		CHECK_EQ((uintptr_t)objects[i] % 8, 0);
		memset(objects[i], i & 0xff, 120);
	}
	for (int i = 0; i < COUNT; i++)
		for (int j = 0; j < 120; j++)
			CHECK_EQ(objects[i][j], i & 0xff);
	CHECK_EQ(p.used, COUNT);
}

/* What was freed can still be looked at, and is an object again later. */
static void type_stable(void)
{
	struct pool p = POOL_INIT(128, BLOCK);
	char *objects[COUNT];

	for (int i = 0; i < COUNT; i++) {
		objects[i] = pool_get(&p);
		CHECK(objects[i]);
		objects[i][127] = 'x';
	}
	for (int i = 0; i < COUNT; i++)
		pool_put(&p, objects[i]);
	CHECK_EQ(p.used, 0);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(objects[i][127], 'x');
	for (int i = COUNT - 1; i >= 0; i--)
		CHECK(pool_get(&p) == objects[i]);
}

/* In a steady state no block is mapped. */
static void steady(void)
{
	struct pool p = POOL_INIT(64, BLOCK);
	void *first = pool_get(&p);
	char *end = p.end;

	for (int i = 0; i < 100000; i++) {
		pool_put(&p, first);
		CHECK(pool_get(&p) == first);
	}
	CHECK(p.end == end);
}

static void whole_block(void)
{
	struct pool p = POOL_INIT(BLOCK, BLOCK);
	char *a = pool_get(&p), *b = pool_get(&p);

	CHECK(a && b);
	memset(a, 1, BLOCK);
	memset(b, 2, BLOCK);
	CHECK_EQ(a[BLOCK - 1], 1);
}

static void no_memory(void)
{
	struct pool p = POOL_INIT((size_t)1 << 60, (size_t)1 << 60);
	struct pool good = POOL_INIT(64, BLOCK);

	/* Beyond what an address space has: no limit needs to be set. */
	CHECK(!pool_get(&p));
	CHECK_EQ(p.used, 0);
	CHECK(!pool_get(&p));
	CHECK(pool_get(&good));
}

static const struct unit_case cases[] = {
	{ "the newest freed comes first", lifo },
	{ "objects do not overlap", no_overlap },
	{ "a freed object stays readable and comes back", type_stable },
	{ "get and put map nothing", steady },
	{ "an object as large as a block", whole_block },
	{ "without memory NULL, and counted nowhere", no_memory },
};

UNIT_MAIN(cases)
