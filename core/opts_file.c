/* SPDX-License-Identifier: MIT */
/*
 * The file of settings: lines of NAME = VALUE, # comments, and sections
 * [PROGRAM...] whose lines are for those programs only.
 *
 * Owns: nothing. Invariant: no memory is allocated; values stay in the text.
 * Called by: the shim's start-up, one thread.
 */
#include <stdio.h>
#include <string.h>

#include "opts.h"

struct place {
	const char *path;
	unsigned int line;
	opts_complain *complain;
};

static int wrong(const struct place *at, const char *what)
{
	char line[512];

	snprintf(line, sizeof(line), "%s:%u: %s; not used", at->path, at->line,
		 what);
	at->complain(line);
	return 1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Blanks on both sides go. */
static char *trim(char *text)
{
	size_t len;

	while (is_blank(*text))
		text++;
	for (len = strlen(text); len && is_blank(text[len - 1]); len--)
		;
	text[len] = '\0';
	return text;
}

static int parse_section(const struct place *at, char *text,
			 const char *const *names, bool *ours)
{
	char *end = strchr(text, ']');

	if (!end || end[1] || end == text + 1) {
		*ours = false;
		return wrong(at, "a section is [PROGRAM...], its end is ]");
	}
	*end = '\0';
	*ours = opts_is_program(text + 1, names);
	return 0;
}

static int parse_line(const struct place *at, char *text,
		      const char *const *names, bool *ours)
{
	char where[300], *value;

	text = trim(text);
	if (!*text || *text == '#')
		return 0;
	if (*text == '[')
		return parse_section(at, text, names, ours);
	value = strchr(text, '=');
	if (!value || value == text)
		return wrong(at, "accepted are NAME = VALUE, [PROGRAM...] and "
				 "# comments");
	if (!*ours)
		return 0;
	*value++ = '\0';
	snprintf(where, sizeof(where), "%s:%u: ", at->path, at->line);
	return opts_set(where, trim(text), trim(value), at->complain);
}

int opts_parse_file(const char *path, char *text, size_t len,
		    const char *const *names, opts_complain *complain)
{
	struct place at = { .path = path, .complain = complain };
	char *end = text + len, *next;
	bool ours = true;	/* what comes before any section */
	int mistakes = 0;

	*end = '\0';
	if (strlen(text) != len) {
		at.line = 1;
		return wrong(&at, "it is not a text");
	}
	for (; text < end; text = next) {
		next = strchr(text, '\n');
		next = next ? next + 1 : end + 1;
		next[-1] = '\0';
		at.line++;
		mistakes += parse_line(&at, text, names, &ours);
	}
	return mistakes;
}
