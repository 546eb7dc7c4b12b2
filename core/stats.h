/* SPDX-License-Identifier: MIT */
/*
 * Counters of this process. Owns: the array. Writers are relaxed and lossy
 * between threads: a counter must cost nothing. Any thread.
 */
#ifndef MP_STATS_H
#define MP_STATS_H

#include <stdint.h>

enum stat_id {
#define STAT(name, help) STAT_##name,
#include "stats.def"
#undef STAT
	STAT_MAX
};

extern uint64_t stats[STAT_MAX];
extern const char *const stat_names[STAT_MAX];

static inline void stat_add(enum stat_id id, uint64_t n)
{
	uint64_t v = __atomic_load_n(&stats[id], __ATOMIC_RELAXED);

	__atomic_store_n(&stats[id], v + n, __ATOMIC_RELAXED);
}

static inline void stat_inc(enum stat_id id)
{
	stat_add(id, 1);
}

#endif
