/* SPDX-License-Identifier: MIT */
/*
 * The receive queue: what was read ahead and not taken yet.
 *
 * Owns: vs->rx_head, rx_tail, rx_bytes. Invariant: bytes are in the order in
 * which the kernel gave them; an idle socket has no memory of it.
 * Called by: rx, vsock. The socket's lock is held.
 */
#ifndef SHIM_RX_QUEUE_H
#define SHIM_RX_QUEUE_H

#include "shim.h"

/* Received bytes: in a lent buffer of the channel, or copied behind. */
struct rx_piece {
	struct rx_piece *next;
	char *data;
	uint32_t len;
	int32_t buffer;		/* lent buffer, or -1: data is in a chunk */
	bool big;		/* ... of the big ones */
	void *chunk;
};

/* Up: bytes from a completion. */
void rx_arrived(struct vsock *vs, const struct chan_event *ev);

void rx_free(struct vsock *vs);

void rx_append(struct vsock *vs, struct rx_piece *piece);
void rx_free_piece(struct vsock *vs, struct rx_piece *piece);

/* Copies the first bytes, which stay there: how many. With MSG_TRUNC in *flags*
 * they are only counted. */
size_t rx_copy(struct vsock *vs, const struct iovec *iov, size_t count,
	       int flags);

/* The first *len* bytes are gone. */
void rx_consume(struct vsock *vs, size_t len);

#endif
