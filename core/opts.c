/* SPDX-License-Identifier: MIT */
/* See opts.h. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "opts.h"

enum opt_kind { OPT_CHOICE, OPT_NUMBER, OPT_TEXT };

struct opt {
	enum opt_kind kind;
	const char *name;
	const char *accepts;	/* choices, or the unit of a number */
	uint32_t min, max, def;
	void *value;
};

struct opts opts = {
#define CHOICE(field, var, def, choices, help) .field = def,
#define NUMBER(field, var, def, min, max, unit, help) .field = def,
#define TEXT(field, var, what, accepted, help)
#include "opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
};

static const struct opt table[] = {
#define CHOICE(field, var, def, choices, help) \
	{ OPT_CHOICE, var, choices, 0, 0, def, &opts.field },
#define NUMBER(field, var, def, min, max, unit, help) \
	{ OPT_NUMBER, var, unit, min, max, def, &opts.field },
#define TEXT(field, var, what, accepted, help) \
	{ OPT_TEXT, var, accepted, 0, 0, 0, &opts.field },
#include "opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

_Static_assert(TABLE_SIZE <= 64, "a bit for each");

/* What a file may not change, by place in the table. */
static uint64_t from_environment;

/* The position of *word* in the blank-separated *choices*, or -1. */
static int choice_index(const char *choices, const char *word)
{
	size_t len = strlen(word);
	int i;

	for (i = 0; *choices; i++) {
		size_t n = strcspn(choices, " ");

		if (n == len && !strncmp(choices, word, n))
			return i;
		choices += n;
		choices += strspn(choices, " ");
	}
	return -1;
}

/* Decimal, with k or m for 2^10 and 2^20. */
static bool parse_number(const char *text, uint64_t *out)
{
	uint64_t n = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		n = n * 10 + (uint64_t)(*text - '0');
		if (n > UINT32_MAX)
			return false;
	}
	if (*text == 'k' || *text == 'K')
		n <<= 10, text++;
	else if (*text == 'm' || *text == 'M')
		n <<= 20, text++;
	*out = n;
	return *text == '\0';
}

/* What is wrong with the last value, where that is known, or "". */
static char why_not[160];

static bool set_value(const struct opt *o, const char *text)
{
	uint64_t n;
	int i;

	*why_not = '\0';
	switch (o->kind) {
	case OPT_CHOICE:
		i = choice_index(o->accepts, text);
		if (i >= 0)
			*(int *)o->value = i;
		return i >= 0;
	case OPT_NUMBER:
		if (!parse_number(text, &n) || n < o->min || n > o->max)
			return false;
		*(uint32_t *)o->value = (uint32_t)n;
		return true;
	case OPT_TEXT:
		if (!*text || (o->value == &opts.listen &&
			       !opts_listen_valid(text)) ||
		    (o->value == &opts.cpus &&
		     !opts_cpus_valid(text, why_not, sizeof(why_not))))
			return false;
		*(const char **)o->value = text;
		return true;
	}
	return false;
}

/* *where* is "" or a file and line: "file:12: ". */
static void bad_value(const char *where, const struct opt *o,
		      const char *text, opts_complain *complain)
{
	char line[512];

	if (o->kind == OPT_CHOICE)
		snprintf(line, sizeof(line),
			 "%s%s=%s is not understood (accepted: %s); using %.*s",
			 where, o->name, text, o->accepts,
			 (int)strcspn(o->accepts, " "), o->accepts);
	else if (o->kind == OPT_NUMBER)
		snprintf(line, sizeof(line),
			 "%s%s=%s is not understood "
			 "(accepted: %u to %u %s); using %u",
			 where, o->name, text, o->min, o->max, o->accepts,
			 o->def);
	else if (*why_not)
		snprintf(line, sizeof(line),
			 "%s%s=%s: %s (accepted: %s); not used", where, o->name,
			 text, why_not, o->accepts);
	else
		snprintf(line, sizeof(line),
			 *text ? "%s%s=%s is not understood (accepted: %s); "
				 "not used" :
				 "%s%s=%s is empty (accepted: %s); not used",
			 where, o->name, text, o->accepts);
	complain(line);
}

static void unknown_name(const char *where, const char *entry,
			 opts_complain *complain)
{
	char line[768];
	size_t i, n, len = strcspn(entry, "\n");

	n = (size_t)snprintf(line, sizeof(line),
			     "%s%.*s is not a variable of ours (accepted:",
			     where, len > 80 ? 80 : (int)len, entry);
	for (i = 0; i < TABLE_SIZE && n < sizeof(line); i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s",
				      table[i].name);
	if (n < sizeof(line))
		snprintf(line + n, sizeof(line) - n, "); not used");
	complain(line);
}

static const struct opt *find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < TABLE_SIZE; i++)
		if (strlen(table[i].name) == len &&
		    !strncmp(name, table[i].name, len))
			return &table[i];
	return NULL;
}

static int parse_entry(const char *entry, opts_complain *complain)
{
	size_t len = strcspn(entry, "=");
	const char *text = entry + len + (entry[len] == '=');
	const struct opt *o = find(entry, len);

	if (!o) {
		unknown_name("", entry, complain);
		return 1;
	}
	from_environment |= 1ull << (o - table);
	if (set_value(o, text))
		return 0;
	bad_value("", o, text, complain);
	return 1;
}

int opts_set(const char *where, const char *name, const char *value,
	     opts_complain *complain)
{
	const struct opt *o = find(name, strlen(name));

	if (!o || o->value == &opts.config) {
		unknown_name(where, name, complain);
		return 1;
	}
	if (from_environment & 1ull << (o - table) || set_value(o, value))
		return 0;
	bad_value(where, o, value, complain);
	return 1;
}

int opts_parse(char *const *environ, opts_complain *complain)
{
	int mistakes = 0;

	from_environment = 0;
	for (; environ && *environ; environ++) {
		if (strncmp(*environ, "MEGAPIPE", 8))
			continue;
		if ((*environ)[8] != '=' && (*environ)[8] != '_')
			continue;
		mistakes += parse_entry(*environ, complain);
	}
	return mistakes;
}
