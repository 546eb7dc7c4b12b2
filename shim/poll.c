/* SPDX-License-Identifier: MIT */
/*
 * Entry points: poll and select over sockets of ours.
 *
 * A socket that is ready is answered from its facts. One that is not is given
 * back, so that the kernel can wait for everything in one place: poll() on
 * a connection that also sits in an epoll set is rare.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <string.h>

#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "leftover.h"
#include "ready.h"
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

/* Another thread's facts may be old, and those of a socket on its way back
 * stand still; the kernel has what is not in memory. Room is what our queue
 * says. */
static int ready_now(const struct vsock *vs)
{
	int mask = (int)vs_ready(vs), now = 0;

	if ((!vs_mine(vs) || vs->giving) && vs->depth != DEPTH_LW &&
	    !vs->listener)
		now = sys_poll_now(vs->fd, POLLIN | POLLRDNORM | POLLRDHUP);
	return now > 0 ? mask | now : mask;
}

/* What is true of a socket of ours; -1 when it is the kernel's. */
static int ready_of(int fd, short events)
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

/* Gives it back: 0 when it is the kernel's now. */
static int release(int fd)
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

/* libc's headers say that poll() only writes to its array; we read it too. */
static bool any_ours(struct pollfd *given, nfds_t count)
{
	const struct pollfd *fds = given;
	nfds_t i;

	__asm__("" : "+r"(fds));

	for (i = 0; i < count; i++)
		if (fds[i].fd >= 0 && (fd_lookup(fds[i].fd, OBJ_SOCK) ||
				       fd_lookup(fds[i].fd, OBJ_SET)))
			return true;
	return false;
}

/* How many of ours are ready; their numbers are taken out of the kernel's
 * view (negative) and their answers kept in revents. */
static int mark_ready(struct pollfd *fds, nfds_t count)
{
	int n = 0, mask;
	nfds_t i;

	for (i = 0; i < count; i++) {
		mask = ready_of(fds[i].fd, fds[i].events);
		fds[i].revents = mask > 0 ? (short)mask : 0;
		n += mask > 0;
	}
	return n;
}

/* Ours are answered, the rest is asked without waiting. */
static int merge_now(struct pollfd *fds, nfds_t count, int ours)
{
	struct pollfd one;
	nfds_t i;
	int n = ours;

	for (i = 0; i < count; i++) {
		if (fds[i].revents || (fds[i].fd >= 0 &&
				       fd_lookup(fds[i].fd, OBJ_SOCK)))
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
			left += release(fds[i].fd);
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

/* --- select ---------------------------------------------------------- */

/* select()'s classes in poll()'s words, fs/select.c. */
#define IN_SET (POLLIN | POLLRDNORM | POLLHUP | POLLERR)
#define OUT_SET (POLLOUT | POLLWRNORM | POLLERR)

static bool in(int fd, const fd_set *set)
{
	return set && FD_ISSET(fd, set);
}

static bool select_any(int count, const fd_set *rd, const fd_set *wr,
		       const fd_set *ex)
{
	int fd;

	if (count > FD_SETSIZE)
		return false;
	for (fd = 0; fd < count; fd++) {
		if (!fd_object(fd) ||
		    !(in(fd, rd) || in(fd, wr) || in(fd, ex)))
			continue;
		if (fd_lookup(fd, OBJ_SOCK) || fd_lookup(fd, OBJ_SET))
			return true;
	}
	return false;
}

/* Readiness of ours into *out*: how many bits; the numbers leave the sets
 * that the kernel will be asked about. */
static int select_ready(int count, fd_set *rd, fd_set *wr, fd_set *ex,
			fd_set out[2])
{
	int fd, n = 0;

	for (fd = 0; fd < count; fd++) {
		int mask;

		if (!in(fd, rd) && !in(fd, wr) && !in(fd, ex))
			continue;
		mask = ready_of(fd, POLLIN | POLLOUT);
		if (mask < 0)
			continue;
		if (in(fd, rd) && mask & IN_SET) {
			FD_SET(fd, &out[0]);
			n++;
		}
		if (in(fd, wr) && mask & OUT_SET) {
			FD_SET(fd, &out[1]);
			n++;
		}
	}
	return n;
}

static void clear_ours(int count, fd_set *set)
{
	int fd;

	for (fd = 0; set && fd < count; fd++)
		if (fd_lookup(fd, OBJ_SOCK))
			FD_CLR(fd, set);
}

static void add_bits(int count, fd_set *to, const fd_set *from)
{
	int fd;

	for (fd = 0; to && fd < count; fd++)
		if (FD_ISSET(fd, from))
			FD_SET(fd, to);
}

/* -1: the kernel can do it all now; else the answer. */
static int select_ours(int count, fd_set *rd, fd_set *wr, fd_set *ex)
{
	struct timeval zero = { 0, 0 };
	fd_set out[2];
	int fd, n, m, left;

	do {
		FD_ZERO(&out[0]);
		FD_ZERO(&out[1]);
		n = select_ready(count, rd, wr, ex, out);
		if (n)
			break;
		left = 0;
		for (fd = 0; fd < count; fd++)
			if (in(fd, rd) || in(fd, wr) || in(fd, ex))
				left += fd_lookup(fd, OBJ_SOCK) ? release(fd) :
								  0;
		if (!left)
			return -1;
	} while (!n);
	clear_ours(count, rd);
	clear_ours(count, wr);
	clear_ours(count, ex);
	m = real.select(count, rd, wr, ex, &zero);
	add_bits(count, rd, &out[0]);
	add_bits(count, wr, &out[1]);
	return n + (m > 0 ? m : 0);
}

SHIM_EXPORT int select(int count, fd_set *rd, fd_set *wr, fd_set *ex,
		       struct timeval *timeout)
{
	int n;

	if (unlikely(self_thread && select_any(count, rd, wr, ex))) {
		n = select_ours(count, rd, wr, ex);
		if (n >= 0)
			return n;
	}
	thread_before_block();
	return real.select(count, rd, wr, ex, timeout);
}

SHIM_EXPORT int pselect(int count, fd_set *rd, fd_set *wr, fd_set *ex,
			const struct timespec *timeout, const sigset_t *mask)
{
	int n;

	if (unlikely(self_thread && select_any(count, rd, wr, ex))) {
		n = select_ours(count, rd, wr, ex);
		if (n >= 0)
			return n;
	}
	thread_before_block();
	return real.pselect(count, rd, wr, ex, timeout, mask);
}
