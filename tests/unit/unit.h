/* SPDX-License-Identifier: MIT */
/*
 * Description: the list of cases of a unit test, run one after the other.
 */
#ifndef MP_TEST_UNIT_H
#define MP_TEST_UNIT_H

#include "../lib/tap.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct unit_case {
	const char *what;
	void (*run)(void);
};

static inline void unit_run(void *arg)
{
	((const struct unit_case *)arg)->run();
}

static inline int unit_main(const struct unit_case *cases, size_t count)
{
	size_t i;

	tap_plan((int)count);
	for (i = 0; i < count; i++)
		tap_case(cases[i].what, "", unit_run, (void *)&cases[i]);
	return tap_result();
}

#define UNIT_MAIN(cases) \
	int main(void) \
	{ \
		return unit_main(cases, ARRAY_SIZE(cases)); \
	}

#endif
