/* SPDX-License-Identifier: MIT */
/*
 * Entry points: stdio on sockets, and the raw system call.
 *
 * stdio reads, writes and closes inside libc, where we do not see it: a
 * socket that becomes a stream is the kernel's from then on.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <stdarg.h>

#include "entry.h"
#include "handover.h"
#include "proc.h"
#include "vsock.h"

/* LIMIT: bytes that were read ahead before fdopen() are not in the stream. */
static void give_to_stdio(int fd)
{
	struct vsock *vs;
	struct thread *th;
	long ret;

	if (likely(!fd_object(fd)))
		return;
	vs = entry_lock(fd, &ret);
	if (!vs)
		return;
	th = vs->th;
	if (!vs->listener && vs->depth != DEPTH_GIVEN)
		vs_give_back(vs, STAT_handover_call);
	lock_give(&th->lock);
}

SHIM_EXPORT FILE *fdopen(int fd, const char *mode)
{
	give_to_stdio(fd);
	return real.fdopen(fd, mode);
}

/* fclose() does not call close(): a set or a socket under this number would
 * be found there by its next owner. */
SHIM_EXPORT int fclose(FILE *stream)
{
	int fd = fileno(stream);
	struct vsock *vs;
	struct thread *th;
	long ret;

	if (unlikely(fd >= 0 && fd_object(fd))) {
		fflush(stream);
		vs = entry_lock(fd, &ret);
		if (vs) {
			th = vs->th;
			entry_replace(vs, fd);
			lock_give(&th->lock);
		}
	}
	return real.fclose(stream);
}

SHIM_EXPORT int vdprintf(int fd, const char *fmt, va_list ap)
{
	char small[1024];
	va_list copy;
	int n;

	if (likely(!fd_object(fd)))
		return real.vdprintf(fd, fmt, ap);
	va_copy(copy, ap);
	n = vsnprintf(small, sizeof(small), fmt, copy);
	va_end(copy);
	if (n >= 0 && (size_t)n < sizeof(small))
		return (int)write(fd, small, (size_t)n);
	give_to_stdio(fd);
	return real.vdprintf(fd, fmt, ap);
}

SHIM_EXPORT int dprintf(int fd, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vdprintf(fd, fmt, ap);
	va_end(ap);
	return ret;
}

SHIM_EXPORT int __vdprintf_chk(int fd, int flag, const char *fmt, va_list ap)
{
	if (likely(!fd_object(fd)))
		return real.__vdprintf_chk(fd, flag, fmt, ap);
	return vdprintf(fd, fmt, ap);
}

SHIM_EXPORT int __dprintf_chk(int fd, int flag, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = __vdprintf_chk(fd, flag, fmt, ap);
	va_end(ap);
	return ret;
}

/* libc's threads read and write without us. LIMIT: bytes that were read ahead
 * before are not in what they read. */
SHIM_EXPORT int aio_read(struct aiocb *cb)
{
	give_to_stdio(cb->aio_fildes);
	return real.aio_read(cb);
}

SHIM_EXPORT int aio_read64(struct aiocb64 *cb)
{
	give_to_stdio(cb->aio_fildes);
	return real.aio_read64(cb);
}

SHIM_EXPORT int aio_write(struct aiocb *cb)
{
	give_to_stdio(cb->aio_fildes);
	return real.aio_write(cb);
}

SHIM_EXPORT int aio_write64(struct aiocb64 *cb)
{
	give_to_stdio(cb->aio_fildes);
	return real.aio_write64(cb);
}

SHIM_EXPORT int lio_listio(int mode, struct aiocb *const list[], int count,
			   struct sigevent *event)
{
	int i;

	for (i = 0; i < count; i++)
		if (list[i])
			give_to_stdio(list[i]->aio_fildes);
	return real.lio_listio(mode, list, count, event);
}

SHIM_EXPORT int lio_listio64(int mode, struct aiocb64 *const list[], int count,
			     struct sigevent *event)
{
	int i;

	for (i = 0; i < count; i++)
		if (list[i])
			give_to_stdio(list[i]->aio_fildes);
	return real.lio_listio64(mode, list, count, event);
}

/* The calls that programs make by number on their sockets: libuv closes with
 * syscall(SYS_close). The rest passes with all six arguments. */
SHIM_EXPORT __attribute__((no_sanitize("address"))) /* reads six, always */
long syscall(long nr, ...)
{
	long a[6];
	va_list ap;
	int i;

	va_start(ap, nr);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (nr == SYS_exit_group)
		init_end();
	if (nr == SYS_close_range)
		return close_range((unsigned int)a[0], (unsigned int)a[1],
				   (int)a[2]);
	thread_before_block();
	if (likely(!fd_object((int)a[0])) &&
	    (nr != SYS_dup3 || !fd_object((int)a[1])))
		return real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	switch (nr) {
	case SYS_close:
		return close((int)a[0]);
	case SYS_dup:
		return dup((int)a[0]);
	case SYS_dup3:
		return dup3((int)a[0], (int)a[1], (int)a[2]);
	case SYS_fcntl:
		return fcntl((int)a[0], (int)a[1], a[2]);
	case SYS_read:
		return read((int)a[0], (void *)a[1], (size_t)a[2]);
	case SYS_write:
		return write((int)a[0], (void *)a[1], (size_t)a[2]);
	case SYS_readv:
		return readv((int)a[0], (void *)a[1], (int)a[2]);
	case SYS_writev:
		return writev((int)a[0], (void *)a[1], (int)a[2]);
	case SYS_recvfrom:
		return recvfrom((int)a[0], (void *)a[1], (size_t)a[2],
				(int)a[3], (void *)a[4], (void *)a[5]);
	case SYS_sendto:
		return sendto((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3],
			      (void *)a[4], (socklen_t)a[5]);
	case SYS_recvmsg:
		return recvmsg((int)a[0], (void *)a[1], (int)a[2]);
	case SYS_sendmsg:
		return sendmsg((int)a[0], (void *)a[1], (int)a[2]);
	case SYS_epoll_ctl:
		return epoll_ctl((int)a[0], (int)a[1], (int)a[2],
				 (void *)a[3]);
	case SYS_epoll_pwait:
		return epoll_pwait((int)a[0], (void *)a[1], (int)a[2],
				   (int)a[3], (void *)a[4]);
	default:
		/* Anything else on a socket of ours needs a descriptor. */
		give_to_stdio((int)a[0]);
		return real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}
