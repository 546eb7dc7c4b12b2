/* SPDX-License-Identifier: MIT */
/*
 * Description: a file of settings: sections, precedence of the environment,
 * and what is said of a line that can't be understood.
 */
#include <stdio.h>
#include <string.h>

#include "../../core/opts.h"
#include "unit.h"

static struct opts defaults;
static char said[4096], text[4096];
static int lines;

static void complain(const char *line)
{
	lines++;
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n",
		 line);
}

static void environment(const char *entry)
{
	char *env[] = { (char *)entry, NULL };

	if (!defaults.batch)
		defaults = opts;
	opts = defaults;
	lines = 0;
	said[0] = '\0';
	CHECK_EQ(opts_parse(env, complain), 0);
}

/* How many mistakes a file has, for the program "one". */
static int parse(const char *file)
{
	static const char *const names[] = { "one", NULL };
	int n;

	snprintf(text, sizeof(text), "%s", file);
	n = opts_parse_file("F", text, strlen(text), names, complain);
	CHECK_EQ(n, lines);
	return n;
}

static void says(const char *part)
{
	if (!strstr(said, part))
		tap_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", said,
			 part);
}

static void plain_lines(void)
{
	environment(NULL);
	CHECK_EQ(parse("# comment\n\n  MEGAPIPE_BATCH = 7  \n"
		       "MEGAPIPE_LWSOCKET=off\r\n\tMEGAPIPE_STATS = /a b"), 0);
	CHECK_EQ(opts.batch, 7);
	CHECK_EQ(opts.lwsocket, LWSOCKET_OFF);
	CHECK(!strcmp(opts.stats, "/a b"));
}

static void environment_wins(void)
{
	environment("MEGAPIPE_BATCH=5");
	CHECK_EQ(parse("MEGAPIPE_BATCH = 7\nMEGAPIPE_SLOTS = 8\n"), 0);
	CHECK_EQ(opts.batch, 5);
	CHECK_EQ(opts.slots, 8);
}

static void sections(void)
{
	environment(NULL);
	CHECK_EQ(parse("MEGAPIPE_BATCH = 2\n[two]\nMEGAPIPE_BATCH = 3\n"
		       "[ two, one ]\nMEGAPIPE_SLOTS = 4\n[on*]\n"
		       "MEGAPIPE_LINGER_MS = 5\n[tw*]\nMEGAPIPE_SLOTS = 6\n"),
		 0);
	CHECK_EQ(opts.batch, 2);
	CHECK_EQ(opts.slots, 4);
	CHECK_EQ(opts.linger_ms, 5);
}

/* A mistake in what is for others is theirs. */
static void others_mistakes(void)
{
	environment(NULL);
	CHECK_EQ(parse("[two]\nMEGAPIPE_BATCH = many\nMEGAPIPE_X = 1\n"), 0);
}

static void mistakes(void)
{
	environment(NULL);
	CHECK_EQ(parse("\nMEGAPIPE_BATCH = many\nBATCH = 3\nnothing\n"
		       "MEGAPIPE_CONFIG = /x\n= 3\n[one\n[]\n[one] x\n"), 8);
	says("F:2: MEGAPIPE_BATCH=many is not understood (accepted: 1 to 4096 "
	     "requests); using 32\n");
	says("F:3: BATCH is not a variable of ours (accepted: MEGAPIPE ");
	says("F:4: accepted are NAME = VALUE, [PROGRAM...] and # comments");
	says("F:5: MEGAPIPE_CONFIG is not a variable of ours");
	says("F:6: accepted are NAME = VALUE");
	says("F:7: a section is [PROGRAM...]");
	says("F:8: a section is [PROGRAM...]");
	says("F:9: a section is [PROGRAM...]");
	CHECK_EQ(opts.batch, defaults.batch);
}

/* After a section that is not understood nothing is applied. */
static void bad_section(void)
{
	environment(NULL);
	CHECK_EQ(parse("[one\nMEGAPIPE_BATCH = 9\n"), 1);
	CHECK_EQ(opts.batch, defaults.batch);
}

static void not_text(void)
{
	static char bytes[8] = "A\0B";
	static const char *const names[] = { NULL };

	environment(NULL);
	CHECK_EQ(opts_parse_file("F", bytes, 3, names, complain), 1);
	says("F:1: it is not a text");
}

static void empty(void)
{
	environment(NULL);
	CHECK_EQ(parse(""), 0);
	CHECK_EQ(parse("\n"), 0);
}

static const struct unit_case cases[] = {
	{ "names, values, comments, blanks", plain_lines },
	{ "the environment wins", environment_wins },
	{ "sections are for programs", sections },
	{ "mistakes in what is for others are not ours", others_mistakes },
	{ "mistakes name file, line and what is accepted", mistakes },
	{ "nothing is applied after a bad section", bad_section },
	{ "not a text", not_text },
	{ "an empty file", empty },
};

UNIT_MAIN(cases)
