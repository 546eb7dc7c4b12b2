/* SPDX-License-Identifier: MIT */
/*
 * More listening sockets for the address of one that listens.
 *
 * Owns: nothing; the sockets are the caller's. Invariant: a connection through
 * a clone has the options that it would have through the original, and nobody
 * else can bind the address while it could not natively.
 * Called by: partition, in the process that made the listener. No lock.
 */
#ifndef SHIM_CLONE_H
#define SHIM_CLONE_H

#include "shim.h"

/* Can the listener be cloned and its port be kept closed? 0 or -errno, before
 * anything is changed. */
int clone_possible(int fd);

/* Fills *clones* with *count* hidden listening sockets and *guard* with the
 * one that keeps the port: 0, or -errno and nothing is left but that the port
 * may be joined by the same user. */
int clone_listener(int fd, int backlog, int *clones, unsigned int count,
		   int *guard);

/* A descriptor of ours, out of the program's way, or -EMFILE and closed. */
int clone_hide(int fd);

/* A setsockopt(2) that makes a socket unlike what can be copied. */
void clone_note_option(int level, int name);

#endif
