/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "stats.h"

union stats_rest stats_rest __attribute__((aligned(REGION_PAGE)));
__thread struct region_line *stat_line = &stats_rest.line;

const char *const stat_names[STAT_MAX] = {
#define STAT(name, help) #name,
#include "stats.def"
#undef STAT
};
