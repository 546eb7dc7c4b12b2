/* SPDX-License-Identifier: MIT */
/*
 * Entry points: the descriptor table as the program sees it.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>

#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "listener.h"
#include "rx.h"
#include "turns.h"
#include "tx.h"
#include "user.h"
#include "vsock.h"

/* --- close ----------------------------------------------------------- */

/* SHIM_PASS when the kernel should close the number. */
static long close_number(int fd)
{
	struct vsock *vs;
	struct thread *th;
	void *object = fd_object(fd);
	long ret;

	if (entry_vfork_child())
		return SHIM_PASS;
	switch (object ? *(uint8_t *)object : OBJ_NONE) {
	case OBJ_SET:
		ep_close(object);
		return SHIM_PASS;
	case OBJ_PRIVATE:
	case OBJ_HELD:
		return -EBADF;
	case OBJ_SOCK:
		vs = entry_lock(fd, &ret);
		if (!vs)
			return ret;
		th = vs->th;
		ret = entry_close(vs, fd);
		if (unlikely(shim_ending))
			entry_flush(th);
		lock_give(&th->lock);
		return ret;
	case OBJ_PLAIN:
	case OBJ_INHERITED:
		fd_unmark(fd);
		return SHIM_PASS;
	case OBJ_PARTITION:
		partition_closed(object, fd);
		return SHIM_PASS;
	default:
		return SHIM_PASS;
	}
}

SHIM_EXPORT int close(int fd)
{
	long ret;

	if (likely(!fd_object(fd)))
		return real.close(fd);
	ret = close_number(fd);
	return ret == SHIM_PASS ? real.close(fd) : (int)shim_return(ret);
}

/* A range is closed in runs between the numbers that need more than that. */
static int close_runs(unsigned int first, unsigned int last, int flags)
{
	unsigned int fd, run = first;
	unsigned int end = last < FD_TABLE_MAX ? last : FD_TABLE_MAX - 1;

	for (fd = first; fd <= end; fd++) {
		if (likely(!fd_object((int)fd)))
			continue;
		if (run < fd)
			sys_call3(SYS_close_range, run, fd - 1, flags);
		if (flags & CLOSE_RANGE_CLOEXEC)
			fcntl((int)fd, F_SETFD, FD_CLOEXEC);
		else
			close((int)fd);
		run = fd + 1;
	}
	return run > last ? 0 : (int)sys_call3(SYS_close_range, run, last,
					       flags);
}

SHIM_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	/* What the kernel refuses closes nothing. */
	if (first > last || !shim_alive || entry_foreign_process() ||
	    flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return real.close_range(first, last, flags);
	return (int)shim_return(close_runs(first, last, flags));
}

SHIM_EXPORT void closefrom(int first)
{
	if (!shim_alive || entry_foreign_process())
		real.closefrom(first);
	else
		close_runs(first < 0 ? 0 : (unsigned int)first, ~0u, 0);
}

/* --- dup ------------------------------------------------------------- */

/* The copy is another name of the same socket: what was read ahead and what
 * is queued belongs to both. */
static long dup_socket(struct vsock *vs, int fd, long copy(int, int, int),
		       int to, int flags)
{
	long ret = vs_materialise(vs, STAT_mat_dup);

	if (!ret)
		ret = copy(fd, to, flags);
	if (ret < 0 || ret >= FD_TABLE_MAX)
		return ret;
	fd_set_object((int)ret, vs);
	vs->refs++;
	return ret;
}

/* Two numbers of a connection that is not ours, and can't become ours once it
 * is marked. AGAIN: it has become ours before. */
#define COPY_AGAIN (SHIM_PASS - 1)

static long copy_other(int fd, long copy(int, int, int), int to, int flags)
{
	bool marked = !shim_off && shim_alive && !entry_foreign_process() &&
		      fd_mark_kernels(fd);
	long ret;

	if (marked && unlikely(fd_lookup(fd, OBJ_SOCK)))
		return COPY_AGAIN;
	ret = copy(fd, to, flags);
	if (marked && ret >= 0)
		fd_mark_kernels((int)ret);
	return ret;
}

