/* SPDX-License-Identifier: MIT */
/*
 * Sending: the queue behind send(), and the one request that empties it.
 *
 * Owns: the send queue. Invariant: one send in flight per socket (parallel
 * ones interleave, liburing issue 1001); new bytes gather behind it.
 * Called by: io (down), vsock (both). The socket's lock is held.
 */
#ifndef SHIM_TX_H
#define SHIM_TX_H

#include "shim.h"

/* As sendmsg(2) on a non-blocking socket: bytes or -errno. The caller raises
 * SIGPIPE. */
ssize_t tx_put(struct vsock *vs, const struct iovec *iov, size_t count,
	       int flags);

/* As sendfile(2) for a part small enough to queue: bytes, or -errno, or
 * -EOPNOTSUPP when the caller should let the kernel do it. */
ssize_t tx_put_file(struct vsock *vs, int in_fd, off_t *offset, size_t len);

/* Down: queues the send request. With *close* the file is closed after. */
void tx_arm(struct vsock *vs, bool close);

/* Up: a send ended. */
void tx_done(struct vsock *vs, int result);

/* Sends all that is queued, without waiting: true when it went out. Only
 * for the owner's thread. */
bool tx_drain(struct vsock *vs);

/* The same for any thread while the owner is outside its ring and nothing is
 * in flight: by the descriptor. */
void tx_push(struct vsock *vs);

/* Do bytes of ours go before what is sent now? */
static inline bool tx_is_ours(const struct vsock *vs)
{
	return vs->depth != DEPTH_GIVEN || vs->tx_bytes ||
	       (vs->tx != SLOT_IDLE && !vs->tx_poll);
}

/* Is there room as poll(2) has it? As sk_stream_is_writeable(): a third of the
 * buffer must be free. */
static inline bool tx_is_low(const struct vsock *vs)
{
	return vs->tx_bytes <= vs->limits.send / 3 * 2;
}

/* How much of what is queued has not reached the kernel's socket: a send that
 * waits for room is ended for that. */
uint32_t tx_unsent(struct vsock *vs);

/* The kernel's own buffer is full: the tx slot waits for room in it. */
void tx_kernel_full(struct vsock *vs);

/* The kernel took much at once, by a call: see may_be_full(). */
void tx_took_much(struct vsock *vs);

void tx_free(struct vsock *vs);

#endif
