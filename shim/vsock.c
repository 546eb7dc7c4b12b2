/* SPDX-License-Identifier: MIT */
/* See vsock.h. */
#include <errno.h>
#include <string.h>

#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "leftover.h"
#include "listener.h"
#include "lone.h"
#include "option.h"
#include "ready.h"
#include "rx_queue.h"
#include "rx_request.h"
#include "thread.h"
#include "tx.h"
#include "view.h"
#include "vsock.h"

struct vsock *vs_new(struct thread *th, enum vs_life life,
		     enum vs_depth depth, int fd)
{
	struct vsock *vs = pool_get(&th->socks_pool);
	int handle;

	if (!vs)
		return NULL;
	memset(vs, 0, sizeof(*vs));
	handle = chan_register(th->ch, vs);
	if (handle < 0) {
		pool_put(&th->socks_pool, vs);
		return NULL;
	}
	vs->kind = OBJ_SOCK;
	vs->life = life;
	vs->depth = depth;
	vs->fd = fd;
	vs->slot = -1;
	vs->refs = 1;
	vs->nodelay = -1;
	vs->limits = option_default_limits();
	vs->lowat = 1;
	vs->handle = (uint32_t)handle;
	vs->th = th;
	if (depth == DEPTH_LW)
		thread_count_lw(th, 1);
	list_append(&th->socks, &vs->owned);
	return vs;
}

void vs_set_life(struct vsock *vs, enum vs_life life)
{
	static const uint8_t legal[] = {
		[VS_LISTEN] = 1 << VS_CLOSING,
		[VS_OPEN] = 1 << VS_CLOSING,
		[VS_CLOSING] = 1 << VS_DEAD,
		[VS_DEAD] = 0,
	};

	if (!(legal[vs->life] & 1 << life))
		__builtin_trap();
	vs->life = life;
}

void vs_touch_later(struct vsock *vs)
{
	if (list_linked(&vs->update))
		list_remove(&vs->update);
	list_append(&vs->th->later, &vs->update);
	vs->later = true;
}

void vs_touch(struct vsock *vs)
{
	if (unlikely(vs->later)) {
		vs->later = false;
		list_remove(&vs->update);
	}
	if (!list_linked(&vs->update))
		list_append(&vs->th->updates, &vs->update);
}

/* The free rule: no number, every slot idle. */
void vs_put(struct vsock *vs)
{
	struct thread *th = vs->th;

	if (vs->refs || vs->rx || vs->tx || vs->fin || vs->options)
		return;
	if (vs->listener && vs->listener->armed_count)
		return;
	if (vs->depth == DEPTH_GIVEN && vs->slot >= 0)
		return;		/* the owner closes it */
	if (vs->listener)
		listener_free(vs);
	if (vs->life != VS_DEAD)
		vs->life = VS_DEAD;
	if (vs->depth == DEPTH_LW)
		thread_count_lw(th, -1);
	th->held -= vs->accepted;
	ep_forget(vs, -1);
	rx_free(vs);
	tx_free(vs);
	view_sock_close(vs);
	list_remove(&vs->update);
	list_remove(&vs->owned);
	list_remove(&vs->loose);
	if (th->last == vs)
		th->last = NULL;
	if (th->ch)
		chan_unregister(th->ch, vs->handle);
	/* Look-ups without the lock may just see it. */
	__atomic_store_n(&vs->kind, OBJ_NONE, __ATOMIC_RELAXED);
	pool_put(&th->socks_pool, vs);
}

/* --- down ------------------------------------------------------------ */

/* shutdown(2) of what was queued behind output; the ring's own SHUTDOWN
 * always goes to a worker thread. */
void vs_finish_shutdown(struct vsock *vs)
{
	int how = vs->shut_pending - 1;

	vs->shut_pending = 0;
	if (!vs_materialise(vs, STAT_mat_shutdown))
		sys_shutdown(vs->fd, how);
}

/* May the FIN ride on the last bytes? What MSG_MORE holds back is dropped by a
 * close that finds unread bytes and resets (tcp_close()): only where nothing
 * has come since the program read all.
 * LIMIT: bytes that come between that and the close, where the kernel would
 * have sent the last reply and then reset, may cost the peer that reply. */
static bool fin_may_ride(const struct vsock *vs)
{
	if (vs->rst_close)
		return false;
	if (vs->eof)
		return true;
	return vs->in_edge && !vs->rx_more &&
	       (vs->rx == SLOT_IDLE || !chan_has_work(vs->th->ch));
}

