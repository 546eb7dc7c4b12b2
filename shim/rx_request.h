/* SPDX-License-Identifier: MIT */
/*
 * The receive request of a socket: what is wanted, armed, and has ended.
 *
 * Owns: vs->rx, rx_poll, rx_watch, rx_stream, rx_more, kernel_in, bulk.
 * Invariant: one request is in flight: a receive, a stream of them, a poll that
 * watches for arrivals, which the program then reads from the kernel, or, when
 * what is queued is enough, a poll for the peer's end.
 * Called by: vsock, rx, handover and others who need it ended. The socket's
 * lock is held.
 */
#ifndef SHIM_RX_REQUEST_H
#define SHIM_RX_REQUEST_H

#include "shim.h"

/* Queued bytes at which reading ahead ends. */
static inline uint32_t rx_full_limit(const struct vsock *vs)
{
	return vs->limits.receive > vs->lowat ? vs->limits.receive : vs->lowat;
}

/* Bulk is only announced by what is read ahead: the rest comes when the program
 * asks for it. */
static inline uint32_t rx_limit(const struct vsock *vs)
{
	return vs->bulk ? vs->lowat : rx_full_limit(vs);
}

/* So many smaller receives end it: requests are small again. */
#define BULK_PATIENCE 16

/* Takes no request what the kernel has? */
static inline bool rx_is_free(const struct vsock *vs)
{
	return vs->rx == SLOT_IDLE || (vs->rx == SLOT_ARMED && vs->rx_watch);
}

/* The kernel was asked for bytes, and that was its answer. */
void rx_answered(struct vsock *vs, ssize_t ret);

/* The kernel may have something: has it? */
void rx_resolve(struct vsock *vs);

/* Down: compares what is wanted with what is armed. */
void rx_update(struct vsock *vs);

/* Up: a receive, or the poll, has completed. */
void rx_done(struct vsock *vs, const struct chan_event *ev);
void rx_polled(struct vsock *vs, const struct chan_event *ev);

/* Queues the end of an armed receive. */
void rx_cancel(struct vsock *vs);

/* Everything that the kernel has is ours, nothing is in flight: waits for
 * the recv request to end. Only for the owner's thread. */
void rx_quiesce(struct vsock *vs);

#endif
