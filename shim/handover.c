/* SPDX-License-Identifier: MIT */
/* See handover.h. */
#include <errno.h>
#include <string.h>

#include "entry.h"
#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "leftover.h"
#include "listener.h"
#include "rx_request.h"
#include "thread.h"
#include "tx.h"
#include "view.h"
#include "vsock.h"

/* How long another thread waits for an owner that sleeps where we do not see
 * it. LIMIT: such an owner (a contended mutex) makes calls that need a
 * descriptor for its lightweight sockets fail with EBUSY. */
#define ASK_MS 2000
#define ASK_TICK_MS 20

/* Is the owner asleep, though not in its ring? proc_pid_stat(5): the state is
 * the word after the name in brackets. */
static bool is_asleep(const struct thread *th)
{
	char path[64] = "/proc/self/task/", text[256], digits[16], *state;
	int fd, n, tid = th->tid, i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + tid % 10);
	} while (tid /= 10);
	n = (int)strlen(path);
	memcpy(path + n, digits + i, sizeof(digits) - (size_t)i);
	strcpy(path + n + sizeof(digits) - i, "/stat");
	fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = (int)sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	text[n > 0 ? n : 0] = '\0';
	state = strrchr(text, ')');
	return !state || !state[1] || state[2] != 'R';
}

/* Only the owner can enter its ring: wakes it, and waits a while for what was
 * asked. The lock is given up meanwhile, so the socket may be gone: -EBADF.
 * *patience* in ms; -EBUSY when it is used up. */
static int wait_owner(struct vsock *vs, int *patience)
{
	static const struct timespec tick = { 0, ASK_TICK_MS * 1000000 };
	struct thread *th = vs->th;
	uint32_t handle = vs->handle, seq;
	bool slow;

	vs_touch(vs);
	thread_set_sending(th, true);
	thread_wake(th);
	seq = __atomic_load_n(&th->served, __ATOMIC_RELAXED);
	th->askers++;
	th->busy = NULL;	/* ours, and we let it go */
	lock_give(&th->lock);
	slow = sys_futex(&th->served, FUTEX_WAIT_PRIVATE, seq, &tick) ==
	       -ETIMEDOUT;
	lock_take(&th->lock);
	th->askers--;
	if (vs->kind != OBJ_SOCK || vs->handle != handle)
		return -EBADF;
	if (slow && !th->sleeping && is_asleep(th))
		*patience -= ASK_TICK_MS;
	return *patience > 0 ? 0 : -EBUSY;
}

int vs_wait_rx(struct vsock *vs)
{
	int ret = 0, patience = ASK_MS;

	while (!ret && vs->rx != SLOT_IDLE && !vs->rx_bytes && !vs->err &&
	       vs->th->sleeping)
		ret = wait_owner(vs, &patience);
	if (!ret)
		vs->th->busy = vs;
	return ret;
}

/* LIMIT: while the owner is busy outside its ring, its requests keep the
 * listener that another thread has closed open. */
int vs_wait_accepts(struct vsock *vs)
{
	int ret = 0, patience = ASK_MS;

	while (!ret && (vs->listener->armed_count || vs->rx != SLOT_IDLE) &&
	       vs->th->sleeping) {
		vs->asked = (uint8_t)(1 + STAT_handover_thread);
		ret = wait_owner(vs, &patience);
	}
	return ret;
}

/* Meanwhile the owner may have given it back: then its number has one. */
static int ask_descriptor(struct vsock *vs, enum stat_id reason)
{
	int ret = 0, patience = ASK_MS, fd = vs->fd;

	while (!ret && vs->depth == DEPTH_LW) {
		vs->asked = (uint8_t)(1 + reason);
		ret = wait_owner(vs, &patience);
	}
	return ret == -EBADF && fd_lookup(fd, OBJ_PLAIN) ? (int)SHIM_PASS : ret;
}

/* The descriptor takes the place of what holds the number. It stays open, as
 * *fd*, where there is a number: the caller closes it. */
