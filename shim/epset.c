/* SPDX-License-Identifier: MIT */
/* See epset.h. */
#include <errno.h>
#include <string.h>

#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "leftover.h"
#include "listener.h"
#include "partition.h"
#include "ready.h"
#include "rx_request.h"
#include "thread.h"
#include "view.h"
#include "vsock.h"

static struct pool set_pool = POOL_INIT(sizeof(struct epset), 16384);

struct epset *ep_new(int fd)
{
	struct epset *set;

	if (!lock_take(&shim_lock))
		return NULL;
	set = pool_get(&set_pool);
	lock_give(&shim_lock);
	if (!set)
		return NULL;
	memset(set, 0, sizeof(*set));
	set->kind = OBJ_SET;
	set->fd = fd;
	list_init(&set->members);
	list_init(&set->ready);
	return set;
}

static void detach(struct epset *set)
{
	if (!set->th)
		return;
	list_remove(&set->owned);
	if (set->handle && set->th->ch) {
		if (set->poll_armed)
			chan_cancel(set->th->ch, set->handle, CHAN_OP_POLL);
		chan_unregister(set->th->ch, set->handle);
	}
	set->handle = 0;
	set->poll_armed = false;
	__atomic_store_n(&set->th, NULL, __ATOMIC_RELEASE);
}

struct lock *ep_take(struct epset *set)
{
	for (;;) {
		struct lock *lock = ep_lock(set);

		if (!lock_take(lock))
			return NULL;
		if (lock == ep_lock(set))
			return lock;
		lock_give(lock);
	}
}

void ep_close(struct epset *set)
{
	struct lock *lock = ep_take(set);

	if (!lock)
		return;
	fd_set_object(set->fd, NULL);
	while (set->candidate_count)
		ep_unkeep(set->candidates[--set->candidate_count].fd);
	if (set->inherited)
		list_init(&set->members);
	while (!list_empty(&set->members))
		ep_remove(list_entry(set->members.next, struct epent, member));
	detach(set);
	/* The memory stays a set's: a look-up that raced finds OBJ_NONE. */
	set->kind = OBJ_NONE;
	lock_give(lock);
	if (!lock_take(&shim_lock))
		return;		/* in a handler: it is not used again */
	pool_put(&set_pool, set);
	lock_give(&shim_lock);
}

struct epent *ep_find(struct epset *set, const struct vsock *vs, int fd)
{
	struct epent *e;

	for (e = vs->ents; e; e = e->next)
		if (e->set == set && e->fd == fd)
			return e;
	return NULL;
}

static void make_ready(struct epent *e)
{
	if (e->armed && !list_linked(&e->ready))
		list_append(&e->set->ready, &e->ready);
}

int ep_add(struct epset *set, struct vsock *vs, int fd,
	   const struct epoll_event *ev)
{
	struct epent *e = &vs->first;

	if (ep_find(set, vs, fd))
		return -EEXIST;
	if (e->set) {
		e = pool_get(&vs->th->ents_pool);
		if (!e)
			return -ENOMEM;
	}
	*e = (struct epent){
		.set = set, .vs = vs, .fd = fd,
		.embedded = e == &vs->first,
	};
	e->next = vs->ents;
	vs->ents = e;
	list_append(&set->members, &e->member);
	list_remove(&vs->loose);
	ep_modify(e, ev);
	return 0;
}

/* A change of interest reports what is true now, also with EPOLLET. */
void ep_modify(struct epent *e, const struct epoll_event *ev)
{
	e->events = ev->events | EPOLLERR | EPOLLHUP;
	e->data = ev->data.u64;
	e->armed = true;
	e->seen_in = e->vs->in_edge - 1;
	e->seen_out = e->vs->out_edge - 1;
	make_ready(e);
	vs_touch(e->vs);
}

void ep_remove(struct epent *e)
{
	struct epent **p = &e->vs->ents;

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	list_remove(&e->member);
	list_remove(&e->ready);
	e->set = NULL;
	if (e->vs->life == VS_LISTEN)
		vs_touch(e->vs);
	view_sock(e->vs);
	if (!e->embedded)
		pool_put(&e->vs->th->ents_pool, e);
}

void ep_forget(struct vsock *vs, int fd)
{
	struct epent *e, *next;

	for (e = vs->ents; e; e = next) {
		next = e->next;
		if (fd < 0 || e->fd == fd)
			ep_remove(e);
	}
}

bool ep_all_level(const struct vsock *vs)
{
	const struct epent *e;

	for (e = vs->ents; e; e = e->next)
		if (e->events & EPOLLET)
			return false;
	return true;
}

static bool asks_for_input(const struct epent *e)
{
	return e->events & (EPOLLIN | EPOLLRDNORM);
}

bool ep_wants_input(const struct vsock *vs)
{
	const struct epent *e;

	for (e = vs->ents; e; e = e->next)
		if (e->armed && asks_for_input(e))
			return true;
	return false;
}

