/* SPDX-License-Identifier: MIT */
/*
 * epoll_ctl() of sockets of ours on a set that is not their thread's.
 *
 * Owns: nothing. Invariant: what is in a set of another thread, or in one that
 * is the kernel's, was given back to the kernel, which can watch it for all.
 * Called by: epoll_ctl(), without a lock. Threads: any.
 */
#ifndef SHIM_FOREIGN_H
#define SHIM_FOREIGN_H

#include "shim.h"

/* As epoll_ctl(2), or SHIM_PASS: it is not one, or not any more. */
long foreign_ctl(struct epset *set, int op, int fd, struct epoll_event *ev);

#endif