static int become_real(struct vsock *vs, int fd, enum stat_id reason)
{
	int ret;

	if (fd < 0)
		return fd;
	/* The file was accepted with O_NONBLOCK, the program may not want. */
	if (!vs->nonblock)
		sys_fcntl(fd, F_SETFL, O_RDWR);
	ret = 0;
	if (vs->fd >= 0)
		ret = sys_dup3(fd, vs->fd, vs->cloexec ? O_CLOEXEC : 0);
	else
		vs->fd = fd;	/* closed already: ends with the slot */
	if (ret < 0)
		return ret;
	vs->depth = DEPTH_MATERIALISED;
	thread_count_lw(vs->th, -1);
	stat_inc(reason);
	trace2(materialise, vs->fd, stat_names[reason]);
	view_sock(vs);
	return 0;
}

int vs_materialise(struct vsock *vs, enum stat_id reason)
{
	bool closed = vs->fd < 0;
	int fd, ret;

	if (vs->depth != DEPTH_LW)
		return 0;
	if (!vs_mine(vs))
		return ask_descriptor(vs, reason);
	fd = chan_call_install(vs->th->ch, vs->slot);
	ret = become_real(vs, fd, reason);
	if (fd >= 0 && !closed)
		sys_close(fd);
	return ret;
}

/* New descriptors mostly follow one another, where the program's end. */
static void close_row(const int *fds, unsigned int count)
{
	unsigned int i;

	for (i = 1; i < count && fds[i] == fds[0] + (int)i; i++)
		;
	if (i == count && fds[0] >= 0 &&
	    !sys_call3(SYS_close_range, fds[0], fds[count - 1], 0))
		return;
	for (i = 0; i < count; i++)
		if (fds[i] >= 0)
			sys_close(fds[i]);
}

static void materialise_row(struct vsock **row, unsigned int count,
			    enum stat_id reason)
{
	int slots[CHAN_INSTALL_MAX], fds[CHAN_INSTALL_MAX];
	unsigned int i;

	for (i = 0; i < count; i++)
		slots[i] = row[i]->slot;
	if (count)
		chan_call_install_all(row[0]->th->ch, slots, fds, count);
	for (i = 0; i < count; i++)
		become_real(row[i], fds[i], reason);
	close_row(fds, count);
}

void vs_materialise_all(struct thread *th, enum stat_id reason)
{
	struct vsock *row[CHAN_INSTALL_MAX];
	unsigned int count = 0;
	struct list *node;

	for (node = th->socks.next; node != &th->socks; node = node->next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		if (vs->life != VS_OPEN || vs->depth != DEPTH_LW ||
		    vs->fd < 0)
			continue;
		row[count++] = vs;
		if (count == CHAN_INSTALL_MAX) {
			materialise_row(row, count, reason);
			count = 0;
		}
	}
	materialise_row(row, count, reason);
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
	rx_quiesce(vs);
	empty = tx_drain(vs);
	rx_quiesce(vs);
	return empty;
}

static void forget_numbers(struct vsock *vs)
{
	int fd;

	if (vs->fd >= 0 && fd_object(vs->fd) == (void *)vs) {
		if (vs->listener && vs->listener->part)
			fd_set_object(vs->fd, vs->listener->part);
		else
			fd_mark_plain(vs->fd);
		view_left(vs->fd, vs->giving - 1u);
	}
	for (fd = 0; vs->refs > 1 && fd < FD_TABLE_MAX; fd++) {
		if (fd_object(fd) != (void *)vs)
			continue;
		fd_mark_plain(fd);
		view_left(fd, vs->giving - 1u);
		vs->refs--;
	}
}

static const struct linger no_linger;

