/* SPDX-License-Identifier: MIT */
/* See claim.h. */
#include <poll.h>

#include "claim.h"
#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "init.h"
#include "leftover.h"
#include "partition.h"
#include "thread.h"
#include "view.h"

/* --- is it worth a channel? ------------------------------------------ */

/* What was looked at in vain is looked at again after 1, 2, 4 ... waits: at
 * most so many (a power of two). A look is system calls. */
#define LOOK_FAR 16

/* For who waits in a set that tells of something at each wait: a poll() of all
 * that is in it must not be felt there. */
#define TOLD_FAR 10

/* Only this set has it (fd_keep()). */
static bool is_only_here(int fd)
{
	struct partition *part = fd_lookup(fd, OBJ_PARTITION);

	return unlikely(part) ? part->kept == 1 && !part->native :
				fd_object(fd) == fd_kept_once();
}

static bool is_due(const struct epset *set, uint32_t turn)
{
	return (int32_t)(set->waits - turn) >= 0;
}

static bool look(struct epset *set, struct candidate *c)
{
	if (!is_only_here(c->fd))
		return false;
	if (c->fits || !is_due(set, c->due))
		return c->fits;
	c->fits = wait_is_fit(c->fd, &c->ev, &c->listens);
	c->due = set->waits + (1u << c->vain);
	c->vain += c->vain < LOOK_FAR;
	return c->fits;
}

/* Edges that the kernel's set has told must not be told again, and whether it
 * has can be seen only while nothing is to be told. Connections first: what
 * comes behind their turn, the set shows. */
static bool has_told_all(struct epset *set)
{
	struct pollfd fds[EP_CANDIDATES + 1];
	struct candidate *of[EP_CANDIDATES];
	static const struct timespec none;
	unsigned int i, n = 0;
	bool all = true;

	for (i = 0; i < set->candidate_count; i++) {
		struct candidate *c = &set->candidates[i];

		c->told = !(c->ev.events & EPOLLET);
		if (c->told || !c->fits)
			continue;
		fds[n] = (struct pollfd){
			.fd = c->fd, .events = POLLIN | POLLOUT | POLLRDHUP,
		};
		of[n++] = c;
	}
	if (!n)
		return true;
	fds[n] = (struct pollfd){ .fd = set->fd, .events = POLLIN };
	if (sys_call6(SYS_ppoll, (long)fds, n + 1, (long)&none, 0, 8, 0) < 0 ||
	    fds[n].revents)
		return false;
	for (i = 0; i < n; i++) {
		of[i]->told = fds[i].revents == (of[i]->listens ? 0 : POLLOUT);
		all &= of[i]->told;
	}
	return all;
}

/* A set that no thread drives. */
static bool is_worth(struct epset *set)
{
	uint32_t next = set->waits + (1u << LOOK_FAR);
	unsigned int i, fit = 0;
	bool listens = false;

	for (i = 0; i < set->candidate_count; i++) {
		struct candidate *c = &set->candidates[i];

		if (look(set, c)) {
			view_left(c->fd, LEFT_FEW);
			listens |= c->listens;
			fit++;
		} else if (is_only_here(c->fd) &&
			   (int32_t)(c->due - next) < 0) {
			next = c->due;
		}
	}
	set->look_due = next;
	if (!listens && fit < opts.min_connections && !(fit && self_thread))
		return false;
	if (!set->waited || has_told_all(set))
		return true;
	set->look_due = set->waits + (1u << set->vain);
	set->vain += set->vain < TOLD_FAR;
	return false;
}

/* A partitioned listener that stays in the kernel's set. */
static void share_candidate(struct epset *set, struct candidate *c)
{
	struct partition *part = fd_lookup(c->fd, OBJ_PARTITION);

	if (likely(!part))
		return;
	partition_share(part);
	partition_ctl(part, set->fd, EPOLL_CTL_ADD, &c->ev);
}

/* False: the thread needs no channel for it, and sleeps in the kernel
 * (*sleeps*); or another thread sleeps there. */
