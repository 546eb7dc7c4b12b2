/* SPDX-License-Identifier: MIT */
/*
 * Processes that take turns in waiting for connections.
 *
 * One that holds a lock while it waits, for which its siblings wait meanwhile,
 * serves for all of them: a connection in another's accept queue would wait
 * for that one's turn. Such programs keep the one queue.
 * Owns: what is known of the process's locks. Called by: partition, and the
 * entry points of locks. Threads: any.
 */
#ifndef SHIM_TURNS_H
#define SHIM_TURNS_H

#include <stdbool.h>

/* This process holds a lock that others may wait for, or has made one whose
 * taking is not seen. */
extern bool turns_lock_held, turns_lock_made;

static inline bool turns_taken(void)
{
	return __atomic_load_n(&turns_lock_held, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&turns_lock_made, __ATOMIC_RELAXED);
}

/* fcntl(2), before a lock of a file is asked for with F_SETLK, F_SETLKW and
 * their kin. */
void turns_note_lock(int cmd, const void *flock);

/* In a child nothing is held yet. */
void turns_forked(void);

#endif
