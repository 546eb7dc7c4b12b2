/* SPDX-License-Identifier: MIT */
/* megapipe env: the variables, from the table that the library parses. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char usage[] =
"usage: megapipe env [--json]\n"
"Lists every MEGAPIPE_* variable: default, what is accepted, meaning. One that\n"
"is set here is shown with its value.\n"
"\n"
"  -j, --json  as JSON\n"
"  -h, --help  this text\n"
"\n"
"The same names may stand in /etc/megapipe.conf: megapipe-preload(7).\n";

struct variable {
	const char *name;
	const char *def;	/* NULL: the first choice */
	const char *accepts;
	const char *help;
};

#define TEXT_OF(n) #n

static const struct variable variables[] = {
#define CHOICE(field, var, def, choices, help) { var, NULL, choices, help },
#define NUMBER(field, var, def, min, max, unit, help) \
	{ var, TEXT_OF(def), TEXT_OF(min) " to " TEXT_OF(max) " " unit, help },
#define TEXT(field, var, what, accepted, help) { var, "", accepted, help },
#include "../core/opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
};

#define COUNT (sizeof(variables) / sizeof(variables[0]))

/* The default: given, or the first of the choices. */
static const char *default_of(const struct variable *v)
{
	static char word[64];

	if (v->def)
		return v->def;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(v->accepts, " "),
		 v->accepts);
	return word;
}

static void print_json(void)
{
	size_t i;

	puts("[");
	for (i = 0; i < COUNT; i++) {
		const struct variable *v = &variables[i];
		const char *set = getenv(v->name);

		printf("  {\"name\": \"%s\", \"default\": \"%s\", "
		       "\"accepts\": ", v->name, default_of(v));
		json_string(stdout, v->accepts);
		printf(", \"value\": ");
		if (set)
			json_string(stdout, set);
		else
			printf("null");
		printf(", \"help\": ");
		json_string(stdout, v->help);
		printf("}%s\n", i + 1 < COUNT ? "," : "");
	}
	puts("]");
}

/* Lines of at most 76 columns behind an indent of 4. */
static void print_wrapped(const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column && column + 1 + len > 72) {
			putchar('\n');
			column = 0;
		}
		column += (size_t)printf(column ? " %.*s" : "    %.*s",
					 (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_text(void)
{
	size_t i;

	for (i = 0; i < COUNT; i++) {
		const struct variable *v = &variables[i];
		const char *set = getenv(v->name);

		printf("%s%s%s", colour(BOLD), v->name, colour(PLAIN));
		if (*default_of(v))
			printf("=%s", default_of(v));
		printf("   %s(%s)%s", colour(DIM), v->accepts, colour(PLAIN));
		if (set)
			printf("   %sset here: %s%s", colour(CYAN), set,
			       colour(PLAIN));
		putchar('\n');
		print_wrapped(v->help);
	}
}

int cmd_env(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+hj", options, NULL)) != -1) {
		if (c == 'h')
			return show(usage);
		if (c == '?')
			return misuse_option("env", argv);
		json = true;
	}
	if (optind < argc)
		return misuse("env", "'%s': no argument is expected",
			      argv[optind]);
	if (json)
		print_json();
	else
		print_text();
	return 0;
}
