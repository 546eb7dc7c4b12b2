/* SPDX-License-Identifier: MIT */
/* See stat.h: partitioned listeners. */
#include <stdio.h>

#include "stat.h"

const char *const stat_steps[3] = { "eBPF", "classic BPF", "random" };

static bool has_cpu(const uint64_t cpus[4], unsigned int i)
{
	return i < 256 && cpus[i / 64] >> (i % 64) & 1;
}

const char *stat_cpus(const uint64_t cpus[4], char *to, size_t size)
{
	unsigned int i, last;
	size_t n = 0;

	snprintf(to, size, "any");
	for (i = 0; i < 256 && n < size; i = last + 1) {
		for (last = i; has_cpu(cpus, i) && has_cpu(cpus, last + 1);)
			last++;
		if (!has_cpu(cpus, i))
			continue;
		n += (size_t)snprintf(to + n, size - n, last > i ? "%s%u-%u" :
				      "%s%u", n ? "," : "", i, last);
	}
	return to;
}