/* One more number of the kernel's for it, which keeps its queues open. */
static long copy_listener(struct partition *part, int fd,
			  long copy(int, int, int), int to, int flags)
{
	long ret = copy(fd, to, flags);

	if (part && ret >= 0 && ret < FD_TABLE_MAX)
		partition_named(part, (int)ret);
	return ret;
}

static long try_dup(int fd, long copy(int, int, int), int to, int flags)
{
	struct vsock *vs;
	struct thread *th;
	void *object = fd_object(fd);
	long ret;

	switch (object ? *(uint8_t *)object : OBJ_NONE) {
	case OBJ_PRIVATE:
	case OBJ_HELD:
		return -EBADF;
	case OBJ_SET:
		ep_give(object, STAT_handover_poll);
		return copy(fd, to, flags);
	case OBJ_SOCK:
		vs = entry_lock(fd, &ret);
		if (!vs)
			return ret == SHIM_PASS ? copy(fd, to, flags) : ret;
		th = vs->th;
		if (vs->listener)
			ret = copy_listener(vs->listener->part, fd, copy, to,
					    flags);
		else
			ret = dup_socket(vs, fd, copy, to, flags);
		lock_give(&th->lock);
		return ret;
	case OBJ_PARTITION:
		return copy_listener(object, fd, copy, to, flags);
	default:
		return copy_other(fd, copy, to, flags);
	}
}

static long dup_now(int fd, long copy(int, int, int), int to, int flags)
{
	long ret;

	do {
		ret = try_dup(fd, copy, to, flags);
	} while (unlikely(ret == COPY_AGAIN));
	return ret;
}

static long dup_number(int fd, long copy(int, int, int), int to, int flags)
{
	long ret = dup_now(fd, copy, to, flags);

	if (unlikely(ret == -EMFILE) && entry_make_room())
		ret = dup_now(fd, copy, to, flags);
	return ret;
}

static long copy_dup(int fd, int to, int flags)
{
	return sys_call3(SYS_dup, fd, 0, 0);
}

static long copy_dup3(int fd, int to, int flags)
{
	return sys_dup3(fd, to, flags);
}

/* As the program called it: the numbers are neither of them ours. */
static long copy_real_dup2(int fd, int to, int flags)
{
	int ret = real.dup2(fd, to);

	return ret < 0 ? -errno : ret;
}

static long copy_real_dup3(int fd, int to, int flags)
{
	int ret = real.dup3(fd, to, flags);

	return ret < 0 ? -errno : ret;
}

static long copy_fcntl(int fd, int lowest, int cmd)
{
	return sys_fcntl(fd, cmd, lowest);
}

SHIM_EXPORT int dup(int fd)
{
	return (int)shim_return(dup_number(fd, copy_dup, 0, 0));
}

/* Before dup2() replaces what is on a number: as if it were closed, but the
 * number itself stays taken. */
static void before_replace(int fd)
{
	struct vsock *vs;
	struct thread *th;
	void *object = fd_object(fd);
	long ret;

	switch (object ? *(uint8_t *)object : OBJ_NONE) {
	case OBJ_HELD:
		fd_unhold(fd);
		break;
	case OBJ_PLAIN:
	case OBJ_INHERITED:
		fd_unmark(fd);
		break;
	case OBJ_PARTITION:
		partition_closed(object, fd);
		break;
	case OBJ_SET:
		ep_close(object);
		break;
	case OBJ_SOCK:
		vs = entry_lock(fd, &ret);
		if (!vs)
			break;
		th = vs->th;
		entry_replace(vs, fd);
		lock_give(&th->lock);
		break;
	}
}

static int dup_onto(int fd, int to, int flags)
{
	/* A bad source must leave the target alone. */
	if (sys_fcntl(fd, F_GETFD, 0) < 0)
		return (int)shim_return(-EBADF);
	before_replace(to);
	return (int)shim_return(dup_number(fd, copy_dup3, to, flags));
}

SHIM_EXPORT int dup2(int fd, int to)
{
	if (entry_vfork_child())
		return real.dup2(fd, to);
	if (likely(!fd_object(fd) && !fd_object(to)))
		return fd == to ? real.dup2(fd, to) :
				  (int)shim_return(dup_number(
					  fd, copy_real_dup2, to, 0));
	return fd == to ? fd : dup_onto(fd, to, 0);
}