static void update_tx(struct vsock *vs)
{
	bool closing = vs->life == VS_CLOSING;

	if (vs->tx != SLOT_IDLE) {
		/* Nothing more will be written: the wait for room ends. */
		if (closing && vs->tx_poll && vs->tx == SLOT_ARMED &&
		    vs->kernel_full) {
			chan_cancel(vs->th->ch, vs->handle, CHAN_OP_ROOM);
			vs->tx = SLOT_CANCELLING;
		}
		if (vs->tx_bytes > vs->tx_flight)
			thread_set_sending(vs->th, true);
		return;		/* one in flight; the rest gathers */
	}
	if (vs->tx_bytes) {
		tx_arm(vs, closing && vs->fin == SLOT_IDLE &&
		       vs->rx != SLOT_CANCELLING && fin_may_ride(vs));
		return;
	}
	if (vs->shut_pending)
		vs_finish_shutdown(vs);
	if (vs->kernel_full && !closing) {
		chan_poll_room(vs->th->ch, vs->handle, vs_file(vs));
		vs->tx_poll = true;
		vs->tx = SLOT_ARMED;
	}
}

bool vs_send_last(struct thread *th)
{
	struct vsock *vs = th->last;

	th->last = NULL;
	if (!vs || vs->life != VS_OPEN || vs->depth == DEPTH_GIVEN ||
	    vs->giving || vs->asked || vs->tx != SLOT_IDLE || !vs->tx_bytes)
		return false;
	tx_arm(vs, false);
	return true;
}

/* Closing is a protocol: cancel the receive (close sends no FIN while one is
 * armed), send what is queued, close. The cancel takes effect while it is
 * submitted, so the close may follow in the same batch. */
static void update_close(struct vsock *vs)
{
	static const struct linger rst = { .l_onoff = 1 };
	struct thread *th = vs->th;

	if (vs->rx == SLOT_ARMED)
		rx_cancel(vs);
	if (vs->tx_bytes && vs->fin == SLOT_IDLE && vs->tx == SLOT_IDLE &&
	    vs->rx == SLOT_CANCELLING) {
		tx_arm(vs, fin_may_ride(vs));
		return;
	}
	update_tx(vs);
	if (vs->tx != SLOT_IDLE || vs->tx_bytes || vs->fin != SLOT_IDLE)
		return;
	if (vs->rst_close && (vs->slot < 0 || chan_caps(th->ch)->sockopt)) {
		if (vs->slot >= 0)
			chan_setsockopt(th->ch, vs->handle, vs_file(vs),
					SOL_SOCKET, SO_LINGER, &rst,
					sizeof(rst));
		else
			sys_setsockopt(vs->fd, SOL_SOCKET, SO_LINGER, &rst,
				       sizeof(rst));
		vs->options += vs->slot >= 0;
	}
	vs->fin = SLOT_ARMED;
	chan_close(th->ch, vs->handle, vs_file(vs));
	chan_expect(th->ch);
}

/* From here on the number is the kernel's to give out again: nothing may be
 * found under it (the close below frees it). */
static void forget_number(struct vsock *vs)
{
	if (vs->depth == DEPTH_FD && vs->fd >= 0 &&
	    fd_object(vs->fd) == (void *)vs)
		fd_set_object(vs->fd, NULL);
}

/* Another thread waits for a descriptor. */
static void serve_asked(struct vsock *vs)
{
	enum stat_id reason = (enum stat_id)(vs->asked - 1);

	vs->asked = 0;
	vs_materialise(vs, reason);
	thread_served(vs->th);
}

/* Closed after it was given back, with something still in the ring. */
static void bury(struct vsock *vs)
{
	vs->refs = 1;		/* the last completion must not free it here */
	if (vs->listener)
		listener_stop(vs);
	vs->refs = 0;
	if (vs->rx == SLOT_ARMED)
		rx_cancel(vs);
	if (vs->tx == SLOT_ARMED && vs->tx_poll) {
		chan_cancel(vs->th->ch, vs->handle, CHAN_OP_ROOM);
		vs->tx = SLOT_CANCELLING;
	}
	if (vs->slot >= 0 && !vs->rx && !vs->tx) {
		thread_close_slot(vs->th, vs->slot);
		vs->slot = -1;
	}
	vs_put(vs);
}

/* Another thread has closed it. The last request to end would free it in the
 * middle of listener_stop(). */
static void update_closed_listener(struct vsock *vs)
{
	vs->refs++;
	listener_update(vs);
	vs->refs--;
	vs_put(vs);
}

void vs_update(struct vsock *vs)
{
	if (unlikely(vs->asked))
		serve_asked(vs);
	if (unlikely(vs->depth == DEPTH_GIVEN && vs->life != VS_CLOSING)) {
		if (vs->life == VS_DEAD)
			bury(vs);
		else
			vs_given_update(vs);
		return;
	}
	switch (vs->life) {
	case VS_LISTEN:
		if (!vs->giving)
			listener_update(vs);
		else if (vs_give_step(vs))
			return;		/* it is gone */
		break;
	case VS_OPEN:
		/* The peer is done and the program knows, yet it goes on:
		 * a reset may come, which a poll of the ring can't tell from
		 * the FIN (IO_POLL_UNMASK has RDHUP). The kernel can; but an
		 * edge-triggered set would tell the FIN again, so there only
		 * when something is sent that may be answered by a reset. */
		if (vs->eof_taken && !vs->giving &&
		    (vs->tx_bytes || ep_all_level(vs)))
			vs_give_start(vs, STAT_handover_eof);
		if (vs->giving && vs != vs->th->busy && vs_give_step(vs))
			return;
		rx_update(vs);
		update_tx(vs);
		break;
	case VS_CLOSING:
		if (vs->listener) {
			update_closed_listener(vs);
			return;
		} else if (vs->fin == SLOT_IDLE) {
			update_close(vs);
			if (vs->fin == SLOT_ARMED)
				forget_number(vs);
		}
		break;
	case VS_DEAD:
		break;
	}
	view_sock(vs);
}

