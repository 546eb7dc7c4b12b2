/* SPDX-License-Identifier: MIT */
/*
 * Epoll sets.
 *
 * Owns: struct epset and its entries. Invariants: a descriptor of ours is
 * either an entry here or in the kernel's set, never both; the kernel's set
 * is watched by the ring, so there is one place to sleep.
 * Called by: wait (down), vsock and thread (up). The lock of the set's
 * thread is held, or shim_lock while it has none.
 */
#ifndef SHIM_EPSET_H
#define SHIM_EPSET_H

#include "shim.h"


/* Whose set it is, also for who does not hold the lock: set once. */
static inline struct thread *ep_thread(const struct epset *set)
{
	return __atomic_load_n(&set->th, __ATOMIC_ACQUIRE);
}

static inline bool ep_is_plain(const struct epset *set)
{
	return __atomic_load_n(&set->plain, __ATOMIC_RELAXED);
}

static inline struct lock *ep_lock(struct epset *set)
{
	struct thread *th = ep_thread(set);

	return th ? &th->lock : &shim_lock;
}

/* Takes the set's lock, whose thread may change until it is held: the lock, or
 * NULL in a signal handler that interrupted its holder. */
struct lock *ep_take(struct epset *set);

/* A set for the kernel's epoll descriptor *fd*; NULL without memory. */
struct epset *ep_new(int fd);

/* The program closes it. Its lock is not held. */
void ep_close(struct epset *set);

struct epent *ep_find(struct epset *set, const struct vsock *vs, int fd);

/* EPOLLEXCLUSIVE's rules, epoll_ctl(2), those that hold whatever is there. */
static inline bool ep_bad_exclusive(int op, const struct epoll_event *ev)
{
	if (op == EPOLL_CTL_DEL || !(ev->events & EPOLLEXCLUSIVE))
		return false;
	return op == EPOLL_CTL_MOD ||
	       ev->events & ~(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP |
			      EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE);
}

/* As epoll_ctl(2): 0 or -errno. */
int ep_add(struct epset *set, struct vsock *vs, int fd,
	   const struct epoll_event *ev);
void ep_modify(struct epent *e, const struct epoll_event *ev);
void ep_remove(struct epent *e);

/* Forgets the socket in every set; with *fd* >= 0 only that number. */
void ep_forget(struct vsock *vs, int fd);

/* Is every entry of the socket level-triggered? */
bool ep_all_level(const struct vsock *vs);

/* Does one of its entries ask for bytes? */
bool ep_wants_input(const struct vsock *vs);

/* Up: the socket's facts changed. */
void ep_notify(struct vsock *vs);

/* Up: the kernel's set has something, or the watch on it ended. */
void ep_complete(struct epset *set, const struct chan_event *ev);

/* Down: the watch on the kernel's set, before the thread sleeps. */
void ep_arm(struct epset *set);

/* Does any entry of ours have something to report? */
bool ep_has_ready(struct epset *set);

/* Takes up to *max* events, ours and the kernel's: how many. */
int ep_collect(struct epset *set, struct epoll_event *events, int max);

/* Binds the set to the thread that waits on it. */
void ep_attach(struct epset *set, struct thread *th);

/* While no thread waits on the set, epoll_ctl() is the kernel's own; what was
 * added is remembered and looked at when a thread first waits. */
void ep_note_candidate(struct epset *set, int op, int fd,
		       const struct epoll_event *ev);

/* fd_keep() and fd_unkeep(), also for a number that stands for a partitioned
 * listener, which counts for itself. */
bool ep_keep(int fd);
void ep_unkeep(int fd);

/* In a forked child: a set that the parent waited on gets its members when the
 * child first uses it. The kernel's set is one for both, and most children
 * leave it alone. */
void ep_fill_inherited(struct epset *set);

static inline void ep_revive(struct epset *set)
{
	if (unlikely(set->inherited))
		ep_fill_inherited(set);
}

/* Its lock is held, a thread is about to wait: in a set that it drives if it is
 * worth that (*driven*), else in the kernel's own. Who drove it while another
 * sleeps there would take its events: then the set is plain, and *driven*
 * false. The set, until ep_slept(), which keeps errno, or NULL if driven. */
struct epset *ep_sleeps(struct epset *set, bool *driven);
void ep_slept(struct epset *set);

/* Every socket goes back to the kernel's set, now and later. */
void ep_make_plain(struct epset *set, enum stat_id reason);

/* The same, its lock not held. */
void ep_give(struct epset *set, enum stat_id reason);

#endif