SHIM_EXPORT int dup3(int fd, int to, int flags)
{
	if (entry_vfork_child())
		return real.dup3(fd, to, flags);
	if (likely(!fd_object(fd) && !fd_object(to)))
		return (int)shim_return(
			dup_number(fd, copy_real_dup3, to, flags));
	if (fd == to || flags & ~O_CLOEXEC)
		return (int)shim_return(-EINVAL);
	return dup_onto(fd, to, flags);
}

/* --- fcntl and ioctl ------------------------------------------------- */

static long set_nonblock(struct vsock *vs, bool on)
{
	bool lw = vs->depth == DEPTH_LW;

	vs->nonblock = on;
	if (on || vs->listener || vs->depth == DEPTH_GIVEN)
		return lw ? 0 : SHIM_PASS;
	vs_give_back(vs, STAT_handover_blocking);
	return SHIM_PASS;
}

static long fcntl_socket(struct vsock *vs, int fd, int cmd, long arg)
{
	long ret;

	if (vs->depth == DEPTH_GIVEN || vs->listener)
		return SHIM_PASS;
	switch (cmd) {
	case F_GETFL:
		if (vs->depth != DEPTH_LW)
			return SHIM_PASS;
		return O_RDWR | (vs->nonblock ? O_NONBLOCK : 0);
	case F_SETFL:
		if (arg & (O_ASYNC | O_DIRECT | O_APPEND | O_NOATIME) &&
		    vs->depth == DEPTH_LW) {
			ret = vs_materialise(vs, STAT_mat_option);
			if (ret)
				return ret;
		}
		return set_nonblock(vs, arg & O_NONBLOCK);
	case F_GETFD:
		if (vs->depth != DEPTH_LW)
			return SHIM_PASS;
		return vs->cloexec ? FD_CLOEXEC : 0;
	case F_SETFD:
		vs->cloexec = arg & FD_CLOEXEC;
		return vs->depth == DEPTH_LW ? 0 : SHIM_PASS;
	case F_SETOWN:
	case F_SETOWN_EX:
	case F_SETSIG:
		/* For SIGURG: urgent bytes are not for who reads ahead. */
		vs_give_back(vs, STAT_handover_call);
		return SHIM_PASS;
	default:
		ret = vs_materialise(vs, STAT_mat_option);
		return ret ? ret : SHIM_PASS;
	}
}

static long fcntl_number(int fd, int cmd, long arg)
{
	struct vsock *vs;
	struct thread *th;
	void *object = fd_object(fd);
	long ret;

	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		return dup_number(fd, copy_fcntl, (int)arg, cmd);
	switch (*(uint8_t *)object) {
	case OBJ_PRIVATE:
	case OBJ_HELD:
		return -EBADF;
	case OBJ_SOCK:
		vs = entry_lock(fd, &ret);
		if (!vs)
			return ret;
		th = vs->th;
		ret = fcntl_socket(vs, fd, cmd, arg);
		return entry_leave(th, vs, fd, ret);
	default:
		return SHIM_PASS;
	}
}

static bool is_lock(int cmd)
{
	return cmd == F_SETLK || cmd == F_SETLKW || cmd == F_OFD_SETLK ||
	       cmd == F_OFD_SETLKW;
}

static void before_lock(int cmd, const void *lock)
{
	turns_note_lock(cmd, lock);
	if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
		thread_before_block();
}

/* Every command takes at most one argument of a register's size. */
#define FCNTL_BODY(libc)                                                  \
	va_list ap;                                                       \
	void *arg;                                                        \
	long ret = SHIM_PASS;                                             \
	va_start(ap, cmd);                                                \
	arg = va_arg(ap, void *);                                         \
	va_end(ap);                                                       \
	if (unlikely(fd_object(fd) || cmd == F_DUPFD ||                   \
		     cmd == F_DUPFD_CLOEXEC))                             \
		ret = fcntl_number(fd, cmd, (long)arg);                   \
	else if (unlikely(cmd >= F_SETLK && is_lock(cmd)))                \
		before_lock(cmd, arg);                                    \
	if (ret != SHIM_PASS)                                             \
		return (int)shim_return(ret);                             \
	return libc(fd, cmd, arg)