void ep_notify(struct vsock *vs)
{
	struct epent *e;

	for (e = vs->ents; e; e = e->next)
		make_ready(e);
}

void ep_complete(struct epset *set, const struct chan_event *ev)
{
	if (!ev->more)
		set->poll_armed = false;
	if (ev->result > 0)
		set->foreign = true;
}

void ep_arm(struct epset *set)
{
	if (!set->has_foreign || set->poll_armed || !set->handle)
		return;
	set->poll_armed = true;
	chan_poll(set->th->ch, set->handle, (struct chan_file){ .fd = set->fd },
		  EPOLLIN, true);
}

/* What the entry would report now. Edge-triggered: only when something
 * arrived or drained since, and then all that is true, as in the kernel. */
static uint32_t pending(const struct epent *e)
{
	struct vsock *vs = e->vs;

	if (!e->armed || (e->events & EPOLLET && e->seen_in == vs->in_edge &&
			  e->seen_out == vs->out_edge))
		return 0;
	if (unlikely(vs->kernel_in == KERNEL_MAY) && asks_for_input(e))
		rx_resolve(vs);
	return vs_ready(vs) & e->events;
}

bool ep_has_ready(struct epset *set)
{
	struct list *node = set->ready.next, *next;

	for (; node != &set->ready; node = next) {
		struct epent *e = list_entry(node, struct epent, ready);

		next = node->next;
		if (pending(e))
			return true;
		list_remove(node);
	}
	return false;
}

static void report(struct epent *e, uint32_t mask, struct epoll_event *out)
{
	out->events = mask;
	out->data.u64 = e->data;
	e->seen_in = e->vs->in_edge;
	e->seen_out = e->vs->out_edge;
	if (e->events & EPOLLONESHOT)
		e->armed = false;
	if (e->vs->life == VS_LISTEN)
		listener_reported(e->vs);
	if (e->armed && !(e->events & EPOLLET))
		make_ready(e);		/* level: looked at again, last */
}

static int collect_ours(struct epset *set, struct epoll_event *events, int max)
{
	struct list *last = set->ready.prev;
	int n = 0;

	while (n < max && !list_empty(&set->ready)) {
		struct list *node = list_pop(&set->ready);
		struct epent *e = list_entry(node, struct epent, ready);
		uint32_t mask = pending(e);

		if (mask)
			report(e, mask, &events[n++]);
		if (node == last)
			break;		/* each entry once */
	}
	return n;
}

static int collect_kernel(struct epset *set, struct epoll_event *events,
			  int max)
{
	int n;

	if (!set->foreign || max <= 0)
		return 0;
	n = sys_epoll_wait0(set->fd, events, max);
	if (n <= 0)
		set->foreign = false;
	return n > 0 ? n : 0;
}

/* Who went first and filled it goes last the next time. With room for all it
 * does not matter, and a look in between must not change whose turn it is. */
int ep_collect(struct epset *set, struct epoll_event *events, int max)
{
	int n;

	if (set->kernel_first) {
		n = collect_kernel(set, events, max);
		n += collect_ours(set, events + n, max - n);
	} else {
		n = collect_ours(set, events, max);
		n += collect_kernel(set, events + n, max - n);
	}
	if (n == max)
		set->kernel_first = !set->kernel_first;
	return n;
}

void ep_attach(struct epset *set, struct thread *th)
{
	int handle = chan_register(th->ch, set);

	set->handle = handle > 0 ? (uint32_t)handle : 0;
	list_append(&th->sets, &set->owned);
	__atomic_store_n(&set->th, th, __ATOMIC_RELEASE);
}

/* All receives are cancelled by one batch, before anything more is read
 * ahead. */
static void start_giving(struct epset *set, enum stat_id reason)
{
	struct list *node;

	for (node = set->members.next; node != &set->members;
	     node = node->next) {
		struct vsock *vs;

		vs = list_entry(node, struct epent, member)->vs;
		if (vs->depth == DEPTH_LW && !vs_mine(vs))
			vs->asked = (uint8_t)(1 + STAT_mat_call);
		else if (vs->life == VS_OPEN)
			vs_give_start(vs, reason);
		vs->hurry = true;
		vs_touch(vs);
	}
}

void ep_make_plain(struct epset *set, enum stat_id reason)
{
	struct list *node;

	if (set->plain)
		return;
	__atomic_store_n(&set->plain, true, __ATOMIC_RELAXED);
	if (!set->th)
		return;
	start_giving(set, reason);
	/* The lock is given up meanwhile: the list may change. A socket whose
	 * owner does not answer is given when it comes back. */
	while (set->kind == OBJ_SET && (node = set->members.next) !=
	       &set->members) {
		struct epent *e = list_entry(node, struct epent, member);

		if (vs_give_now(e->vs, reason) < 0)
			break;
	}
}

