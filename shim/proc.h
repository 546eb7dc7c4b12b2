/* SPDX-License-Identifier: MIT */
/*
 * Processes: what fork, exec and exit do to channels.
 *
 * Owns: the fork handlers. Invariant: a child has no ring; what it inherits
 * are plain descriptors. Called by: init, the entry points.
 */
#ifndef SHIM_PROC_H
#define SHIM_PROC_H

void proc_init(void);

/* Before a program is started beside us: as before exec. */
void proc_before_spawn(bool copies);

/* The same, for the stub of vfork(): libc's function. */
void *proc_before_vfork(void);

/* Flush and drain, once; for every way out of the process. */
void init_end(void);

/* A thread that has forked waits again: what it shares is read ahead again.
 * Its lock is held. */
void proc_waits_again(struct thread *th);

#endif
