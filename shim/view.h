/* SPDX-License-Identifier: MIT */
/*
 * What other processes can see of this one: counters and sockets in shared
 * memory (core/region.h), made with the first channel.
 *
 * Owns: the memfd and its mapping. Invariant: nothing here fails a call; a
 * process that can't have the memory counts for itself and shows nothing.
 * Called by: thread, vsock, listener, wait, handover, proc. The socket's lock
 * is held; shim_lock for channels.
 */
#ifndef SHIM_VIEW_H
#define SHIM_VIEW_H

#include "shim.h"

/* A channel was made, or is about to end; by its own thread. */
void view_channel_open(struct thread *th);
void view_channel_close(struct thread *th);

/* A channel could not be made (-errno). */
void view_refused(int why);

/* The socket is ours now, or is not any more. */
void view_sock_open(struct vsock *vs);
void view_sock_accepted(struct vsock *vs, const struct vsock *listener);
void view_sock_close(struct vsock *vs);

/* Its facts changed; what other threads read is stored, nothing more. */
void view_sock_store(struct vsock *vs);

static inline void view_sock(struct vsock *vs)
{
	if (likely(vs->record))
		view_sock_store(vs);
}

/* Only its queue of output did. */
static inline void view_sock_sent(struct vsock *vs)
{
	if (likely(vs->record))
		vs->record->tx = vs->tx_bytes;
}

/* The number's socket is the kernel's: a counter, or enum region_reason. */
void view_left(int fd, uint32_t reason);

/* A partitioned listener was taken over, has changed, is left. */
void view_partition_open(struct partition *p);
void view_partition(struct partition *p);
void view_partition_close(struct partition *p);

/* Counters of all channels together. */
uint64_t view_sum(enum stat_id id);

/* In a forked child: nothing of it is the child's. */
void view_forked(void);

#endif
