/* SPDX-License-Identifier: MIT */
/*
 * Handles: what a channel knows a socket, a listener or a set by.
 *
 * Owns: the table index -> (generation, owner). Invariant: an index is
 * given out again only with a new generation; index 0 is nobody.
 * Called by: channel. The channel's lock is held.
 */
#ifndef MP_HANDLE_H
#define MP_HANDLE_H

#include <stddef.h>
#include <stdint.h>

struct handle_entry {
	void *owner;		/* NULL: free */
	uint32_t gen;
	uint32_t next_free;
};

struct handle_table {
	struct handle_entry *entries;
	uint32_t size;		/* entries that may be used */
	uint32_t fresh;		/* first entry that was never used */
	uint32_t free;		/* head of the free list, 0: empty */
};

/* The limit of handles in one channel: one per descriptor that a process
 * can have by default on Debian (hard limit 1048576), half for requests.
 * The table is mapped whole and touched as it is used. */
#define HANDLE_MAX (1u << 20)

/* 0 or -ENOMEM. */
int handle_table_open(struct handle_table *t);
void handle_table_close(struct handle_table *t);

/* A new handle for *owner*: its index (> 0), or -ENOMEM. */
int handle_open(struct handle_table *t, void *owner);
void handle_close(struct handle_table *t, uint32_t index);

/* The owner, or NULL when the handle died since. */
static inline void *handle_owner(const struct handle_table *t, uint32_t index,
				 uint32_t gen)
{
	if (index >= t->fresh || t->entries[index].gen != gen)
		return NULL;
	return t->entries[index].owner;
}

static inline uint32_t handle_gen(const struct handle_table *t, uint32_t index)
{
	return t->entries[index].gen;
}

#endif
