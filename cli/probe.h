/* SPDX-License-Identifier: MIT */
/*
 * What the kernel and this user's limits allow: asked by doing it.
 *
 * Owns: nothing. Invariant: every probe is made in a child, since the end of
 * a ring makes the next blocking call of its task return EINTR once.
 */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include <stdbool.h>

#include "../core/ring.h"

struct probe_ring {
	int error;		/* 0 or -errno */
	unsigned int entries;	/* that the locked memory allows */
	struct ring_caps caps;
};

void probe_ring(struct probe_ring *out);

/* In one line, why io_uring can't be had (-errno), and what would help. */
const char *probe_ring_reason(int error);
const char *probe_ring_advice(int error);

/* 0 or -errno: a BPF program that picks a socket, classic or extended. */
int probe_ebpf(void);
int probe_cbpf(void);

/* A line of a file as a number; *otherwise* when it can't be read. */
long probe_number(const char *path, long otherwise);

#endif
