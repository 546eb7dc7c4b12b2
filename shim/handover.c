/* SPDX-License-Identifier: MIT */
/* See handover.h. */
#include <errno.h>

#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "listener.h"
#include "rx.h"
#include "thread.h"
#include "tx.h"
#include "vsock.h"

/* How long another thread waits for the owner, who serves it at its next
 * flush. LIMIT: an owner that computes for longer, or waits for that thread
 * without a call that we see, makes the call fail with EBUSY. */
#define ASK_MS 2000
#define ASK_TICK_MS 50

/* Only the owner can enter its ring: it is asked. The lock is given up
 * meanwhile, so the socket may be gone. */
static int ask_owner(struct vsock *vs, enum stat_id reason)
{
	static const struct timespec tick = { 0, ASK_TICK_MS * 1000000 };
	struct thread *th = vs->th;
	uint32_t handle = vs->handle, seq;
	int i;

	for (i = 0; i < ASK_MS / ASK_TICK_MS; i++) {
		vs->asked = (uint8_t)(1 + reason);
		vs_touch(vs);
		thread_set_sending(th, true);
		thread_wake(th);
		seq = __atomic_load_n(&th->served, __ATOMIC_RELAXED);
		lock_give(&th->lock);
		sys_futex(&th->served, FUTEX_WAIT_PRIVATE, seq, &tick);
		lock_take(&th->lock);
		if (vs->kind != OBJ_SOCK || vs->handle != handle)
			return -EBADF;
		if (vs->depth != DEPTH_LW)
			return 0;
	}
	return -EBUSY;
}

int vs_materialise(struct vsock *vs, enum stat_id reason)
{
	int fd, ret;

	if (vs->depth != DEPTH_LW)
		return 0;
	if (!vs_mine(vs))
		return ask_owner(vs, reason);
	fd = mp_call_install(vs->th->ch, vs->slot);
	if (fd < 0)
		return fd;
	/* The file was accepted with O_NONBLOCK, the program may not want. */
	if (!vs->nonblock)
		sys_fcntl(fd, F_SETFL, O_RDWR);
	ret = 0;
	if (vs->fd >= 0)
		ret = sys_dup3(fd, vs->fd, vs->cloexec ? O_CLOEXEC : 0);
	if (vs->fd >= 0)
		sys_close(fd);
	else
		vs->fd = fd;	/* closed already: ends with the slot */
	if (ret < 0)
		return ret;
	vs->depth = DEPTH_MATERIALISED;
	stat_inc(reason);
	return 0;
}

bool vs_quiesce(struct vsock *vs)
{
	bool empty;

	if (!vs->th)
		return true;
	if (!vs_mine(vs))
		return vs->tx_bytes == 0 && vs->rx == SLOT_IDLE;
	/* The receive first: what has not come in yet stays the kernel's.
	 * tx_drain() may arm it again. */
	vs_quiesce_rx(vs);
	empty = tx_drain(vs);
	vs_quiesce_rx(vs);
	return empty;
}

static void forget_numbers(struct vsock *vs)
{
	int fd;

	if (vs->fd >= 0 && fd_object(vs->fd) == (void *)vs)
		fd_mark_plain(vs->fd);
	for (fd = 0; vs->refs > 1 && fd < FD_TABLE_MAX; fd++) {
		if (fd_object(fd) != (void *)vs)
			continue;
		fd_mark_plain(fd);
		vs->refs--;
	}
}

/* The last step: nothing is in flight or queued. */
static void let_go(struct vsock *vs)
{
	struct epent *e;
	int fd = vs->fd;

	for (e = vs->ents; e; e = e->next) {
		struct epoll_event ev = { .events = e->events };

		ev.data.u64 = e->data;
		if (!e->armed)
			ev.events = e->events & EPOLLONESHOT;
		/* The number of the entry may be closed, a copy open. */
		sys_epoll_ctl(e->set->fd, EPOLL_CTL_ADD,
			      fd_object(e->fd) == (void *)vs ? e->fd : fd,
			      &ev);
		e->set->has_foreign = true;
		e->set->foreign = true;
	}
	ep_forget(vs, -1);
	if (vs->slot >= 0)
		mp_call_close(vs->th->ch,
			      (struct mp_file){ .fd = vs->slot, .lw = true });
	vs->slot = -1;
	forget_numbers(vs);
	vs->refs = 0;
	vs->life = VS_DEAD;
	vs_put(vs);
}

bool vs_give_step(struct vsock *vs)
{
	if (vs->life == VS_LISTEN) {
		if (!listener_update(vs) || vs->listener->queued)
			return false;
		let_go(vs);
		return true;
	}
	if (vs->rx == SLOT_ARMED)
		vs_quiesce_rx(vs);
	if (vs->rx != SLOT_IDLE || vs->tx != SLOT_IDLE || vs->options ||
	    vs->tx_bytes)
		return false;
	if (vs->shut_pending)
		vs_finish_shutdown(vs);
	if (vs->rx_bytes || vs->err)
		return false;
	let_go(vs);
	return true;
}

static int give_back_listener(struct vsock *vs, enum stat_id reason)
{
	if (!vs->giving)
		stat_inc(reason);
	vs->giving = (uint8_t)(1 + reason);
	listener_stop(vs);
	if (!vs->listener->armed_count && !vs->listener->queued)
		let_go(vs);
	return 0;
}

int vs_give_start(struct vsock *vs, enum stat_id reason)
{
	int ret;

	if (vs->giving)
		return 0;
	ret = vs_materialise(vs, reason);
	if (ret < 0)
		return ret;
	if (vs->depth != DEPTH_MATERIALISED)
		stat_inc(reason);
	vs->giving = (uint8_t)(1 + reason);
	if (vs_mine(vs) && vs->rx == SLOT_ARMED)
		vs_cancel_rx(vs);
	if (vs_mine(vs) && vs->tx_poll && vs->tx == SLOT_ARMED) {
		mp_cancel(vs->th->ch, vs->handle, MP_OP_ROOM);
		vs->tx = SLOT_CANCELLING;
	}
	vs_touch(vs);
	return 0;
}

int vs_give_back(struct vsock *vs, enum stat_id reason)
{
	int ret;

	if (vs->life == VS_LISTEN)
		return give_back_listener(vs, reason);
	if (vs_mine(vs))
		vs->th->busy = vs;	/* not freed under our feet */
	ret = vs_give_start(vs, reason);
	if (ret < 0)
		return ret;
	if (!vs_mine(vs)) {
		thread_wake(vs->th);
		return 0;
	}
	vs_quiesce(vs);
	return vs_give_step(vs);
}