struct epset *ep_sleeps(struct epset *set, bool *driven)
{
	if (*driven && !set->th &&
	    __atomic_load_n(&set->sleepers, __ATOMIC_RELAXED)) {
		ep_make_plain(set, STAT_handover_thread);
		*driven = false;
	}
	if (*driven)
		return NULL;
	set->waited = true;
	__atomic_add_fetch(&set->sleepers, 1, __ATOMIC_RELAXED);
	return set;
}

/* The set may be closed since and its memory another one: never below zero. A
 * thread that was cancelled there counts for ever; then it stays plain. */
void ep_slept(struct epset *set)
{
	unsigned int n = 0;

	if (set)
		n = __atomic_load_n(&set->sleepers, __ATOMIC_RELAXED);
	while (n && !__atomic_compare_exchange_n(&set->sleepers, &n, n - 1,
						 true, __ATOMIC_RELAXED,
						 __ATOMIC_RELAXED))
		;
}

void ep_give(struct epset *set, enum stat_id reason)
{
	struct lock *lock;

	ep_revive(set);
	lock = ep_take(set);

	if (!lock)
		return;
	ep_make_plain(set, reason);
	lock_give(lock);
}

/* --- before a thread waits: everything is in the kernel's set -------- */

static struct candidate *find_candidate(struct epset *set, int fd)
{
	unsigned int i;

	for (i = 0; i < set->candidate_count; i++)
		if (set->candidates[i].fd == fd)
			return &set->candidates[i];
	return NULL;
}

/* A change of its events may mean that it is connected now: looked at soon,
 * but not for ever. */
#define CANDIDATE_CHANGES 4

void ep_note_candidate(struct epset *set, int op, int fd,
		       const struct epoll_event *ev)
{
	struct candidate *c = find_candidate(set, fd);

	set->look_due = set->waits;
	if (op == EPOLL_CTL_DEL) {
		if (c)
			*c = set->candidates[--set->candidate_count];
		return;
	}
	/* Beyond these the descriptors stay in the kernel's set. */
	if (!c && set->candidate_count == EP_CANDIDATES)
		return;
	if (!c)
		c = &set->candidates[set->candidate_count++];
	if (op == EPOLL_CTL_ADD)
		*c = (struct candidate){ .fd = fd };
	if (c->vain < CANDIDATE_CHANGES)
		c->due = set->waits;
	c->told = false;
	c->ev = *ev;
}

/* Who adopts the listener claims its number, then looks at the count. */
bool ep_keep(int fd)
{
	struct partition *part = fd_lookup(fd, OBJ_PARTITION);

	if (likely(!part))
		return fd_keep(fd);
	__atomic_add_fetch(&part->kept, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&fd_table[fd], __ATOMIC_SEQ_CST) == (void *)part)
		return true;
	__atomic_sub_fetch(&part->kept, 1, __ATOMIC_SEQ_CST);
	return false;
}

void ep_unkeep(int fd)
{
	struct partition *part = fd_lookup(fd, OBJ_PARTITION);
	uint32_t n;

	if (likely(!part)) {
		fd_unkeep(fd);
		return;
	}
	n = __atomic_load_n(&part->kept, __ATOMIC_RELAXED);
	while (n && !__atomic_compare_exchange_n(&part->kept, &n, n - 1, true,
						 __ATOMIC_SEQ_CST,
						 __ATOMIC_RELAXED))
		;
}

/* A member is known by its number; one that was closed since has no mark. */
static void fill_one(struct epset *set, const struct epent *e)
{
	struct epoll_event ev = { .events = e->events, .data.u64 = e->data };

	if (fd_object(e->fd) == (void *)e->vs) {
		leftover_enter(e->vs, set->fd, e->fd, &ev, !e->armed);
		return;
	}
	if (!fd_lookup(e->fd, OBJ_INHERITED) &&
	    !fd_lookup(e->fd, OBJ_PARTITION))
		return;
	if (!e->armed)
		ev.events = e->events & EPOLLONESHOT;
	fd_leave_set(e->fd);
	ep_keep(e->fd);
	if (sys_epoll_ctl(set->fd, EPOLL_CTL_ADD, e->fd, &ev) < 0) {
		ep_unkeep(e->fd);
		return;
	}
	if (fd_lookup(e->fd, OBJ_PARTITION))
		partition_ctl(fd_object(e->fd), set->fd, EPOLL_CTL_ADD, &ev);
	ep_note_candidate(set, EPOLL_CTL_ADD, e->fd, &ev);
}

void ep_fill_inherited(struct epset *set)
{
	struct lock *lock = ep_take(set);
	struct list *node;

	if (!lock)
		return;
	if (set->inherited)
		for (node = set->members.next; node != &set->members;
		     node = node->next)
			fill_one(set, list_entry(node, struct epent, member));
	set->inherited = false;
	list_init(&set->members);
	list_init(&set->ready);
	lock_give(lock);
}
