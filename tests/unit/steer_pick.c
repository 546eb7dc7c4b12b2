/* SPDX-License-Identifier: MIT */
/*
 * Description: which partition gets a connection: of the CPU, lighter, active.
 */
#include <string.h>

#include "../../bpf/steer.h"
#include "unit.h"

static struct steer_table t;

/* *count* partitions, number i active on CPU i. */
static void table(unsigned int count)
{
	unsigned int i;

	memset(&t, 0, sizeof(t));
	t.count = count;
	for (i = 0; i < count; i++) {
		t.parts[i].owner = 100 + i;
		t.parts[i].cpus[i / 64] = 1ull << (i % 64);
	}
}

static void by_cpu(void)
{
	unsigned int cpu;

	table(STEER_PARTS);
	for (cpu = 0; cpu < STEER_PARTS; cpu++)
		CHECK_EQ(steer_pick(&t, cpu, 0), cpu);
}

static void passed_over(void)
{
	table(4);
	t.parts[0].held = t.parts[1].held = 5;
	t.parts[2].paused = 1;
	CHECK_EQ(steer_pick(&t, 2, 0), 3);
	t.parts[3].owner = 0;
	CHECK_EQ(steer_pick(&t, 2, 0), 0);
	CHECK_EQ(steer_pick(&t, 3, 0), 0);
	CHECK_EQ(steer_pick(&t, 1, 0), 1);
}

static void none_active(void)
{
	unsigned int i;

	table(4);
	for (i = 0; i < 4; i++)
		t.parts[i].owner = 0;
	CHECK_EQ(steer_pick(&t, 3, 0), 0);
	table(0);
	CHECK_EQ(steer_pick(&t, 0, 0), 0);
}

static void beyond_count(void)
{
	table(8);
	t.count = 4;
	CHECK_EQ(steer_pick(&t, 6, 0), 0);
}

/* The CPU's own keeps a connection until it is heavier by the margin. */
static void lighter(void)
{
	table(2);
	t.parts[0].held = STEER_SLACK;
	CHECK_EQ(steer_pick(&t, 0, 0), 0);
	t.parts[0].held++;
	CHECK_EQ(steer_pick(&t, 0, 0), 1);
	t.parts[1].held = 800;
	t.parts[0].held = 900 + STEER_SLACK;
	CHECK_EQ(steer_pick(&t, 0, 0), 0);
	t.parts[0].held++;
	CHECK_EQ(steer_pick(&t, 0, 0), 1);
}

/* What is on its way counts; a count that can't be true does not. */
static void queued(void)
{
	table(2);
	t.parts[0].steered = 50;
	t.parts[0].seen = 50 - STEER_SLACK - 1;
	CHECK_EQ(steer_pick(&t, 0, 0), 1);
	t.parts[0].seen = 50;
	CHECK_EQ(steer_pick(&t, 0, 0), 0);
	t.parts[0].seen = 51;
	CHECK_EQ(steer_pick(&t, 0, 0), 0);
	t.parts[0].steered = 3;
	t.parts[0].seen = 0u - STEER_SLACK;
	CHECK_EQ(steer_pick(&t, 0, 0), 1);
}

static void same_cpu(void)
{
	table(3);
	t.parts[2].cpus[0] = 1;
	t.parts[0].held = 3;
	CHECK_EQ(steer_pick(&t, 0, 0), 2);
	t.parts[2].held = 4;
	CHECK_EQ(steer_pick(&t, 0, 0), 0);
}

static void far_cpu(void)
{
	table(4);
	t.parts[3].cpus[STEER_WORDS - 1] = 1ull << 63;
	t.parts[0].held = 1;
	CHECK_EQ(steer_pick(&t, STEER_CPUS - 1, 0), 3);
	CHECK_EQ(steer_pick(&t, STEER_CPUS, 0), 1);
	CHECK_EQ(steer_pick(&t, ~0u, 0), 1);
}

static void extremes(void)
{
	unsigned int i;

	memset(&t, 0xff, sizeof(t));
	for (i = 0; i < STEER_PARTS; i++)
		t.parts[i].paused = 0;
	CHECK(steer_pick(&t, 7, 0) < STEER_PARTS);
}

/* 1000 held connections, all from CPU 0, four workers: at most 1.25 times
 * the mean. */
static void balanced(void)
{
	unsigned int i, most = 0;

	table(4);
	for (i = 0; i < 1000; i++)
		t.parts[steer_pick(&t, 0, 0)].held++;
	for (i = 0; i < 4; i++)
		if (t.parts[i].held > most)
			most = t.parts[i].held;
	CHECK(most <= 312);
	CHECK(t.parts[0].held > 250);
}

/* One whose queue stands still is the last choice, and is tried again. */
static void stuck(void)
{
	struct steer_part *p = &t.parts[0];
	__u32 now = 1000000;

	table(2);
	t.parts[1].held = 3;
	steer_note(p, now);
	CHECK_EQ(steer_pick(&t, 0, now), 0);
	CHECK_EQ(steer_pick(&t, 0, now + STEER_PATIENCE), 0);
	now += STEER_PATIENCE + 1;
	CHECK_EQ(steer_pick(&t, 0, now), 1);
	steer_note(p, now);
	CHECK_EQ(steer_pick(&t, 0, now), 1);
	p->seen++;
	CHECK_EQ(steer_pick(&t, 0, now), 0);
	steer_note(p, now);
	now += STEER_CHANCE - 1;
	CHECK_EQ(steer_pick(&t, 0, now), 1);
	CHECK_EQ(steer_pick(&t, 0, ++now), 0);
	steer_note(p, now);
	CHECK_EQ(steer_pick(&t, 0, now + STEER_PATIENCE + 1), 1);
	p->seen = p->steered;
	CHECK_EQ(steer_pick(&t, 0, now + STEER_PATIENCE + 1), 0);
}

static void all_stuck(void)
{
	unsigned int i;

	table(3);
	t.parts[1].held = 2;
	for (i = 0; i < 3; i++)
		steer_note(&t.parts[i], 0);
	CHECK_EQ(steer_pick(&t, 1, 100), 1);
}

static const struct unit_case cases[] = {
	{ "the partition of the CPU", by_cpu },
	{ "paused and unowned ones are passed over", passed_over },
	{ "none active: the program's own socket", none_active },
	{ "what lies beyond count is not looked at", beyond_count },
	{ "a clearly lighter one is preferred", lighter },
	{ "connections on their way count", queued },
	{ "a queue that stands still is passed over", stuck },
	{ "all stand still: the CPU's own", all_stuck },
	{ "of several of a CPU the lightest", same_cpu },
	{ "the last CPU of a mask, and those above", far_cpu },
	{ "any content gives a number in the table", extremes },
	{ "held connections from one CPU spread evenly", balanced },
};

UNIT_MAIN(cases)