/* From now on the kernel's sets report it. */
static void move_entries(struct vsock *vs)
{
	struct epent *e;

	shim_tell("socket %d is the kernel's: %s", vs->fd,
		  stat_names[vs->giving - 1]);
	for (e = vs->ents; e; e = e->next) {
		struct epoll_event ev = { .events = e->events };

		ev.data.u64 = e->data;
		leftover_enter(vs, e->set->fd, e->fd, &ev, !e->armed);
		if (vs->listener && vs->listener->part)
			partition_ctl(vs->listener->part, e->set->fd,
				      EPOLL_CTL_ADD, &ev);
		e->set->has_foreign = true;
		e->set->foreign = true;
	}
	ep_forget(vs, -1);
}

/* Is something of it still in the ring, or on the way there? */
static bool in_ring(const struct vsock *vs)
{
	return vs->rx || vs->tx || vs->fin || vs->options || vs->tx_bytes ||
	       vs->shut_pending || vs->slot >= 0 ||
	       (vs->listener && vs->listener->armed_count);
}

bool vs_settle(struct vsock *vs)
{
	if (vs->shut_pending && !vs->tx_bytes && vs->tx == SLOT_IDLE)
		vs_finish_shutdown(vs);
	if (vs->slot >= 0 && vs_mine(vs) && !vs->rx && !vs->tx &&
	    !vs->options && !vs->tx_bytes) {
		thread_close_slot(vs->th, vs->slot);
		vs->slot = -1;
	}
	if (leftover_any(vs))
		return false;
	if (unlikely(vs->rst_close) && vs->life == VS_OPEN) {
		/* Read after all. */
		vs->rst_close = false;
		sys_setsockopt(vs->fd, SOL_SOCKET, SO_LINGER, &no_linger,
			       sizeof(no_linger));
	}
	leftover_read(vs);
	if (in_ring(vs) || leftover_keeps(vs))
		return false;
	leftover_free(vs);
	forget_numbers(vs);
	vs->refs = 0;
	vs->life = VS_DEAD;
	vs_put(vs);
	return true;
}

/* The process is served by the kernel: what waits in queues that it, or
 * nobody, owned is reported by the kernel's sets as well. One that ends leaves
 * its siblings as they are. */
static void give_partition(struct partition *p)
{
	if (!__atomic_load_n(&shim_leaving, __ATOMIC_RELAXED))
		partition_share(p);
	partition_leave(p);
}

/* Reading is the kernel's. What was read ahead is served from memory, what is
 * queued to send goes out first. */
static bool let_go(struct vsock *vs)
{
	if (vs->listener && vs->listener->part) {
		listener_pass_on(vs);
		give_partition(vs->listener->part);
	}
	if (vs->listener)
		vs->listener->polled = false;
	if (vs->lowat > 1)
		sys_setsockopt(vs->fd, SOL_SOCKET, SO_RCVLOWAT, &vs->lowat,
			       sizeof(vs->lowat));
	trace2(hand_over, vs->fd, stat_names[vs->giving - 1]);
	move_entries(vs);
	__atomic_store_n(&vs->depth, DEPTH_GIVEN, __ATOMIC_RELAXED);
	view_sock(vs);
	thread_served(vs->th);
	return vs_settle(vs);
}

