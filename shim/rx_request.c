/* SPDX-License-Identifier: MIT */
/* See rx_request.h. */
#include <errno.h>

#include "epset.h"
#include "listener.h"
#include "ready.h"
#include "rx.h"
#include "rx_queue.h"
#include "rx_request.h"
#include "thread.h"
#include "vsock.h"

/* --- down ------------------------------------------------------------ */

/* A child has it too, and this process has not shown since that it goes on
 * with it: what comes may be for the child. */
static bool is_childs(const struct vsock *vs)
{
	return unlikely(vs->shared) && vs->th->forked;
}

/* Is a receive wanted? While the program reads on, and its queue is shorter
 * than *limit*. */
static bool wants_recv(const struct vsock *vs, uint32_t limit)
{
	return vs->life == VS_OPEN && !vs->eof && !vs->reset && !vs->giving &&
	       vs->depth != DEPTH_GIVEN && vs->rx_bytes < limit &&
	       !is_childs(vs);
}

/* A program that sleeps with unread bulk is to be told of each arrival. */
static uint32_t limit_now(const struct vsock *vs)
{
	return vs->bulk && vs->th->turning && !ep_all_level(vs) ?
		       rx_full_limit(vs) : rx_limit(vs);
}

/* A connection that is not read any more must still report a hang-up.
 * LIMIT: a reset that comes after the peer's FIN is noticed by the next send,
 * or once the program has read the end of the data, not before. */
static bool wants_hangup(const struct vsock *vs)
{
	return vs->life == VS_OPEN && !vs->eof && !vs->reset && !vs->giving &&
	       vs->depth != DEPTH_GIVEN && !vs->polled && !vs->refused &&
	       vs->rx_bytes >= rx_limit(vs);
}

void rx_cancel(struct vsock *vs)
{
	chan_cancel(vs->th->ch, vs->handle,
		    vs->rx_poll ? CHAN_OP_POLL : CHAN_OP_RECV);
	vs->rx = SLOT_CANCELLING;
}

/* Mostly it is: a stream waits, and is wanted. */
static bool rx_is_right(const struct vsock *vs)
{
	return vs->rx == SLOT_ARMED && !vs->rx_poll && !vs->unusual &&
	       !vs->eof && !vs->bulk && vs->depth != DEPTH_GIVEN &&
	       vs->rx_bytes < vs->limits.receive && !is_childs(vs);
}

/* Bulk of which a level is to be told is not received ahead at all: the kernel
 * says that there is some, and the program reads from there. Edges are better
 * told with the first bytes (nginx, uploads of 64 KiB: 1.13 to 0.96), and what
 * has no descriptor can't be asked at once whether there is more. */
static bool may_watch(const struct vsock *vs)
{
	return vs->bulk && vs->lowat == 1 && !vs->shared && !vs->eof &&
	       !vs->reset && !vs->refused && !vs->giving && !vs->shut_rd &&
	       vs->life == VS_OPEN && vs->depth != DEPTH_GIVEN &&
	       vs->depth != DEPTH_LW && ep_all_level(vs) &&
	       (vs->rx_watch || ep_wants_input(vs));
}

static void watch(struct vsock *vs)
{
	chan_poll(vs->th->ch, vs->handle, vs_file(vs), EPOLLIN | EPOLLRDHUP,
		  true);
	vs->rx_poll = vs->rx_watch = true;
	vs->rx = SLOT_ARMED;
	vs->read_at = vs->th->synced - 1;
}

/* One that waits: bulk has no stream. */
static bool keeps_recv(const struct vsock *vs)
{
	return wants_recv(vs, rx_full_limit(vs)) &&
	       !(vs->rx_stream && vs->bulk);
}

void rx_update(struct vsock *vs)
{
	bool recv, poll;

	if (likely(rx_is_right(vs)))
		return;
	if (may_watch(vs)) {
		if (vs->rx == SLOT_IDLE)
			watch(vs);
		else if (vs->rx == SLOT_ARMED && !vs->rx_watch &&
			 (vs->rx_poll || vs->rx_stream))
			rx_cancel(vs);
		return;
	}
	recv = wants_recv(vs, limit_now(vs));
	poll = !recv && wants_hangup(vs);
	if (vs->rx == SLOT_CANCELLING)
		return;		/* its end is on the way and decides then */
	if (vs->rx == SLOT_ARMED) {
		if (vs->rx_poll ? !poll || vs->rx_watch : !keeps_recv(vs))
			rx_cancel(vs);
		return;		/* what waits is what is wanted */
	}
	if (poll && vs->bulk && !vs->th->turning) {
		vs_touch_later(vs);	/* it is about to be read, mostly */
	} else if (poll) {
		chan_poll(vs->th->ch, vs->handle, vs_file(vs), EPOLLRDHUP,
			  false);
		vs->rx_poll = true;
		vs->rx = SLOT_ARMED;
	} else if (recv) {
		vs->rx_poll = false;
		vs->rx_stream = vs->outlived && !vs->bulk;
		if (vs->rx_stream)
			chan_recv_stream(vs->th->ch, vs->handle, vs_file(vs));
		else
			chan_recv(vs->th->ch, vs->handle, vs_file(vs));
		vs->rx = SLOT_ARMED;
	}
}

