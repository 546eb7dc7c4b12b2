/* SPDX-License-Identifier: MIT */
/*
 * Entry points: epoll.
 *
 * Owns: what a descriptor of the program must be to become ours, and the loop
 * of epoll_wait(). Invariant: one io_uring_enter a call, which submits what
 * is queued, collects what is complete, and sleeps only when nothing is to
 * be reported. Threads: any; a set is waited for by one.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>

#include "claim.h"
#include "config.h"
#include "entry.h"
#include "epset.h"
#include "foreign.h"
#include "handover.h"
#include "leftover.h"
#include "listener.h"
#include "lone.h"
#include "option.h"
#include "proc.h"
#include "user.h"
#include "view.h"
#include "vsock.h"

static long made_set(int fd)
{
	struct epset *set;

	if (fd < 0 || fd >= FD_TABLE_MAX || shim_off)
		return fd;
	set = ep_new(fd);
	if (set)
		fd_set_object(fd, set);
	return fd;
}

SHIM_EXPORT int epoll_create(int size)
{
	int fd = real.epoll_create(size);

	if (unlikely(fd < 0) && errno == EMFILE && entry_make_room())
		fd = real.epoll_create(size);
	return (int)made_set(fd);
}

SHIM_EXPORT int epoll_create1(int flags)
{
	int fd = real.epoll_create1(flags);

	if (unlikely(fd < 0) && errno == EMFILE && entry_make_room())
		fd = real.epoll_create1(flags);
	return (int)made_set(fd);
}

/* --- adoption -------------------------------------------------------- */

/* What a descriptor would be: a listening or connected, non-blocking TCP
 * socket. */
static bool is_candidate(int fd, int state, enum vs_life *life)
{
	int flags = sys_fcntl(fd, F_GETFL, 0);

	if (flags < 0 || !(flags & O_NONBLOCK)) {
		view_left(fd, LEFT_BLOCKING);
		return false;
	}
	if (state < 0)
		return false;
	*life = state == TCP_LISTEN ? VS_LISTEN : VS_OPEN;
	if (state == TCP_LISTEN || state == TCP_ESTABLISHED ||
	    state == TCP_CLOSE_WAIT)
		return true;
	view_left(fd, LEFT_CONNECTING);
	return false;
}

/* Events that mean the same in our set; others stay the kernel's. */
#define OUR_EVENTS                                                         \
	(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLET | \
	 EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLRDNORM | EPOLLWRNORM |       \
	 EPOLLWAKEUP)

/* Would it be ours in a set? *from*: the listener that accepted it. */
static bool is_fit(int fd, int state, const struct epoll_event *ev,
		   const struct vsock *from, enum vs_life *life)
{
	if (ev->events & ~OUR_EVENTS) {
		view_left(fd, LEFT_EVENTS);
		return false;
	}
	if (!is_candidate(fd, state, life) ||
	    (!from && !option_all_ours(fd, *life == VS_LISTEN)))
		return false;
	if (config_takes_socket(fd))
		return true;
	view_left(fd, LEFT_RULE);
	return false;
}

bool wait_is_fit(int fd, const struct epoll_event *ev, bool *listens)
{
	enum vs_life life;

	if (!is_fit(fd, sys_tcp_state(fd), ev, NULL, &life))
		return false;
	*listens = life == VS_LISTEN;
	return true;
}

/* Not if another thread puts the number into its set, too: it was first, or its
 * count says that it is about to. */
static bool claim_number(int fd, void *was, struct partition *part,
			 struct vsock *vs)
{
	if (!fd_claim(fd, was, vs))
		return false;
	if (likely(!part) || !__atomic_load_n(&part->kept, __ATOMIC_SEQ_CST))
		return true;
	fd_set_object(fd, part);
	return false;
}

/* What adopts it is seen by others once the number is claimed: they wait for
 * the lock. */
static bool begin_socket(struct epset *set, struct vsock *vs, int fd,
			 const struct epoll_event *ev)
{
	if (vs->life == VS_LISTEN) {
		if (listener_open(vs) < 0)
			return false;
		vs->listener->shared = !partition_only_here(fd);
	}
	return ep_add(set, vs, fd, ev) == 0;
}

static struct vsock *make_socket(struct epset *set, int fd, enum vs_life life,
				 const struct vsock *from)
{
	struct vsock *vs = vs_new(set->th, life, DEPTH_FD, fd);

	if (!vs)
		return NULL;
	vs->nonblock = true;
	vs->limits = from ? from->limits :
			    option_limits(fd, life == VS_LISTEN);
	return vs;
}

