/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "stats.h"

uint64_t stats[STAT_MAX];

const char *const stat_names[STAT_MAX] = {
#define STAT(name, help) #name,
#include "stats.def"
#undef STAT
};
