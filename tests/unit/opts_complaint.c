/* SPDX-License-Identifier: MIT */
/*
 * Description: the line about a mistaken variable says what to do.
 */
#include <stdio.h>
#include <string.h>

#include "../../core/opts.h"
#include "unit.h"

static char said[2048];
static int lines;

static void complain(const char *line)
{
	lines++;
	snprintf(said, sizeof(said), "%s", line);
}

static void parse(const char *entry)
{
	char *env[] = { (char *)entry, NULL };

	lines = 0;
	said[0] = '\0';
	CHECK_EQ(opts_parse(env, complain), 1);
	CHECK_EQ(lines, 1);
	CHECK(!strchr(said, '\n'));
}

static void says(const char *part)
{
	if (!strstr(said, part))
		tap_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", said,
			 part);
}

static void choice(void)
{
	parse("MEGAPIPE=maybe");
	says("MEGAPIPE=maybe");
	says("on off strict");
	says("using on");
	parse("MEGAPIPE_LWSOCKET=yes");
	says("MEGAPIPE_LWSOCKET=yes");
	says("auto on off");
	says("using auto");
}

static void number(void)
{
	parse("MEGAPIPE_BATCH=many");
	says("MEGAPIPE_BATCH=many");
	says("1 to 4096 requests");
	says("using 32");
	parse("MEGAPIPE_READAHEAD=1");
	says("MEGAPIPE_READAHEAD=1");
	says("4096 to 16777216 bytes");
	says("using 65536");
}

/* Every number of the table names its own limits and default. */
static void each_number(void)
{
	char want[80];

#define CHOICE(field, var, def, choices, help)
#define TEXT(field, var, what, accepted, help)
#define NUMBER(field, var, def, min, max, unit, help) \
	parse(var "=-1"); \
	says(var "=-1"); \
	snprintf(want, sizeof(want), "%u to %u " unit, min, max); \
	says(want); \
	snprintf(want, sizeof(want), "using %u", def); \
	says(want);
#include "../../core/opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
}

static void text(void)
{
	parse("MEGAPIPE_STATS=");
	says("MEGAPIPE_STATS=");
	says("a file name");
}

static void unknown(void)
{
	parse("MEGAPIPE_BACTH=4");
	says("MEGAPIPE_BACTH=4");
	says("not used");
#define CHOICE(field, var, def, choices, help) says(var);
#define NUMBER(field, var, def, min, max, unit, help) says(var);
#define TEXT(field, var, what, accepted, help) says(var);
#include "../../core/opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
}

/* The name of an unknown one is as long as whoever set it likes. */
static void long_unknown(void)
{
	char entry[900];

	memset(entry, 'X', sizeof(entry));
	memcpy(entry, "MEGAPIPE_", 9);
	entry[sizeof(entry) - 1] = '\0';
	parse(entry);
	says("MEGAPIPE_XXX");
	says("MEGAPIPE_BATCH");
}

static const struct unit_case cases[] = {
	{ "a choice: variable, value, choices, default", choice },
	{ "a number: variable, value, limits, unit, default", number },
	{ "each number of the table", each_number },
	{ "an empty text", text },
	{ "an unknown variable: the known ones", unknown },
	{ "a very long unknown variable", long_unknown },
};

UNIT_MAIN(cases)
