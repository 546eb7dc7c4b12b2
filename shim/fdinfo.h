/* SPDX-License-Identifier: MIT */
/*
 * What the kernel shows of a descriptor (proc_pid_fdinfo(5)).
 *
 * Owns: nothing. Called by: leftover, rare. Threads: any.
 */
#ifndef SHIM_FDINFO_H
#define SHIM_FDINFO_H

#include <stdbool.h>
#include <stddef.h>

/* Fills *buf* with the text on *fd*, ended by a 0, as much as has room. Its
 * length, or -errno: there need not be a /proc. */
int fdinfo_read(int fd, char *buf, size_t size);

/* Is it a pidfd of this process? */
bool fdinfo_is_self(int fd);

#endif
