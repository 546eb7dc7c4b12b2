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

/* Up: our queue has room again after it had none: an edge, which the kernel,
 * whose buffer may have had room since long, does not tell. */
void leftover_room(struct vsock *vs);

/* An entry of number *fd*, which may be closed and a copy open, moves into a
 * kernel's set. A one-shot entry that has *fired* is in none until epoll_ctl()
 * arms it again (the kernel has no such entry: an added one reports HUP). */
void leftover_enter(struct vsock *vs, int epfd, int fd,
		    const struct epoll_event *ev, bool fired);

/* Number *fd* is closed, a copy of it is not: the sets go on reporting it. */
void leftover_rename(struct vsock *vs, int fd);

/* Is there an entry that the kernel's set does not have as it should? Then
 * the record must stay. */
bool leftover_keeps(const struct vsock *vs);

/* Will the kernel's one-shot entry of descriptor *tfd* still report? */
bool leftover_is_armed(int epfd, int tfd);

/* Nothing is left in memory: the sets watch the socket again. */
void leftover_read(struct vsock *vs);

/* The last number is closed: it leaves the sets now, although requests of its
 * old owner may hold the file for longer. One that others have too stays in
 * them, as in the kernel. */
void leftover_close(struct vsock *vs);

/* Forgets it; the sets, which a parent may share, are left as they are. */
void leftover_free(struct vsock *vs);

#endif
