/* SPDX-License-Identifier: MIT */
/*
 * Fixed-size objects from mapped blocks, newest freed first (cache-hot).
 *
 * Why not malloc: send() and recv() may run in a signal handler that
 * interrupted malloc. Memory is type-stable: a block is not unmapped before
 * the pool ends, so a stale pointer still points at an object of its type.
 * Called by: front, vsock, epset. The caller serialises.
 */
#ifndef MP_POOL_H
#define MP_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool {
	size_t size;		/* of one object, bytes; 16 at least */
	size_t block;		/* bytes mapped at a time */
	void *free;		/* stack of freed objects, linked in place */
	char *next, *end;	/* untouched part of the newest block */
	bool ends;		/* pool_close() will be called: */
	void *newest;		/* block, whose last word is the one before */
	unsigned int used;
};

#define POOL_INIT(object_size, block_size) \
	{ .size = (object_size), .block = (block_size) }

/* One object, contents undefined; NULL when there is no memory. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *object);

/* Will the next pool_get() succeed? Maps a block if need be. */
bool pool_ready(struct pool *p);

/* Unmaps it all: of a pool that *ends* only. */
void pool_close(struct pool *p);

#endif
