/* SPDX-License-Identifier: MIT */
/* What `megapipe stat` writes for machines. Owns: nothing. */
#ifndef CLI_STAT_H
#define CLI_STAT_H

#include "process.h"

/* Sums over a process's sockets. */
struct sock_sums {
	uint64_t listening, open, closing;
	uint64_t lw, materialised, fd, given;
	uint64_t rx, tx;		/* bytes read ahead, queued */
};

void stat_sum_socks(const struct process *p, struct sock_sums *out);

/* CPUs of a partition as in MEGAPIPE_CPUS, "0-1,3"; "any" without one. */
const char *stat_cpus(const uint64_t cpus[4], char *to, size_t size);
extern const char *const stat_steps[3];

extern const char *const stat_helps[STAT_MAX];

/* The upper end of place *i* of the histogram of batches. */
static inline unsigned int stat_bucket_end(unsigned int i)
{
	return i ? (1u << i) - 1 : 0;
}

void stat_json(const struct processes *ps);
void stat_prometheus(const struct processes *ps);

#endif