void rx_quiesce(struct vsock *vs)
{
	if (vs->rx == SLOT_ARMED)
		rx_cancel(vs);
	while (vs->rx != SLOT_IDLE) {
		if (shim_shared)
			listener_hold_all(vs->th);
		chan_flush_reap(vs->th->ch);
		thread_dispatch(vs->th);
	}
}

/* --- up -------------------------------------------------------------- */

/* What takes its place may find something at once, and a wait of no time is to
 * tell it. */
static void make_way(struct vsock *vs)
{
	if (vs->life == VS_OPEN && !vs->giving)
		vs->th->look_again = true;
}

void rx_done(struct vsock *vs, const struct chan_event *ev)
{
	if (!ev->more)
		vs->rx = SLOT_IDLE;
	/* Also when a FIN follows (tcp_inq_hint()). A buffer that was not
	 * filled and yet more: the program must be told of it together. */
	vs->rx_more = ev->nonempty;
	if (ev->nonempty && !ev->more && ev->result < CHAN_BUFFER_SIZE)
		vs->th->look_again = true;
	if (ev->result > 0) {
		if (vs->bulk && ev->result < CHAN_BUFFER_SIZE)
			vs->bulk--;
		if (vs->life == VS_OPEN)
			rx_arrived(vs, ev);
		else
			thread_put_buffer(vs->th, ev->buffer);
		if (vs->life == VS_CLOSING && !vs->shared)
			vs->rst_close = true;
		return;
	}
	if (ev->data)
		thread_put_buffer(vs->th, ev->buffer);
	switch (ev->result) {
	case 0:
		vs->eof = true;
		vs->in_edge += !vs->refused;	/* told as a hang-up */
		break;
	case -ENOBUFS:
		/* Back-pressure, not an error: again when buffers are back. */
		vs->rx_more = true;
		if (vs->life == VS_OPEN)
			vs_touch_later(vs);
		break;
	case -ECANCELED:
		make_way(vs);
		break;
	case -EINTR:
	case -EAGAIN:
		break;
	default:
		rx_failed(vs, -ev->result);
	}
}

/* Something came, perhaps before the last read, which took it then. Not if all
 * that had come by then was heard of before. */
static void arrived(struct vsock *vs)
{
	/* Again, and nobody wants to know? */
	if (vs->kernel_in && vs->rx == SLOT_ARMED && !ep_wants_input(vs))
		rx_cancel(vs);
	vs->kernel_in = (int32_t)(vs->th->synced - vs->read_at) > 0 ?
				KERNEL_HAS : KERNEL_MAY;
	vs->rx_more = true;
	vs->in_edge++;
}

void rx_polled(struct vsock *vs, const struct chan_event *ev)
{
	uint32_t told = ev->result > 0 ? (uint32_t)ev->result : 0;
	bool watched = vs->rx_watch;

	/* The error that ended it has been taken since. */
	if (vs->refused)
		told &= ~(uint32_t)EPOLLERR;
	if (!ev->more) {
		vs->rx_poll = vs->rx_watch = false;
		vs->rx = SLOT_IDLE;
		vs->kernel_in = KERNEL_EMPTY;
	} else if (told) {
		arrived(vs);
	}
	if (watched ? told & ~(uint32_t)EPOLLIN : told) {
		vs->polled |= ready_pack(told);
		vs->kernel_err = told & EPOLLERR;
		vs->in_edge++;
		vs->out_edge++;
	}
	if (!ev->more && (watched || ev->result == -ECANCELED))
		make_way(vs);
}

/* A read may end early: before an urgent byte, at a bad address. */
void rx_answered(struct vsock *vs, ssize_t ret)
{
	if (!vs->rx_watch)
		return;
	/* By another thread: while the owner hears of what has come. */
	vs->read_at = vs->th->synced + !vs_mine(vs);
	if (ret >= CHAN_BUFFER_SIZE)
		vs->bulk = BULK_PATIENCE;
	else if (ret > 0 && vs->bulk)
		vs->bulk--;
	if (!vs->bulk)
		vs_touch(vs);
	vs->kernel_in = ret && ret != -EAGAIN ? KERNEL_MAY : KERNEL_EMPTY;
	vs->rx_more = vs->kernel_in;
}

void rx_resolve(struct vsock *vs)
{
	int now = sys_poll_now(vs->fd, POLLIN);

	vs->kernel_in = now < 0 || now & POLLIN ? KERNEL_HAS : KERNEL_EMPTY;
	vs->rx_more = vs->kernel_in;
}
