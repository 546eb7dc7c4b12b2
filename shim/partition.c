/* SPDX-License-Identifier: MIT */
/* See partition.h. */
#include <errno.h>
#include <string.h>

#include "clone.h"
#include "config.h"
#include "epset.h"
#include "fdtable.h"
#include "init.h"
#include "listener.h"
#include "orphan.h"
#include "partition.h"
#include "partition_table.h"
#include "thread.h"
#include "turns.h"
#include "view.h"
#include "vsock.h"

/* Events of the watch: a socket's index, that there are orphans, this and an
 * owner's index, or that the table has changed. */
#define WATCH_ORPHANS STEER_PARTS
#define WATCH_OWNER 0x100
#define WATCH_TABLE 0x200

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static int open_pidfd(int pid)
{
	return (int)sys_call3(SYS_pidfd_open, pid, 0, 0);
}

static void close_hidden(int *fd)
{
	if (*fd >= 0) {
		fd_unhide(*fd);
		sys_close(*fd);
	}
	*fd = -1;
}

/* --- the watch ------------------------------------------------------- */

static int watch_ctl(struct partition *p, int op, int fd, uint32_t events,
		     uint32_t data)
{
	struct epoll_event ev = { .events = events };

	ev.data.u32 = data;
	return sys_epoll_ctl(p->watch, op, fd, &ev);
}

static void forget_owner(struct partition *p, unsigned int i)
{
	if (p->pidfds[i] < 0)
		return;
	/* A child may have a copy: not left to its close. */
	watch_ctl(p, EPOLL_CTL_DEL, p->pidfds[i], 0, 0);
	close_hidden(&p->pidfds[i]);
	p->owners[i] = 0;
}

/* Hears of the owner's end. One that has ended already is removed now. */
static void watch_owner(struct partition *p, unsigned int i, uint32_t owner)
{
	if (p->owners[i] == owner && p->pidfds[i] >= 0)
		return;
	forget_owner(p, i);
	p->pidfds[i] = open_pidfd((int)owner);
	if (p->pidfds[i] == -ESRCH)
		table_bury(p, i, owner);
	if (p->pidfds[i] < 0) {
		p->pidfds[i] = -1;
		return;
	}
	p->pidfds[i] = clone_hide(p->pidfds[i]);
	p->owners[i] = owner;
	watch_ctl(p, EPOLL_CTL_ADD, p->pidfds[i], EPOLLIN, WATCH_OWNER | i);
}

static bool is_shared(const struct partition *p)
{
	return __atomic_load_n(&p->table->shared, __ATOMIC_SEQ_CST);
}

/* Whose connections anybody may take. Number 0 of a process that owns none is
 * what its requests are armed on. */
static bool is_watched(const struct partition *p, unsigned int i)
{
	if ((int)i == p->mine || (!i && p->mine < 0))
		return false;
	if (i && p->table->stopped)
		return false;
	return is_shared(p) || !steer_active(&p->table->parts[i]);
}

static void watch_sock(struct partition *p, unsigned int i)
{
	uint64_t bit = 1ull << (i % 64), *word = &p->watched[i / 64];
	bool wanted = is_watched(p, i);

	if (wanted == !!(*word & bit))
		return;
	*word ^= bit;
	watch_ctl(p, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, p->socks[i],
		  EPOLLIN, i);
}

static void look_at(struct partition *p, unsigned int i)
{
	uint32_t owner = STEER_READ(p->table->parts[i].owner);

	/* Left by one that had the same number before us. */
	if (owner == (uint32_t)p->me && (int)i != p->mine)
		table_bury(p, i, owner);
	else if (owner && owner != (uint32_t)p->me)
		watch_owner(p, i, owner);
	else
		forget_owner(p, i);
	watch_sock(p, i);
}

static void change_mine(struct partition *p)
{
	p->moved = true;
	vs_touch(p->vs);
}

/* The table has changed: whom to watch, what to claim. */
static void scan(struct partition *p)
{
	unsigned int i;

	if (is_shared(p) && p->mine >= 0) {
		table_release(p);
		change_mine(p);
	} else if (p->mine < 0 && table_claim(p)) {
		stat_inc(STAT_partition_claims);
		change_mine(p);
	}
	for (i = 0; i < p->count; i++)
		look_at(p, i);
	view_partition(p);
}

void partition_arm(struct partition *p)
{
	if (unlikely(turns_taken()))
		table_share(p);
	if (p->armed || p->elsewhere || p->watch < 0 || !p->handle)
		return;
	p->armed = true;
	chan_poll(p->vs->th->ch, p->handle,
		  (struct chan_file){ .fd = p->watch }, EPOLLIN, false);
}

#define EVENTS_AT_ONCE 16

void partition_complete(struct partition *p, const struct chan_event *ev)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	bool changed = false;
	int i, n;

	p->armed = false;
	if (ev->result <= 0 || !p->vs)
		return;
	n = sys_epoll_wait0(p->watch, events, EVENTS_AT_ONCE);
	for (i = 0; i < n; i++) {
		uint32_t what = events[i].data.u32;

		if (what & WATCH_OWNER) {
			what &= ~WATCH_OWNER;
			table_bury(p, what, p->owners[what]);
		}
		/* Not of one that was shut down just now. */
		if (events[i].data.u32 < WATCH_OWNER)
			p->elsewhere |= !!(events[i].events & EPOLLIN);
		else
			changed = true;
	}
	if (changed)
		scan(p);
	if (!p->elsewhere)
		return;
	p->vs->in_edge++;
	ep_notify(p->vs);
}

