/* SPDX-License-Identifier: MIT */
/*
 * Description: what values the MEGAPIPE_* variables accept.
 */
#include <stdio.h>
#include <string.h>

#include "../../core/opts.h"
#include "unit.h"

static const struct opts defaults = {
#define CHOICE(field, var, def, choices, help) .field = def,
#define NUMBER(field, var, def, min, max, unit, help) .field = def,
#define TEXT(field, var, what, accepted, help)
#include "../../core/opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
};

static int complaints;

static void complain(const char *line)
{
	complaints++;
}

/* One entry of an environment, after a reset: how many mistakes. */
static int parse(const char *entry)
{
	char *env[] = { "PATH=/bin", (char *)entry, "HOME=/", NULL };
	int n;

	opts = defaults;
	complaints = 0;
	n = opts_parse(env, complain);
	CHECK_EQ(complaints, n);
	return n;
}

static void choices(void)
{
	CHECK_EQ(parse("MEGAPIPE=on"), 0);
	CHECK_EQ(opts.mode, MODE_ON);
	CHECK_EQ(parse("MEGAPIPE=off"), 0);
	CHECK_EQ(opts.mode, MODE_OFF);
	CHECK_EQ(parse("MEGAPIPE=strict"), 0);
	CHECK_EQ(opts.mode, MODE_STRICT);
	CHECK_EQ(parse("MEGAPIPE_LWSOCKET=on"), 0);
	CHECK_EQ(opts.lwsocket, LWSOCKET_ON);
	CHECK_EQ(parse("MEGAPIPE_LWSOCKET=off"), 0);
	CHECK_EQ(opts.lwsocket, LWSOCKET_OFF);
}

static void bad_choices(void)
{
	static const char *const bad[] = {
		"MEGAPIPE=", "MEGAPIPE=of", "MEGAPIPE=offf", "MEGAPIPE=OFF",
		"MEGAPIPE=on off", "MEGAPIPE= on", "MEGAPIPE=1",
		"MEGAPIPE=n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(parse(bad[i]), 1);
		CHECK_EQ(opts.mode, defaults.mode);
	}
}

static void numbers(void)
{
	CHECK_EQ(parse("MEGAPIPE_BATCH=7"), 0);
	CHECK_EQ(opts.batch, 7);
	CHECK_EQ(parse("MEGAPIPE_BATCH=0007"), 0);
	CHECK_EQ(opts.batch, 7);
	CHECK_EQ(parse("MEGAPIPE_READAHEAD=16k"), 0);
	CHECK_EQ(opts.readahead, 16 << 10);
	CHECK_EQ(parse("MEGAPIPE_READAHEAD=16K"), 0);
	CHECK_EQ(opts.readahead, 16 << 10);
	CHECK_EQ(parse("MEGAPIPE_SNDBUF=3m"), 0);
	CHECK_EQ(opts.sndbuf, 3 << 20);
	CHECK_EQ(parse("MEGAPIPE_SNDBUF=3M"), 0);
	CHECK_EQ(opts.sndbuf, 3 << 20);
}

static void bad_numbers(void)
{
	static const char *const bad[] = {
		"", " 7", "7 ", "+7", "-7", "0x7", "7.0", "k", "7kk", "7km",
		"7g", "7kb", "seven", "4294967296", "4294967303",
		"18446744073709551623", "99999999999999999999999",
		/* Wraps to 32 when shifted in 32 bits. */
		"4194304k7", "4194305k", "4097m",
	};
	char entry[64];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(entry, sizeof(entry), "MEGAPIPE_BATCH=%s", bad[i]);
		CHECK_EQ(parse(entry), 1);
		CHECK_EQ(opts.batch, defaults.batch);
	}
	CHECK_EQ(parse("MEGAPIPE_BATCH"), 1);
}

static int parse_number(const char *name, long long n)
{
	char entry[80];

	snprintf(entry, sizeof(entry), "%s=%lld", name, n);
	return parse(entry);
}

/* Every number of the table: its limits and just beyond. */
static void limits(void)
{
#define CHOICE(field, var, def, choices, help)
#define TEXT(field, var, what, accepted, help)
#define NUMBER(field, var, def, min, max, unit, help) \
	CHECK(def >= min && def <= max); \
	CHECK_EQ(parse_number(var, min), 0); \
	CHECK_EQ(opts.field, min); \
	CHECK_EQ(parse_number(var, max), 0); \
	CHECK_EQ(opts.field, max); \
	CHECK_EQ(parse_number(var, (long long)min - 1), 1); \
	CHECK_EQ(opts.field, def); \
	CHECK_EQ(parse_number(var, (long long)max + 1), 1); \
	CHECK_EQ(opts.field, def);
#include "../../core/opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
}

static void text(void)
{
	CHECK_EQ(parse("MEGAPIPE_STATS=/tmp/a=b c"), 0);
	CHECK(!strcmp(opts.stats, "/tmp/a=b c"));
	CHECK_EQ(parse("MEGAPIPE_STATS="), 1);
}

static void others_are_left_alone(void)
{
	static const char *const foreign[] = {
		"MEGAPIPES=x", "MEGAPIPEX_BATCH=1", "megapipe=x", "MEGAPIP=x",
		"XMEGAPIPE=x", "", "=MEGAPIPE", "FOO=MEGAPIPE_X=1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		CHECK_EQ(parse(foreign[i]), 0);
		CHECK(!memcmp(&opts, &defaults, sizeof(opts)));
	}
}

static void unknown(void)
{
	static const char *const bad[] = {
		"MEGAPIPE_BATCHES=1", "MEGAPIPE_BATC=1", "MEGAPIPE_=1",
		"MEGAPIPE_batch=1", "MEGAPIPE_NOSUCH",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(parse(bad[i]), 1);
		CHECK(!memcmp(&opts, &defaults, sizeof(opts)));
	}
}

static void several(void)
{
	char *env[] = {
		"MEGAPIPE_BATCH=8", "MEGAPIPE_BUFFERS=1", "MEGAPIPE=strict",
		"MEGAPIPE_WHAT=1", "MEGAPIPE_SLOTS=9", NULL,
	};
	char *none[] = { NULL };

	opts = defaults;
	complaints = 0;
	CHECK_EQ(opts_parse(env, complain), 2);
	CHECK_EQ(complaints, 2);
	CHECK_EQ(opts.batch, 8);
	CHECK_EQ(opts.slots, 9);
	CHECK_EQ(opts.mode, MODE_STRICT);
	CHECK_EQ(opts.buffers, defaults.buffers);
	CHECK_EQ(opts_parse(none, complain), 0);
	CHECK_EQ(opts_parse(NULL, complain), 0);
}

static const struct unit_case cases[] = {
	{ "a choice", choices },
	{ "not a choice: the default", bad_choices },
	{ "a number, with k and m", numbers },
	{ "not a number: the default", bad_numbers },
	{ "the limits of each number", limits },
	{ "a text", text },
	{ "other programs' variables", others_are_left_alone },
	{ "a variable of ours that is not", unknown },
	{ "good and bad ones together", several },
};

UNIT_MAIN(cases)
