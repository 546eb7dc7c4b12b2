/* SPDX-License-Identifier: MIT */
/*
 * When a thread's channel takes an epoll set over from the kernel.
 *
 * Worth a channel is a set with a listener, or with MEGAPIPE_MIN_CONNECTIONS
 * connections: with fewer there is nothing to batch, and a process that serves
 * one connection keeps the kernel's set at no cost. So the kernel may have
 * told events of a set before it is taken over.
 * Invariant: what it has told is not told again, what it has not is not lost.
 * Called by: wait. No lock is held.
 */
#ifndef SHIM_CLAIM_H
#define SHIM_CLAIM_H

#include "shim.h"

/* The calling thread is about to wait: does its channel drive the set? If not,
 * the thread sleeps in the kernel's, and ep_slept() is due if it is in
 * *sleeps* then. */
bool claim(struct epset *set, struct epset **sleeps);

/* Defined in wait.c. Would the descriptor, which no channel has, be ours if it
 * is put into a set for these events? */
bool wait_is_fit(int fd, const struct epoll_event *ev, bool *listens);

/* Puts it there, if its number still is what it *was*: 1 when it is ours now, 0
 * when it stays the kernel's, -1 when it does and is to be remembered
 * (fd_keep()). The set's lock is held. */
int wait_adopt(struct epset *set, int fd, const struct epoll_event *ev,
	       void *was);

#endif