SHIM_EXPORT int fcntl(int fd, int cmd, ...)
{
	FCNTL_BODY(real.fcntl);
}

SHIM_EXPORT int fcntl64(int fd, int cmd, ...)
{
	FCNTL_BODY(real.fcntl64);
}

static long give_count(int *to, int n)
{
	if (user_bad(to, sizeof(*to)))
		return -EFAULT;
	*to = n;
	return 0;
}

/* Of what was sent, what the peer does not have. */
static long count_output(struct vsock *vs, unsigned long request, int *to)
{
	long ret, unsent = tx_unsent(vs);
	int n = 0;

	if (user_bad(to, sizeof(*to)))
		return -EFAULT;
	if (request == SIOCOUTQ && vs_mine(vs) && vs->depth == DEPTH_LW) {
		ret = chan_call_outq(vs->th->ch, vs_file(vs));
		if (ret >= 0)
			return give_count(to, (int)(ret + unsent));
	}
	ret = vs_materialise(vs, STAT_mat_option);
	if (!ret)
		ret = sys_call3(SYS_ioctl, vs->fd, request, &n);
	return ret ? ret : give_count(to, (int)(n + unsent));
}

static long ioctl_socket(struct vsock *vs, unsigned long request, void *arg)
{
	long ret;

	if (vs->listener || (vs->depth == DEPTH_GIVEN && request != FIONREAD))
		return SHIM_PASS;
	switch (request) {
	case FIONREAD:
		return give_count(arg, rx_readable(vs));
	case FIONBIO:
		if (user_bad(arg, sizeof(int)))
			return -EFAULT;
		return set_nonblock(vs, *(int *)arg);
	case FIOCLEX:
	case FIONCLEX:
		vs->cloexec = request == FIOCLEX;
		return vs->depth == DEPTH_LW ? 0 : SHIM_PASS;
	case SIOCOUTQ:
	case SIOCOUTQNSD:
		return count_output(vs, request, arg);
	case SIOCATMARK:
	case SIOCSPGRP:
	case FIOSETOWN:
		/* Urgent bytes are not for who reads ahead. */
		vs_give_back(vs, STAT_handover_call);
		return SHIM_PASS;
	}
	ret = vs_materialise(vs, STAT_mat_option);
	return ret ? ret : SHIM_PASS;
}

SHIM_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	SHIM_CALL(fd, ioctl_socket(vs, request, arg),
		  real.ioctl(fd, request, arg));
}

/* --- stat ------------------------------------------------------------ */

#define STAT_BODY(number, libc)                                           \
	long ret = likely(!fd_object(number)) ? SHIM_PASS :               \
						entry_descriptor(number); \
	return ret == SHIM_PASS ? libc : (int)shim_return(ret)

SHIM_EXPORT int fstat(int fd, struct stat *st)
{
	STAT_BODY(fd, real.fstat(fd, st));
}

SHIM_EXPORT int fstat64(int fd, struct stat64 *st)
{
	STAT_BODY(fd, real.fstat64(fd, st));
}

SHIM_EXPORT int __fxstat(int version, int fd, struct stat *st)
{
	STAT_BODY(fd, real.__fxstat(version, fd, st));
}

SHIM_EXPORT int __fxstat64(int version, int fd, struct stat64 *st)
{
	STAT_BODY(fd, real.__fxstat64(version, fd, st));
}

SHIM_EXPORT int isfdtype(int fd, int type)
{
	STAT_BODY(fd, real.isfdtype(fd, type));
}

SHIM_EXPORT int sockatmark(int fd)
{
	int at;

	return ioctl(fd, SIOCATMARK, &at) ? -1 : at;
}

SHIM_EXPORT int fstatat(int fd, const char *path, struct stat *st, int flags)
{
	STAT_BODY(fd, real.fstatat(fd, path, st, flags));
}

SHIM_EXPORT int fstatat64(int fd, const char *path, struct stat64 *st,
			  int flags)
{
	STAT_BODY(fd, real.fstatat64(fd, path, st, flags));
}

SHIM_EXPORT int statx(int fd, const char *path, int flags, unsigned int mask,
		      struct statx *st)
{
	STAT_BODY(fd, real.statx(fd, path, flags, mask, st));
}
