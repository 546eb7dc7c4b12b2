/* SPDX-License-Identifier: MIT */
/*
 * Receiving: how recv() takes what was read ahead, and the rest.
 *
 * Owns: nothing but the way. Invariant: bytes leave in the order of the
 * completions that brought them; the kernel is read directly only while the
 * queue is empty or by the call that empties it.
 * Called by: io (down), vsock (up). The socket's lock is held.
 */
#ifndef SHIM_RX_H
#define SHIM_RX_H

#include "shim.h"

/* Up: an error of a receive: the facts that follow from it. */
void rx_failed(struct vsock *vs, int err);

/* As recvmsg(2) on a non-blocking socket: bytes, 0, or -errno. */
ssize_t rx_take(struct vsock *vs, const struct iovec *iov, size_t count,
		int flags);

/* The same, past everything that is queued: what the kernel has. Not while
 * the owner is in its ring with a receive. */
ssize_t rx_direct(struct vsock *vs, const struct iovec *iov, size_t count,
		  int flags);

/* Nothing is queued, and vs->err is to be told: a send may have met it, and
 * what came before it is read first. As above. */
ssize_t rx_before_error(struct vsock *vs, const struct iovec *iov, size_t count,
			int flags);

/* Bytes that recv() would return, as FIONREAD. */
int rx_readable(struct vsock *vs);

#endif
