/* SPDX-License-Identifier: MIT */
/*
 * Entry points: names that libc has for functions which are taken over under
 * another one. Old programs and other libraries call them.
 * Owns: nothing. Threads: any.
 */
#include <stdarg.h>

#include "real.h"
#include "shim.h"

SHIM_EXPORT ssize_t __read(int fd, void *buf, size_t len)
{
	return read(fd, buf, len);
}

SHIM_EXPORT ssize_t __write(int fd, const void *buf, size_t len)
{
	return write(fd, buf, len);
}

SHIM_EXPORT ssize_t __send(int fd, const void *buf, size_t len, int flags)
{
	return send(fd, buf, len, flags);
}

SHIM_EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

SHIM_EXPORT int __close(int fd)
{
	return close(fd);
}

SHIM_EXPORT int __fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl(fd, cmd, arg);
}

SHIM_EXPORT int __dup2(int fd, int to)
{
	return dup2(fd, to);
}

SHIM_EXPORT off_t __lseek(int fd, off_t off, int whence)
{
	return lseek(fd, off, whence);
}

SHIM_EXPORT ssize_t __pread64(int fd, void *buf, size_t len, off64_t off)
{
	return pread64(fd, buf, len, off);
}

SHIM_EXPORT ssize_t __pwrite64(int fd, const void *buf, size_t len,
			       off64_t off)
{
	return pwrite64(fd, buf, len, off);
}

SHIM_EXPORT int __poll(struct pollfd *fds, nfds_t count, int timeout)
{
	return poll(fds, count, timeout);
}

SHIM_EXPORT int __select(int count, fd_set *rd, fd_set *wr, fd_set *ex,
			 struct timeval *timeout)
{
	return select(count, rd, wr, ex, timeout);
}

SHIM_EXPORT int __nanosleep(const struct timespec *wait, struct timespec *left)
{
	return nanosleep(wait, left);
}

SHIM_EXPORT pid_t __wait(int *status)
{
	return wait(status);
}

SHIM_EXPORT pid_t __waitpid(pid_t pid, int *status, int options)
{
	return waitpid(pid, status, options);
}

SHIM_EXPORT FILE *_IO_fdopen(int fd, const char *mode)
{
	return fdopen(fd, mode);
}

SHIM_EXPORT int _IO_fclose(FILE *stream)
{
	return fclose(stream);
}