/* --- up -------------------------------------------------------------- */

static void room_done(struct vsock *vs)
{
	vs->tx_poll = false;
	vs->tx = SLOT_IDLE;
	vs->kernel_full = false;
	if (vs->no_space) {
		vs->no_space = false;
		vs->out_edge++;
	}
}

static void close_done(struct vsock *vs, int result)
{
	vs->fin = SLOT_IDLE;
	if (result == -ECANCELED)
		return;		/* the send before it fell short: again */
	vs->th->slots -= vs->slot >= 0;
	vs->slot = -1;
	vs_set_life(vs, VS_DEAD);
	stat_inc(STAT_closed);
}

/* All went out and nothing waited for that: no want and no readiness changes
 * by it. The most frequent end of a send. */
static bool is_plain_end(const struct vsock *vs, const struct chan_event *ev)
{
	return ev->op == CHAN_OP_SEND && vs->life == VS_OPEN &&
	       vs->tx == SLOT_ARMED && vs->fin == SLOT_IDLE &&
	       ev->result == (int)vs->tx_bytes && !vs->unusual &&
	       vs->depth != DEPTH_GIVEN && tx_is_low(vs);
}

static void send_done(struct vsock *vs, int result)
{
	vs->tx = SLOT_IDLE;
	tx_done(vs, result);
	if (vs->tx_bytes > 0)
		thread_set_sending(vs->th, true);
	else if (vs->fin == SLOT_ARMED && result > 0)
		close_done(vs, 0);
}

void vs_complete(struct vsock *vs, const struct chan_event *ev)
{
	uint32_t drained = vs->out_edge;

	if (likely(is_plain_end(vs, ev))) {
		vs->tx = SLOT_IDLE;
		tx_done(vs, ev->result);
		view_sock_sent(vs);
		return;
	}
	if (unlikely(vs->listener)) {
		listener_polled(vs, ev);
		return;
	}
	switch (ev->op) {
	case CHAN_OP_RECV:
		rx_done(vs, ev);
		break;
	case CHAN_OP_SEND:
		send_done(vs, ev->result);
		break;
	case CHAN_OP_POLL:
		rx_polled(vs, ev);
		break;
	case CHAN_OP_ROOM:
		room_done(vs);
		break;
	case CHAN_OP_CLOSE:
		close_done(vs, ev->result);
		break;
	case CHAN_OP_SETOPT:
		vs->options--;
		break;
	default:
		break;
	}
	if (vs->life == VS_DEAD) {
		if (vs->slot >= 0)
			vs_touch(vs);
		vs_put(vs);
		return;
	}
	if (unlikely(vs->depth == DEPTH_GIVEN && vs->life != VS_CLOSING)) {
		leftover_show(vs);
		if (vs->out_edge != drained)
			leftover_room(vs);
		thread_served(vs->th);
		if (vs != vs->th->busy && vs_settle(vs))
			return;
	}
	/* A receive without a buffer is not tried again at once. */
	if (!vs->later || ev->op != CHAN_OP_RECV)
		vs_touch(vs);
	if (vs->life == VS_CLOSING)
		thread_set_sending(vs->th, true);
	ep_notify(vs);
}

/* --- close ----------------------------------------------------------- */

/* The program's number is closed next: the queues behind it go with it. */
static void close_partition(struct vsock *vs)
{
	struct partition *p = vs->listener->part;

	if (!p)
		return;
	vs->listener->part = NULL;
	partition_leave(p);
	partition_closed(p, vs->fd);
}

void vs_close(struct vsock *vs)
{
	struct thread *th = vs->th;

	ep_forget(vs, -1);
	if (vs->life == VS_LISTEN) {
		listener_stop(vs);
		if (!vs_mine(vs) && vs_wait_accepts(vs) == -EBADF)
			return;
		listener_pass_on(vs);
		close_partition(vs);
		vs->refs = 0;
		vs_set_life(vs, VS_CLOSING);
		vs_put(vs);
		return;
	}
	list_remove(&vs->loose);
	/* No load any more; that the kernel has ended it may be heard late. */
	th->held -= vs->accepted;
	vs->accepted = false;
	/* Unread data at close means RST, as in tcp_close(). */
	vs->rst_close = vs->rx_bytes > 0 && !vs->shared;
	lone_close(th);
	rx_free(vs);
	vs->refs = 0;
	vs_set_life(vs, VS_CLOSING);
	list_remove(&vs->update);
	vs_touch(vs);
	thread_set_sending(th, true);
	if (!vs_mine(vs))
		thread_wake(th);
	else if (chan_announce(th->ch))
		thread_flush(th);
}
