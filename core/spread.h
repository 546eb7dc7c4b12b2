/* SPDX-License-Identifier: MIT */
/*
 * Partitions of a listening socket: one socket for each channel that
 * registered it with a mask of CPUs, and the kernel's program that chooses.
 *
 * Owns: the groups of this process, one for each such socket. Invariant: the
 * first member has the socket itself, the others have clones that are closed
 * when they leave. Called by: front, accept. Any thread: a lock.
 */
#ifndef CORE_SPREAD_H
#define CORE_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "megapipe.h"

struct spread;

struct spread_place {
	struct spread *group;	/* NULL: in none */
	unsigned int index;
	int fd;			/* what to accept from */
	bool clone;		/* which is ours to close */
	bool balanced;		/* the program looks at its counts */
};

/* An enum mp_partition, or -EINVAL when this is no listening TCP socket. */
int spread_join(int fd, const struct mp_cpu_mask *mask,
		struct spread_place *place);

/* No new connections for this one from now on. */
void spread_pause(struct spread_place *place);

/* Leaves; a clone is closed unless its descriptor has been. */
void spread_leave(struct spread_place *place, bool closed);

/* The number of connections that the channel has, and one it has taken. */
void spread_count(const struct spread_place *place, unsigned int held,
		  bool taken);

#endif
