/* SPDX-License-Identifier: MIT */
/* See ready.h. */
#include "listener.h"
#include "ready.h"
#include "tx.h"

#define READABLE (EPOLLIN | EPOLLRDNORM)
#define WRITABLE (EPOLLOUT | EPOLLWRNORM)

static bool has_room(const struct vsock *vs)
{
	return !vs->kernel_full && tx_is_low(vs);
}

static bool is_readable(const struct vsock *vs)
{
	return (vs->rx_bytes && vs->rx_bytes >= vs->lowat) ||
	       (vs->kernel_in && vs->lowat == 1);
}

/* An established connection about which there is nothing to say but what its
 * queues say. */
static bool is_usual(const struct vsock *vs)
{
	return !vs->unusual && !vs->eof && !vs->shut_rd && !vs->err &&
	       !vs->polled;
}

uint32_t vs_ready(const struct vsock *vs)
{
	bool ended = vs->reset || vs->refused;
	bool rd_shut = vs->eof || vs->shut_rd || ended ||
		       ready_unpack(vs->polled) & EPOLLRDHUP;
	bool wr_shut = vs->shut_wr || ended;
	uint32_t mask = 0;

	if (likely(vs->life == VS_OPEN && is_usual(vs)))
		return (is_readable(vs) ? READABLE : 0) |
		       (tx_is_low(vs) ? WRITABLE : 0);
	if (vs->life == VS_LISTEN && vs->listener->stopped)
		return WRITABLE | EPOLLHUP;	/* not listening any more */
	if (vs->life == VS_LISTEN)
		return listener_pending(vs) ? READABLE : 0;
	if (rd_shut && wr_shut)
		mask |= EPOLLHUP;
	if (rd_shut)
		mask |= READABLE | EPOLLRDHUP;
	if (is_readable(vs))
		mask |= READABLE;
	if (wr_shut || has_room(vs))
		mask |= WRITABLE;
	if (vs->err)
		mask |= EPOLLERR;
	return mask | ready_unpack(vs->polled);
}
