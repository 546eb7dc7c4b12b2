/* SPDX-License-Identifier: MIT */
/*
 * Counters: a line for each channel, one for all other threads.
 *
 * Owns: the calling thread's line. Invariant: a thread with a channel is the
 * only one that writes its line; the line of the rest is lossy between
 * threads: a counter must cost nothing. Any thread.
 */
#ifndef MP_STATS_H
#define MP_STATS_H

#include <stdint.h>

#include "region.h"

enum stat_id {
#define STAT(name, help) STAT_##name,
#include "stats.def"
#undef STAT
	STAT_MAX
};

_Static_assert(STAT_MAX <= REGION_COUNTERS, "a line has room for all");

/* Line 0, until it is mapped elsewhere alone in its part of memory. */
union stats_rest {
	struct region_line line;
	char part[REGION_PAGE];
};

extern union stats_rest stats_rest;
extern __thread struct region_line *stat_line
	__attribute__((tls_model("initial-exec")));
extern const char *const stat_names[STAT_MAX];

static inline void stat_store(uint64_t *counter, uint64_t n)
{
	uint64_t v = __atomic_load_n(counter, __ATOMIC_RELAXED);

	__atomic_store_n(counter, v + n, __ATOMIC_RELAXED);
}

static inline void stat_add(enum stat_id id, uint64_t n)
{
	stat_store(&stat_line->counter[id], n);
}

static inline void stat_inc(enum stat_id id)
{
	stat_add(id, 1);
}

/* The place of a batch of *n* requests in the histogram: 0, 1, 2 to 3, 4 to
 * 7 and so on. */
static inline unsigned int stat_bucket(unsigned int n)
{
	unsigned int i = n ? 32 - (unsigned int)__builtin_clz(n) : 0;

	return i < REGION_BATCHES ? i : REGION_BATCHES - 1;
}

#endif
