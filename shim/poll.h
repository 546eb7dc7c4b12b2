/* SPDX-License-Identifier: MIT */
/*
 * Waiting by poll() and select() for sockets of ours.
 *
 * A socket that is ready is answered from its facts. One that is not is given
 * back, so that the kernel can wait for everything in one place: poll() on
 * a connection that also sits in an epoll set is rare.
 * Owns: nothing. Called by: poll and select. Threads: any, no lock held.
 */
#ifndef SHIM_POLL_H
#define SHIM_POLL_H

/* What is true of a socket of ours; -1 when it is the kernel's. */
int poll_ready(int fd, short events);

/* Gives it back: 0 when it is the kernel's now. */
int poll_release(int fd);

/* A process that waits for a partitioned listener in this way takes what the
 * kernel's socket has. */
void poll_share(int fd);

#endif
