/* SPDX-License-Identifier: MIT */
/* See cli.h: messages, colours, numbers for people. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static void say(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("megapipe: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

static int where_help_is(const char *command)
{
	fprintf(stderr, "Help: megapipe %s%s--help\n", command ? command : "",
		command ? " " : "");
	return EXIT_USAGE;
}

int misuse(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return where_help_is(command);
}

/* optopt is the letter of a short option, also of one that lacks its value;
 * for a long one argv has it. */
int misuse_option(const char *command, char **argv)
{
	const char *given = argv[optind - 1];

	if (optopt && given[0] == '-' && given[1] != '-')
		complain("option '-%c' is not known, or lacks its value",
			 optopt);
	else if (optopt)
		complain("option '%s' lacks its value, or takes none", given);
	else
		complain("there is no option '%s'", given);
	return where_help_is(command);
}

int show(const char *text)
{
	fputs(text, stdout);
	return 0;
}

static bool colours_wanted(void)
{
	static int wanted = -1;
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (wanted < 0)
		wanted = isatty(1) && !(no && *no) &&
			 !(term && !strcmp(term, "dumb"));
	return wanted;
}

const char *colour(enum colour c)
{
	static const char *const codes[] = {
		[PLAIN] = "\33[m", [BOLD] = "\33[1m", [DIM] = "\33[2m",
		[RED] = "\33[31m", [GREEN] = "\33[32m",
		[YELLOW] = "\33[33m", [CYAN] = "\33[36m",
	};

	return colours_wanted() ? codes[c] : "";
}

void json_string(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < ' ' || c >= 127)
			fprintf(to, "\\u%04x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}

const char *age(double seconds)
{
	static char text[32];
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

	if (s < 60)
		snprintf(text, sizeof(text), "%lus", s);
	else if (s < 3600)
		snprintf(text, sizeof(text), "%lum%02lus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, sizeof(text), "%luh%02lum", s / 3600,
			 s / 60 % 60);
	else
		snprintf(text, sizeof(text), "%lud%02luh", s / 86400,
			 s / 3600 % 24);
	return text;
}

const char *short_count(uint64_t n)
{
	static char text[8][16];
	static unsigned int turn;
	char *to = text[turn++ % 8];
	const char *unit = " KMGTPE";
	double v = (double)n;

	for (; v >= 9999.5; v /= 1000)
		unit++;
	snprintf(to, 16, *unit == ' ' ? "%.0f" : "%.0f%c", v, *unit);
	return to;
}

bool parse_uint(const char *text, unsigned long min, unsigned long max,
		unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return !*end && !errno && *out >= min && *out <= max;
}
