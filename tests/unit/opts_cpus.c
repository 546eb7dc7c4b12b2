/* SPDX-License-Identifier: MIT */
/*
 * Description: MEGAPIPE_CPUS: masks, and mistakes by name.
 */
#include <sched.h>
#include <string.h>

#include "../../core/opts.h"
#include "unit.h"

static char why[160];

static bool valid(const char *text)
{
	why[0] = '\0';
	return opts_cpus_valid(text, why, sizeof(why));
}

static struct opts_mask mask(const char *text, unsigned int i)
{
	struct opts_mask m;

	opts_cpus_mask(text, i, &m);
	return m;
}

static void lists(void)
{
	CHECK_EQ(mask("0", 0).word[0], 1);
	CHECK_EQ(mask("0-3,6", 0).word[0], 0x4f);
	CHECK_EQ(mask("0/2-3", 1).word[0], 0xc);
	CHECK_EQ(mask("63-64/255", 0).word[0], 1ull << 63);
	CHECK_EQ(mask("63-64/255", 0).word[1], 1);
	CHECK_EQ(mask("63-64/255", 1).word[3], 1ull << 63);
}

static void round_again(void)
{
	CHECK_EQ(mask("0/1/2", 3).word[0], 1);
	CHECK_EQ(mask("0/1/2", 7).word[0], 2);
}

static void not_lists(void)
{
	static const char *const bad[] = {
		"", "x", "0,", "0-", "-1", "1-0", "0/", "/0", "0//1", "0 1",
		"256", "0-256", "99999999999", "0x1",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(!valid(bad[i]));
		CHECK(strstr(why, "is no list of CPUs"));
	}
}

static void overlap(void)
{
	cpu_set_t set;

	MUST(sched_getaffinity(0, sizeof(set), &set));
	if (!CPU_ISSET(0, &set))
		tap_skip("this process may not use CPU 0");
	CHECK(valid("0"));
	CHECK(!valid("0/0"));
	CHECK(!strcmp(why, "0 and 0 both have CPU 0"));
}

static void not_allowed(void)
{
	CHECK(!valid("255"));
	CHECK(!strcmp(why, "255 has CPU 255, which this process may not use"));
}

static const struct unit_case cases[] = {
	{ "lists and ranges", lists },
	{ "more partitions than masks", round_again },
	{ "what is no list", not_lists },
	{ "masks that overlap", overlap },
	{ "CPUs that there are not", not_allowed },
};

UNIT_MAIN(cases)
