/* SPDX-License-Identifier: MIT */
/* Entry points: poll over sockets of ours. See poll.h. */
#include <errno.h>
#include <string.h>

#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "leftover.h"
#include "partition.h"
#include "poll.h"
#include "ready.h"
#include "rx_request.h"
#include "tx.h"
#include "vsock.h"

static const struct timespec no_time;

/* A set that is polled is the kernel's, bytes that were read ahead included. */
static int give_set(struct epset *set)
{
	if (ep_thread(set))
		ep_give(set, STAT_handover_poll);
	return -1;
}

/* Given back with nothing left in memory. */
static bool is_kernels(const struct vsock *vs)
{
	return vs->depth == DEPTH_GIVEN && !leftover_any(vs);
}

/* Another thread's facts may be old, and those of a socket on its way back or
 * of which nothing is received now (after a fork) stand still; the kernel has
 * what is not in memory. Room is what our queue says. */
static int ready_now(struct vsock *vs)
{
	int mask, now = 0;

	if (vs->kernel_in == KERNEL_MAY)
		rx_resolve(vs);
	mask = (int)vs_ready(vs);

	if ((!vs_mine(vs) || vs->giving || rx_is_free(vs)) &&
	    vs->depth != DEPTH_LW && !vs->listener)
		now = sys_poll_now(vs->fd, POLLIN | POLLRDNORM | POLLRDHUP);
	/* An error that a poll has told of may be taken since, by libc. */
	if (now > 0 && !vs->err)
		mask &= ~POLLERR;
	return now > 0 ? mask | now : mask;
}

int poll_ready(int fd, short events)
{
	struct vsock *vs;
	struct thread *th;
	int mask;
	long ret;

	if (fd >= 0 && fd_lookup(fd, OBJ_SET))
		return give_set(fd_object(fd));
	vs = fd >= 0 && fd_object(fd) ? entry_lock(fd, &ret) : NULL;
	if (!vs)
		return -1;
	th = vs->th;
	if (vs_mine(vs) && vs->depth != DEPTH_GIVEN)
		thread_reap_now(th);
	/* The reap may have ended a handover: then it is the kernel's. */
	if (fd_object(fd) != (void *)vs || is_kernels(vs))
		mask = -1;
	else
		mask = ready_now(vs) & (events | POLLERR | POLLHUP);
	lock_give(&th->lock);
	return mask;
}

int poll_release(int fd)
{
	struct vsock *vs;
	struct thread *th;
	bool left;
	long ret;

	vs = fd >= 0 && fd_object(fd) ? entry_lock(fd, &ret) : NULL;
	if (!vs)
		return 0;
	th = vs->th;
	vs_give_now(vs, STAT_handover_poll);
	left = fd_object(fd) == (void *)vs && !is_kernels(vs);
	lock_give(&th->lock);
	return left;
}

void poll_share(int fd)
{
	struct partition *p = fd_lookup(fd, OBJ_PARTITION);

	if (unlikely(p))
		partition_share(p);
}

/* libc's headers say that poll() only writes to its array; we read it too. */
static bool any_ours(struct pollfd *given, nfds_t count)
{
	const struct pollfd *fds = given;
	nfds_t i;

	__asm__("" : "+r"(fds));

	for (i = 0; i < count; i++) {
		if (fds[i].fd < 0 || !fd_object(fds[i].fd))
			continue;
		poll_share(fds[i].fd);
		if (fd_lookup(fds[i].fd, OBJ_SOCK) ||
		    fd_lookup(fds[i].fd, OBJ_SET))
			return true;
	}
	return false;
}

/* How many of ours are ready; their numbers are taken out of the kernel's
 * view (negative) and their answers kept in revents. */
static int mark_ready(struct pollfd *fds, nfds_t count)
{
	int n = 0, mask;
	nfds_t i;

	for (i = 0; i < count; i++) {
		mask = poll_ready(fds[i].fd, fds[i].events);
		fds[i].revents = mask > 0 ? (short)mask : 0;
		n += mask > 0;
	}
	return n;
}

/* A hint: what was given back since is asked for by the next poll(). */
static bool is_ours(int fd)
{
	const struct vsock *vs = fd < 0 ? NULL : fd_lookup(fd, OBJ_SOCK);

	return vs && __atomic_load_n(&vs->depth, __ATOMIC_RELAXED) !=
			     DEPTH_GIVEN;
}

/* Ours are answered, the rest is asked without waiting. */
static int merge_now(struct pollfd *fds, nfds_t count, int ours)
{
	struct pollfd one;
	nfds_t i;
	int n = ours;

	for (i = 0; i < count; i++) {
		if (fds[i].revents || is_ours(fds[i].fd))
			continue;
		one = fds[i];
		if (real.ppoll(&one, 1, &no_time, NULL) > 0) {
			fds[i].revents = one.revents;
			n++;
		}
	}
	return n;
}

/* -1: the kernel can do it all now; else the answer. */
static int poll_ours(struct pollfd *fds, nfds_t count)
{
	int ours, left;
	nfds_t i;

	for (;;) {
		ours = mark_ready(fds, count);
		if (ours)
			return merge_now(fds, count, ours);
		left = 0;
		for (i = 0; i < count; i++)
			left += poll_release(fds[i].fd);
		if (!left)
			return -1;
	}
}

SHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count,
		      const struct timespec *wait, const sigset_t *mask)
{
	int n;

	if (fds && unlikely(any_ours((void *)fds, count))) {
		n = poll_ours(fds, count);
		if (n >= 0)
			return n;
	}
	thread_before_block();
	return real.ppoll(fds, count, wait, mask);
}

SHIM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int n;

	if (fds && unlikely(any_ours((void *)fds, count))) {
		n = poll_ours(fds, count);
		if (n >= 0)
			return n;
	}
	if (timeout)
		thread_before_block();
	return real.poll(fds, count, timeout);
}

SHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout,
			   size_t size)
{
	if (size / sizeof(*fds) < count)
		return real.__poll_chk(fds, count, timeout, size);
	return poll(fds, count, timeout);
}

SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count,
			    const struct timespec *wait, const sigset_t *mask,
			    size_t size)
{
	if (size / sizeof(*fds) < count)
		return real.__ppoll_chk(fds, count, wait, mask, size);
	return ppoll(fds, count, wait, mask);
}