static void drop_socket(struct vsock *vs)
{
	vs->refs = 0;
	vs->life = VS_DEAD;
	vs_put(vs);
}

/* See wait_adopt(). */
static int adopt_socket(struct epset *set, int fd,
			const struct epoll_event *ev, struct partition *part,
			void *was)
{
	struct vsock *vs, *from = listener_of(set->th, fd);
	enum vs_life life;
	int state;

	/* The kernel's already, or ours under another number. */
	if (part && (part->native || part->vs))
		return -1;
	if (fd < 0 || fd >= FD_TABLE_MAX)
		return 0;
	if (fd_object(fd) != was)
		return fd_lookup(fd, OBJ_PLAIN) || fd_lookup(fd, OBJ_SOCK) ?
			       -1 : 0;
	state = sys_tcp_state(fd);
	if (set->plain)
		view_left(fd, LEFT_SET);
	if (set->plain || !is_fit(fd, state, ev, from, &life))
		return state < 0 ? 0 : -1;
	vs = make_socket(set, fd, life, from);
	if (!vs)
		return -1;
	if (!begin_socket(set, vs, fd, ev)) {
		drop_socket(vs);
		view_left(fd, LEFT_MEMORY);
		return -1;
	}
	if (!claim_number(fd, was, part, vs)) {
		drop_socket(vs);
		return -1;
	}
	view_sock_open(vs);
	stat_inc(STAT_adopted);
	if (part)
		partition_adopt(part, vs);
	if (from) {
		listener_saw_registered(from);
		vs->accepted = true;
		set->th->held++;
	}
	return 1;
}

int wait_adopt(struct epset *set, int fd, const struct epoll_event *ev,
	       void *was)
{
	struct partition *part = fd_lookup(fd, OBJ_PARTITION);
	int taken = adopt_socket(set, fd, ev, part, part ? part : was);

	if (unlikely(taken != 1 && part))
		partition_share(part);
	return taken;
}

/* --- epoll_ctl ------------------------------------------------------- */

/* Errors in the order of do_epoll_ctl(). */
static long ctl_ours(struct epset *set, int op, int fd, struct vsock *vs,
		     struct epoll_event *ev)
{
	struct epent *e = ep_find(set, vs, fd);

	if (op != EPOLL_CTL_DEL && user_bad(ev, sizeof(*ev)))
		return -EFAULT;
	if (ep_bad_exclusive(op, ev))
		return -EINVAL;
	if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
		return -EINVAL;
	if (op == EPOLL_CTL_ADD ? !!e : !e)
		return e ? -EEXIST : -ENOENT;
	if (op == EPOLL_CTL_ADD)
		return ep_add(set, vs, fd, ev);
	if (op == EPOLL_CTL_MOD && e->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	if (op == EPOLL_CTL_MOD)
		ep_modify(e, ev);
	else
		ep_remove(e);
	return 0;
}

/* A socket that we can't watch exactly: the kernel's from here on. */
static long ctl_odd(struct epset *set, int op, int fd, struct vsock *vs,
		    struct epoll_event *ev)
{
	vs_give_back(vs, STAT_handover_blocking);
	if (fd_object(fd) == (void *)vs)
		return ctl_ours(set, op, fd, vs, ev);
	return SHIM_PASS;
}

/* The number has become a socket of another thread's since foreign_ctl(). */
#define CTL_AGAIN (SHIM_PASS - 1)

static long ctl_socket(struct epset *set, int op, int fd,
		       struct epoll_event *ev)
{
	struct vsock *vs = fd_lookup(fd, OBJ_SOCK);

	if (!vs)
		return SHIM_PASS;
	if (vs->life >= VS_CLOSING)
		return -EBADF;
	if (vs->th != set->th)
		return op == EPOLL_CTL_ADD && !vs->giving ? CTL_AGAIN :
							    SHIM_PASS;
	if (!vs->nonblock ||
	    (op != EPOLL_CTL_DEL && !user_bad(ev, sizeof(*ev)) &&
	     ev->events & ~OUR_EVENTS))
		return ctl_odd(set, op, fd, vs, ev);
	return ctl_ours(set, op, fd, vs, ev);
}

/* A socket of ours on its way back to the kernel reads nothing ahead. */
static bool is_on_its_way(int fd)
{
	const struct vsock *vs = fd_lookup(fd, OBJ_SOCK);

	return vs && vs->giving;
}

static long ctl_kernel(struct epset *set, int op, int fd,
		       struct epoll_event *ev)
{
	int taken = 0;
	long ret;

