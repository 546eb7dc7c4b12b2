/* SPDX-License-Identifier: MIT */
/*
 * What the kernel can't see of a socket that was given back: bytes that were
 * read ahead, connections that were accepted ahead.
 *
 * As long as there are any, an eventfd that is always ready stands in for the
 * socket in the kernel's epoll sets, so that every set of every thread, also
 * nested or copied ones, reports it. The socket itself stays in them for what
 * the stand-in does not tell: hang-ups, and room when there was none.
 * Owns: struct leftover, which notes these sets. Invariant: vs->left only while
 * the socket is DEPTH_GIVEN: something is in memory or still in the ring.
 * Called by: handover, wait, entry. The socket's lock is held.
 */
#ifndef SHIM_LEFTOVER_H
#define SHIM_LEFTOVER_H

#include "shim.h"

/* Is something of the socket readable from memory? */
bool leftover_any(const struct vsock *vs);

/* epoll_ctl(2) of number *fd*, a given socket's, on a kernel's set. */
int leftover_ctl(struct vsock *vs, int epfd, int op, int fd,
		 const struct epoll_event *ev);

/* Up: something came into memory after the socket was given back. Its owner
 * was outside its ring, and found a receive that had begun meanwhile. */
void leftover_show(struct vsock *vs);

/* Nothing is left in memory: the sets watch the socket again. */
void leftover_read(struct vsock *vs);

/* The last number is closed: it leaves the sets now, although requests of its
 * old owner may hold the file for longer. */
void leftover_close(struct vsock *vs);

void leftover_free(struct vsock *vs);

#endif
