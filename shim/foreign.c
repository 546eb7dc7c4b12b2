/* SPDX-License-Identifier: MIT */
/* See foreign.h. */
#include <errno.h>

#include "entry.h"
#include "epset.h"
#include "foreign.h"
#include "handover.h"
#include "leftover.h"
#include "user.h"

/* Is epoll_ctl() of this socket the kernel's, here or after it was given
 * back? A hint: the lock is not held. */
static bool is_foreign(const struct epset *set, const struct vsock *vs)
{
	return vs->th != ep_thread(set) || ep_is_plain(set) ||
	       __atomic_load_n(&vs->depth, __ATOMIC_RELAXED) == DEPTH_GIVEN;
}

static long ctl_given(struct epset *set, int op, int fd, struct vsock *vs,
		      struct epoll_event *ev)
{
	int ret;

	if (vs->depth != DEPTH_GIVEN) {
		if (vs->th == set->th && ep_find(set, vs, fd))
			return SHIM_PASS;	/* not yet given */
		if (op == EPOLL_CTL_DEL || (op == EPOLL_CTL_MOD && ev))
			return -ENOENT;
		if (op == EPOLL_CTL_ADD && ev) {
			ret = vs_give_now(vs, STAT_handover_thread);
			if (ret < 0)
				return ret;
		}
	}
	if (fd_object(fd) != (void *)vs || vs->depth != DEPTH_GIVEN)
		return SHIM_PASS;
	ret = leftover_ctl(vs, set->fd, op, fd, ev);
	vs_settle(vs);
	return ret;
}

long foreign_ctl(struct epset *set, int op, int fd, struct epoll_event *ev)
{
	struct vsock *vs = fd_lookup(fd, OBJ_SOCK);
	struct thread *th;
	struct lock *lock;
	long ret;

	if (likely(!vs || !is_foreign(set, vs)))
		return SHIM_PASS;
	if (op != EPOLL_CTL_DEL && user_bad(ev, sizeof(*ev)))
		return -EFAULT;
	if (ep_bad_exclusive(op, ev))
		return -EINVAL;
	vs = entry_lock(fd, &ret);
	if (!vs)
		return ret;
	th = vs->th;
	ret = ctl_given(set, op, fd, vs, ev);
	lock_give(&th->lock);
	lock = ret ? NULL : ep_take(set);
	if (lock) {
		set->has_foreign = true;
		if (set->th && set->th != self_thread)
			thread_wake(set->th);
		lock_give(lock);
	}
	return ret;
}