	if (op == EPOLL_CTL_ADD && !user_bad(ev, sizeof(*ev)) &&
	    !ep_bad_exclusive(op, ev))
		taken = set->th ? wait_adopt(set, fd, ev, NULL) :
			sys_tcp_state(fd) < 0 ? 0 : -1;
	if (taken == 1) {
		thread_wake(set->th);
		return 0;
	}
	/* First: no other thread reads ahead from here on. */
	if (taken < 0 && !ep_keep(fd)) {
		if (!is_on_its_way(fd))
			return CTL_AGAIN;
		taken = 0;
	}
	ret = sys_epoll_ctl(set->fd, op, fd, ev);
	if (ret < 0) {
		if (taken < 0)
			ep_unkeep(fd);
		return ret;
	}
	if (unlikely(fd_lookup(fd, OBJ_PARTITION)))
		partition_ctl(fd_object(fd), set->fd, op, ev);
	if (!set->th)
		ep_note_candidate(set, op, fd, ev);
	else
		set->has_foreign = true;
	if (op == EPOLL_CTL_DEL)
		ep_unkeep(fd);
	return ret;
}

/* What is put into a set, or waited for, must be readable by the kernel. */
static long ctl_set(int op, int epfd, int fd, struct epoll_event *ev)
{
	struct epset *inner = fd_lookup(fd, OBJ_SET);

	if (inner && op == EPOLL_CTL_ADD && fd != epfd)
		ep_give(inner, STAT_handover_poll);
	return sys_epoll_ctl(epfd, op, fd, ev);
}

static long epoll_ctl_locked(struct epset *set, int op, int fd,
			     struct epoll_event *ev)
{
	void *object = fd_object(fd);
	uint8_t kind = object ? *(uint8_t *)object : OBJ_NONE;
	long ret = SHIM_PASS;

	if (kind == OBJ_PRIVATE || kind == OBJ_HELD)
		return -EBADF;
	if (kind == OBJ_SOCK)
		ret = ctl_socket(set, op, fd, ev);
	if (ret != SHIM_PASS)
		return ret;
	return ctl_kernel(set, op, fd, ev);
}

SHIM_EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct epset *set = fd_lookup(epfd, OBJ_SET);
	struct lock *lock;
	long ret;

	if (!set || !*shim_alive) {
		entry_make_real(epfd);
		if (!set)
			entry_make_real(fd);
		return real.epoll_ctl(epfd, op, fd, ev);
	}
	ep_revive(set);
	if (op == EPOLL_CTL_ADD && unlikely(fd_lookup(fd, OBJ_INHERITED)))
		fd_leave_set(fd);
	if (unlikely(fd_lookup(fd, OBJ_SET)))
		return (int)shim_return(ctl_set(op, epfd, fd, ev));
	do {
		ret = foreign_ctl(set, op, fd, ev);
		if (unlikely(ret != SHIM_PASS))
			break;
		lock = ep_take(set);
		if (!lock)
			return real.epoll_ctl(epfd, op, fd, ev);
		ret = epoll_ctl_locked(set, op, fd, ev);
		if (!ret && set->th && set->th != self_thread)
			thread_wake(set->th);
		lock_give(lock);
	} while (unlikely(ret == CTL_AGAIN));
	return (int)shim_return(ret);
}

/* --- epoll_wait ------------------------------------------------------ */

static int64_t time_left(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return -1;
	left = deadline - sys_now_ns();
	return left > 0 ? left : 0;
}

/* One turn: submit, collect, sleep if there is nothing to report. */
static int turn(struct epset *set, struct epoll_event *events, int max,
		int64_t timeout_ns, const sigset_t *mask)
{
	struct thread *th = set->th;
	int ret = 0, n;

	if (chan_ready(th->ch)) {
		thread_dispatch(th);
		n = th->look_again || chan_is_behind(th->ch) ?
			    0 : ep_collect(set, events, max);
		if (n)
			return n;
	}
	/* Without sleeping there is no other mask: a signal that waits for
	 * one is not delivered when events are there (do_epoll_wait()). */
	if (timeout_ns == 0 || set->foreign || ep_has_ready(set))
		thread_wait(th, 0, NULL);
	else
		ret = thread_wait(th, timeout_ns, mask);
	n = ep_collect(set, events, max);
	return n ? n : ret;
}

