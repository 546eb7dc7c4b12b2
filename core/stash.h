/* SPDX-License-Identifier: MIT */
/*
 * Completions that wait for their turn outside the kernel's queue.
 *
 * Owns: their memory. Invariant: [head, tail) wait, oldest first.
 * Called by: ring. The thread that opened it.
 */
#ifndef CORE_STASH_H
#define CORE_STASH_H

#include "ring.h"

struct stash {
	struct ring_event *events;
	unsigned int head, tail, size;
};

static inline bool stash_any(const struct stash *s)
{
	return s->head != s->tail;
}

/* Room for *more* events behind those that wait: 0 or -ENOMEM. */
int stash_grow(struct stash *s, unsigned int more);
void stash_free(struct stash *s);

#endif