void vs_end_unread(struct vsock *vs)
{
	static const struct linger rst = { .l_onoff = 1 };

	if (vs->depth != DEPTH_GIVEN || !vs->rx_bytes || vs->shared ||
	    vs->rst_close)
		return;
	vs->rst_close = true;
	sys_setsockopt(vs->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
}

bool vs_give_step(struct vsock *vs)
{
	if (vs->life == VS_LISTEN) {
		if (!listener_update(vs) ||
		    (vs->listener->queued && !vs->hurry))
			return false;
		return let_go(vs);
	}
	if (vs->rx == SLOT_ARMED)
		rx_quiesce(vs);
	/* Not when all is read and sent: nobody would watch it meanwhile. */
	return vs->rx == SLOT_IDLE && let_go(vs);
}

void vs_given_update(struct vsock *vs)
{
	if (vs->listener)
		listener_stop(vs);
	if (vs->rx == SLOT_ARMED)
		rx_cancel(vs);
	if (vs->tx == SLOT_IDLE && vs->tx_bytes) {
		tx_arm(vs, false);
	} else if (vs->tx == SLOT_ARMED && vs->tx_poll && !vs->tx_bytes) {
		chan_cancel(vs->th->ch, vs->handle, CHAN_OP_ROOM);
		vs->tx = SLOT_CANCELLING;
	}
	if (vs != vs->th->busy)
		vs_settle(vs);
}

/* The owner is outside its ring and we hold its lock: its requests stand
 * still (the work that ends them runs only when it enters), and what it has
 * collected is in memory. */
static void take_from_frozen(struct vsock *vs)
{
	if (vs->th->ch)
		thread_dispatch(vs->th);
	if (!vs->listener)
		tx_push(vs);
	vs_touch(vs);		/* it cancels them before anything else */
	let_go(vs);
}

int vs_give_now(struct vsock *vs, enum stat_id reason)
{
	int ret = 0, patience = ASK_MS;

	while (!ret && vs->depth != DEPTH_GIVEN) {
		vs->hurry = true;
		if (vs_mine(vs)) {
			ret = vs_give_back(vs, reason);
			return ret < 0 ? ret : 0;
		}
		if (!vs->giving)
			stat_inc(reason);
		vs->giving = (uint8_t)(1 + reason);
		if (!vs->th->sleeping && vs->depth != DEPTH_LW) {
			take_from_frozen(vs);
			return 0;
		}
		if (vs->depth == DEPTH_LW)
			vs->asked = (uint8_t)(1 + STAT_mat_call);
		ret = wait_owner(vs, &patience);
	}
	/* Given back completely, and its memory used again or not. */
	return ret == -EBADF ? 0 : ret;
}

static int give_back_listener(struct vsock *vs, enum stat_id reason)
{
	if (!vs->giving)
		stat_inc(reason);
	vs->giving = (uint8_t)(1 + reason);
	listener_stop(vs);
	if (!vs->listener->armed_count &&
	    (!vs->listener->queued || vs->hurry))
		let_go(vs);
	return 0;
}

int vs_give_start(struct vsock *vs, enum stat_id reason)
{
	int ret;

	if (vs->giving && vs->depth != DEPTH_LW)
		return 0;
	ret = vs_materialise(vs, reason);
	if (ret < 0)
		return ret;
	if (vs->depth != DEPTH_MATERIALISED)
		stat_inc(reason);
	vs->giving = (uint8_t)(1 + reason);
	if (vs_mine(vs) && vs->rx == SLOT_ARMED)
		rx_cancel(vs);
	if (vs_mine(vs) && vs->tx_poll && vs->tx == SLOT_ARMED) {
		chan_cancel(vs->th->ch, vs->handle, CHAN_OP_ROOM);
		vs->tx = SLOT_CANCELLING;
	}
	vs_touch(vs);
	return 0;
}

int vs_give_back(struct vsock *vs, enum stat_id reason)
{
	int ret;

	if (vs->depth == DEPTH_GIVEN)
		return 0;
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
	ret = vs_give_step(vs);
	/* It may be given and not gone: no step is left. */
	return ret || vs->depth == DEPTH_GIVEN ? ret : 0;
}

long vs_given_error(struct vsock *vs)
{
	long ret;

	if (likely(vs->depth != DEPTH_GIVEN || !vs->err))
		return 0;
	ret = -vs_take_error(vs);
	vs_settle(vs);
	return ret;
}

long vs_end_receive(struct vsock *vs)
{
	int ret;

	if (likely(vs->rx == SLOT_IDLE))
		return 0;
	if (vs_mine(vs)) {
		rx_quiesce(vs);
		return 0;
	}
	ret = vs_wait_rx(vs);
	if (ret)
		return ret == -EBADF ? SHIM_PASS : -EAGAIN;
	if (vs->rx != SLOT_IDLE && vs->th->ch)
		thread_dispatch(vs->th);
	return 0;
}