/* --- taking ---------------------------------------------------------- */

long partition_accept(struct partition *p, struct sockaddr *addr,
		      socklen_t *len, int flags)
{
	long ret = p->elsewhere ? orphan_take(p, addr, len, flags) : -EAGAIN;
	unsigned int i;

	if (ret != -EAGAIN)
		return ret;
	for (i = 0; p->elsewhere && i < p->count; i++) {
		if (!(p->watched[i / 64] >> (i % 64) & 1))
			continue;
		ret = sys_call4(SYS_accept4, p->socks[i], addr, len, flags);
		if (ret >= 0)
			stat_inc(STAT_partition_adopted);
		if (ret != -EAGAIN && !(ret == -EINVAL && p->table->stopped))
			return ret;
	}
	p->elsewhere = false;
	return -EAGAIN;
}

/* A server whose processes take turns in accepting, one at a time, would
 * have all its workers told of each turn: it keeps the one queue. */
#define QUICK_NS 100000000
#define QUICK_MAX 16

static void note_pause(struct partition *p)
{
	int64_t now = sys_now_ns();

	p->quick = now - p->pause_ns < QUICK_NS ? p->quick + 1 : 0;
	p->pause_ns = now;
	if (p->quick >= QUICK_MAX)
		table_share(p);
}

void partition_want(struct partition *p, bool want)
{
	if (p->mine < 0 || p->paused == !want)
		return;
	p->paused = !want;
	view_partition(p);
	__atomic_store_n(&p->table->parts[p->mine].paused, !want,
			 __ATOMIC_SEQ_CST);
	table_changed(p);
	if (!want)
		note_pause(p);
}

/* Of a listener tcpi_unacked is what waits to be accepted (tcp_get_info()). */
static uint32_t queue_length(int fd)
{
	struct { uint8_t state[8]; uint32_t words[5]; } info = { 0 };
	socklen_t len = sizeof(info);

	sys_getsockopt(fd, IPPROTO_TCP, 11 /* TCP_INFO */, &info, &len);
	return info.words[4];
}

/* A SYN that no connection came of was counted as steered here. What seems to
 * be queued when the process goes to sleep a second time, and nothing came
 * meanwhile, is compared with the queue. */
void partition_weigh(struct partition *p, uint32_t held)
{
	struct steer_part *part = &p->table->parts[p->mine];
	uint32_t steered = STEER_READ(part->steered);

	__atomic_store_n(&part->held, held, __ATOMIC_RELAXED);
	if (p->record) {
		p->record->held = held;
		p->record->accepted = p->accepted;
	}
	/* A classic program counts nothing. */
	if (likely(steered == part->seen) || p->table->step != STEER_EBPF)
		return;
	if (steered == p->steered)
		part->seen = steered - queue_length(partition_sock(p));
	p->steered = steered;
}

/* --- whose ----------------------------------------------------------- */

static bool open_watch(struct partition *p, struct thread *th)
{
	int handle;

	p->watch = clone_hide((int)sys_call3(SYS_epoll_create1, EPOLL_CLOEXEC,
					     0, 0));
	if (p->watch < 0)
		return false;
	/* Each write is an edge, and nobody reads: all hear of it. */
	watch_ctl(p, EPOLL_CTL_ADD, p->change, EPOLLIN | EPOLLET, WATCH_TABLE);
	watch_ctl(p, EPOLL_CTL_ADD, p->orphans[1], EPOLLIN, WATCH_ORPHANS);
	handle = chan_register(th->ch, p);
	p->handle = handle > 0 ? (uint32_t)handle : 0;
	return handle > 0;
}

static void close_watch(struct partition *p)
{
	unsigned int i;

	for (i = 0; i < p->count; i++)
		forget_owner(p, i);
	close_hidden(&p->watch);
	memset(p->watched, 0, sizeof(p->watched));
	p->elsewhere = p->moved = p->armed = false;
}

void partition_adopt(struct partition *p, struct vsock *vs)
{
	vs->listener->part = p;
	p->vs = vs;
	p->me = sys_getpid();
	p->steered = 0;
	/* LIMIT: a process that has threads when it first waits shares the
	 * listener, and so do the others of its server from then on: a
	 * thread that waits for it as well makes it the kernel's. */
	if (!open_watch(p, vs->th) || !__libc_single_threaded || turns_taken())
		table_share(p);
	view_partition_open(p);
	if (p->watch >= 0)
		scan(p);
}

void partition_leave(struct partition *p)
{
	struct thread *th = p->vs->th;

	view_partition_close(p);
	table_release(p);
	if (p->handle && th->ch) {
		if (p->armed && th == self_thread)
			chan_cancel(th->ch, p->handle, CHAN_OP_POLL);
		chan_unregister(th->ch, p->handle);
	}
	p->handle = 0;
	close_watch(p);
	p->vs = NULL;
}

void partition_share(struct partition *p)
{
	p->native = true;
	table_share(p);
}