static bool worth_claiming(struct epset *set, struct epset **sleeps)
{
	struct lock *lock;
	bool worth;
	unsigned int i;

	if (ep_thread(set))
		return true;
	lock = ep_take(set);
	if (!lock)
		return false;
	set->waits++;
	worth = set->th;
	if (!worth && is_due(set, set->look_due)) {
		worth = is_worth(set);
		for (i = 0; !worth && i < set->candidate_count; i++)
			share_candidate(set, &set->candidates[i]);
	}
	*sleeps = ep_sleeps(set, &worth);
	lock_give(lock);
	return worth;
}

/* --- taking over ----------------------------------------------------- */

static void add_plain(struct epset *set, int fd, struct epoll_event *ev)
{
	struct partition *part = fd_lookup(fd, OBJ_PARTITION);

	sys_epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, ev);
	if (part)
		partition_ctl(part, set->fd, EPOLL_CTL_ADD, ev);
}

/* A one-shot entry that fired in the kernel's set must not be armed again. */
static bool has_fired(const struct epset *set, const struct candidate *c)
{
	return set->waited && c->ev.events & EPOLLONESHOT &&
	       !leftover_is_armed(set->fd, c->fd);
}

/* It reports what is true now, but for what the kernel's set has told. */
static void begin_entry(struct epent *e, bool waited, bool fired)
{
	if (fired)
		e->armed = false;
	if (!waited || !(e->events & EPOLLET))
		return;
	e->seen_in = e->vs->in_edge;
	e->seen_out = e->vs->out_edge;
}

/* From the kernel's set into ours, if it is still there. */
static void adopt_candidate(struct epset *set, struct candidate *c)
{
	struct partition *part = fd_lookup(c->fd, OBJ_PARTITION);
	bool fired = has_fired(set, c);
	int taken;

	if (sys_epoll_ctl(set->fd, EPOLL_CTL_DEL, c->fd, NULL) < 0)
		return;
	/* Another thread may add it to its set at any moment. */
	if (unlikely(part))
		ep_unkeep(c->fd);
	taken = wait_adopt(set, c->fd, &c->ev, part ? part : fd_kept_once());
	if (taken == 1) {
		begin_entry(ep_find(set, fd_object(c->fd), c->fd), set->waited,
			    fired);
		return;
	}
	if (unlikely(part))
		ep_keep(c->fd);
	add_plain(set, c->fd, &c->ev);
}

/* What was added before is looked at. A candidate that the kernel's set does
 * not know any more was closed since. */
static void adopt_candidates(struct epset *set)
{
	unsigned int i;

	set->has_foreign |= set->candidate_count > 0;
	for (i = 0; i < set->candidate_count; i++) {
		struct candidate *c = &set->candidates[i];

		if (c->fits && (c->told || !set->waited) &&
		    is_only_here(c->fd) &&
		    wait_is_fit(c->fd, &c->ev, &c->listens))
			adopt_candidate(set, c);
		else
			share_candidate(set, c);
	}
	set->candidate_count = 0;
}

/* Binds the set to this thread. False: the kernel's. */
static bool bind_set(struct epset *set)
{
	struct thread *th;
	bool ours;
	int why = 0;

	if (ep_is_plain(set) || shim_off || !init_usable())
		return false;
	if (likely(self_thread && ep_thread(set) == self_thread))
		return true;
	th = thread_get(&why);
	if (!th) {
		init_unusable(why);
		return false;
	}
	if (!lock_take(&shim_lock))
		return false;
	ours = !ep_thread(set);
	if (ours)
		ep_attach(set, th);
	lock_give(&shim_lock);
	if (!lock_take(&set->th->lock))
		return false;
	if (ours) {
		adopt_candidates(set);
		/* Nothing is known of them before the kernel was asked. */
		th->look_again = true;
	} else {
		ep_make_plain(set, STAT_handover_thread);
	}
	lock_give(&set->th->lock);
	return ours;
}

bool claim(struct epset *set, struct epset **sleeps)
{
	return !ep_is_plain(set) && worth_claiming(set, sleeps) &&
	       bind_set(set);
}
