/* SPDX-License-Identifier: MIT */
/* MEGAPIPE_CPUS: "0-1/2,3", a set of CPUs for each partition. See opts.h. */
#include <stdio.h>
#include <string.h>

#include "opts.h"
#include "sys.h"

/* One number; *text is moved behind it. -1: there is none. */
static int take_cpu(const char **text)
{
	int n = 0;

	if (**text < '0' || **text > '9')
		return -1;
	for (; **text >= '0' && **text <= '9'; ++*text)
		n = n < OPTS_CPUS ? n * 10 + (**text - '0') : n;
	return n < OPTS_CPUS ? n : OPTS_CPUS;
}

static void set_cpu(struct opts_mask *m, int cpu)
{
	m->word[cpu / 64] |= 1ull << (cpu % 64);
}

static bool has_cpu(const struct opts_mask *m, int cpu)
{
	return m->word[cpu / 64] >> (cpu % 64) & 1;
}

/* One mask, up to '/' or the end. */
static bool take_mask(const char **text, struct opts_mask *m)
{
	int first, last;

	memset(m, 0, sizeof(*m));
	do {
		first = last = take_cpu(text);
		if (first >= 0 && **text == '-') {
			++*text;
			last = take_cpu(text);
		}
		if (first < 0 || last < first || last >= OPTS_CPUS)
			return false;
		for (; first <= last; first++)
			set_cpu(m, first);
	} while (*(*text)++ == ',');
	--*text;
	return !**text || **text == '/';
}

static bool nth_mask(const char *text, unsigned int n, struct opts_mask *m)
{
	while (take_mask(&text, m)) {
		if (!n--)
			return true;
		if (!*text++)
			return false;
	}
	return false;
}

static unsigned int count_masks(const char *text)
{
	unsigned int n = 1;

	for (; *text; text++)
		n += *text == '/';
	return n;
}

void opts_cpus_mask(const char *text, unsigned int i, struct opts_mask *m)
{
	nth_mask(text, i % count_masks(text), m);
}

/* The text of mask *n*, for a message. */
static const char *mask_text(const char *text, unsigned int n, int *len)
{
	while (n--)
		text = strchr(text, '/') + 1;
	*len = (int)strcspn(text, "/");
	return text;
}

static int first_common(const struct opts_mask *a, const struct opts_mask *b)
{
	int i;

	for (i = 0; i < OPTS_CPUS; i++)
		if (has_cpu(a, i) && has_cpu(b, i))
			return i;
	return -1;
}

/* *n* is the number of the mask. */
static bool check_overlap(const char *text, unsigned int n,
			  const struct opts_mask *m, char *why, size_t size)
{
	struct opts_mask other;
	unsigned int i;
	int a, b, cpu;
	const char *at, *at_other;

	for (i = 0; i < n; i++) {
		nth_mask(text, i, &other);
		cpu = first_common(&other, m);
		if (cpu < 0)
			continue;
		at = mask_text(text, n, &a);
		at_other = mask_text(text, i, &b);
		snprintf(why, size, "%.*s and %.*s both have CPU %d", b,
			 at_other, a, at, cpu);
		return false;
	}
	return true;
}

static bool check_allowed(const char *text, unsigned int n,
			  const struct opts_mask *m, char *why, size_t size)
{
	struct opts_mask allowed = { { 0 } };
	const char *at;
	int i, len;

	if (sys_call3(SYS_sched_getaffinity, 0, sizeof(allowed), &allowed) < 0)
		return true;
	for (i = 0; i < OPTS_CPUS; i++) {
		if (!has_cpu(m, i) || has_cpu(&allowed, i))
			continue;
		at = mask_text(text, n, &len);
		snprintf(why, size, "%.*s has CPU %d, which this process may "
			 "not use", len, at, i);
		return false;
	}
	return true;
}

bool opts_cpus_valid(const char *text, char *why, size_t size)
{
	struct opts_mask m;
	unsigned int i;
	int len;

	for (i = 0; i < count_masks(text); i++) {
		if (!nth_mask(text, i, &m)) {
			const char *at = mask_text(text, i, &len);

			snprintf(why, size, "\"%.*s\" is no list of CPUs", len,
				 at);
			return false;
		}
		if (!check_overlap(text, i, &m, why, size) ||
		    !check_allowed(text, i, &m, why, size))
			return false;
	}
	return true;
}
