/* SPDX-License-Identifier: MIT */
/*
 * Fixed-size objects from mapped blocks, newest freed first (cache-hot).
 *
 * Why not malloc: send() and recv() may run in a signal handler that
 * interrupted malloc. Memory is type-stable: a block is never unmapped, so
 * a stale pointer still points at an object of the same type.
 * Called by: channel, vsock, epset. The caller serialises.
 */
#ifndef MP_POOL_H
#define MP_POOL_H

#include <stddef.h>

struct pool {
	size_t size;		/* of one object, bytes; 16 at least */
	size_t block;		/* bytes mapped at a time */
	void *free;		/* stack of freed objects, linked in place */
	char *next, *end;	/* untouched part of the newest block */
	unsigned int used;
};

#define POOL_INIT(object_size, block_size) \
	{ .size = (object_size), .block = (block_size) }

/* One object, contents undefined; NULL when there is no memory. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *object);

#endif
