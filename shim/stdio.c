/* SPDX-License-Identifier: MIT */
/*
 * Entry points: stdio and aio on sockets.
 *
 * stdio reads, writes and closes inside libc, where we do not see it: a
 * socket that becomes a stream is the kernel's from then on.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <stdarg.h>

#include "entry.h"
#include "handover.h"
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

SHIM_EXPORT void backtrace_symbols_fd(void *const *frames, int count, int fd)
{
	give_to_stdio(fd);
	real.backtrace_symbols_fd(frames, count, fd);
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