/* This is a cancellation point, and here the thread's end finds nothing in the
 * middle of being done. */
static void look_for_cancel(struct thread *th)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_setcancelstate(state, NULL);
	th->cancelled = state == PTHREAD_CANCEL_DISABLE;
	if (th->cancelled)
		return;		/* later, if it is allowed then */
	lock_give(&th->lock);
	pthread_testcancel();
	lock_take(&th->lock);
}

static int wait_set(struct epset *set, struct epoll_event *events, int max,
		    int64_t timeout_ns, const sigset_t *mask)
{
	int64_t deadline = timeout_ns > 0 ? sys_now_ns() + timeout_ns :
					    timeout_ns;
	struct thread *th = set->th;
	int64_t left = timeout_ns;
	int n;

	if (max <= 0 || (size_t)max > INT_MAX / sizeof(*events))
		return -EINVAL;
	if (user_bad(events, (size_t)max * sizeof(*events)))
		return -EFAULT;
	if (!lock_take(&th->lock))
		return -EINTR;
	th->busy = NULL;
	lone_waits(th);
	if (unlikely(th->forked))
		proc_waits_again(th);
	do {
		if (unlikely(th->cancelled))
			look_for_cancel(th);
		n = turn(set, events, max, left, mask);
		/* The cancelling signal (glibc 2.41 sends it to who sleeps,
		 * and it comes before pthread_cancel() has returned)? */
		if (unlikely(n == -EINTR))
			look_for_cancel(th);
	} while (!n && (left = time_left(deadline)) && !set->plain);
	/* Another thread waits on it as well, or polls it: the kernel's now,
	 * once what that thread left for us to do is done. */
	if (set->plain)
		thread_flush_out(th);
	lone_turn(th, n);
	lock_give(&th->lock);
	if (!n && set->plain && time_left(deadline)) {
		left = time_left(deadline);
		n = real.epoll_pwait(set->fd, events, max,
				     left < 0 ? -1 :
						(int)((left + 999999) /
						      1000000), mask);
		n = n < 0 ? -errno : n;
	}
	return n;
}

/* The set if this thread drives it, else NULL, and ep_slept() is due if it is
 * in *sleeps* then. */
static struct epset *our_set(int epfd, struct epset **sleeps)
{
	struct epset *set = fd_lookup(epfd, OBJ_SET);

	if (unlikely(!set && fd_object(epfd)))
		entry_make_real(epfd);
	if (!set || !shim_alive || !*shim_alive)
		return NULL;
	ep_revive(set);
	return claim(set, sleeps) ? set : NULL;
}

static int wait_ms(int epfd, struct epoll_event *events, int max, int timeout,
		   const sigset_t *mask)
{
	struct epset *sleeps = NULL, *set = our_set(epfd, &sleeps);
	int n;

	if (set)
		return (int)shim_return(
			wait_set(set, events, max,
				 timeout < 0 ? -1 : timeout * 1000000ll, mask));
	if (timeout)
		thread_before_block();
	n = mask ? real.epoll_pwait(epfd, events, max, timeout, mask) :
		   real.epoll_wait(epfd, events, max, timeout);
	ep_slept(sleeps);
	return n;
}

SHIM_EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int max,
			    int timeout, const sigset_t *mask)
{
	return wait_ms(epfd, events, max, timeout, mask);
}

SHIM_EXPORT int epoll_wait(int epfd, struct epoll_event *events, int max,
			   int timeout)
{
	return wait_ms(epfd, events, max, timeout, NULL);
}

SHIM_EXPORT int epoll_pwait2(int epfd, struct epoll_event *events, int max,
			     const struct timespec *timeout,
			     const sigset_t *mask)
{
	struct epset *sleeps = NULL, *set = our_set(epfd, &sleeps);
	int64_t ns = -1;
	int n;

	if (!set) {
		thread_before_block();
		n = real.epoll_pwait2(epfd, events, max, timeout, mask);
		ep_slept(sleeps);
		return n;
	}
	if (timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
			timeout->tv_nsec > 999999999))
		return (int)shim_return(-EINVAL);
	if (timeout)
		ns = timeout->tv_sec > INT64_MAX / 2000000000 ? -1 :
			timeout->tv_sec * 1000000000 + timeout->tv_nsec;
	return (int)shim_return(wait_set(set, events, max, ns, mask));
}
