/* SPDX-License-Identifier: MIT */
/*
 * Entry points: positioned I/O, which a socket refuses with ESPIPE; its
 * reserved number would say EBADF. preadv2(-1) and pwritev2(-1) are readv
 * and writev.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>

#include "entry.h"

#define REFUSED(number, libc) SHIM_CALL(number, (long)-ESPIPE, libc)

SHIM_EXPORT ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	REFUSED(fd, real.pread(fd, buf, len, off));
}

SHIM_EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	REFUSED(fd, real.pread64(fd, buf, len, off));
}

SHIM_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off,
				size_t size)
{
	REFUSED(fd, real.__pread_chk(fd, buf, len, off, size));
}

SHIM_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off,
				  size_t size)
{
	REFUSED(fd, real.__pread64_chk(fd, buf, len, off, size));
}

SHIM_EXPORT ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	REFUSED(fd, real.pwrite(fd, buf, len, off));
}

SHIM_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	REFUSED(fd, real.pwrite64(fd, buf, len, off));
}

SHIM_EXPORT ssize_t preadv(int fd, const struct iovec *iov, int count,
			   off_t off)
{
	REFUSED(fd, real.preadv(fd, iov, count, off));
}

SHIM_EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int count,
			     off64_t off)
{
	REFUSED(fd, real.preadv64(fd, iov, count, off));
}

SHIM_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count,
			    off_t off)
{
	REFUSED(fd, real.pwritev(fd, iov, count, off));
}

SHIM_EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count,
			      off64_t off)
{
	REFUSED(fd, real.pwritev64(fd, iov, count, off));
}

SHIM_EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int count,
			    off_t off, int flags)
{
	if (unlikely(fd_object(fd)) && off == -1 && !flags)
		return readv(fd, iov, count);
	REFUSED(fd, real.preadv2(fd, iov, count, off, flags));
}

SHIM_EXPORT ssize_t preadv64v2(int fd, const struct iovec *iov, int count,
			       off64_t off, int flags)
{
	if (unlikely(fd_object(fd)) && off == -1 && !flags)
		return readv(fd, iov, count);
	REFUSED(fd, real.preadv64v2(fd, iov, count, off, flags));
}

SHIM_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count,
			     off_t off, int flags)
{
	if (unlikely(fd_object(fd)) && off == -1 && !flags)
		return writev(fd, iov, count);
	REFUSED(fd, real.pwritev2(fd, iov, count, off, flags));
}

SHIM_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int count,
				off64_t off, int flags)
{
	if (unlikely(fd_object(fd)) && off == -1 && !flags)
		return writev(fd, iov, count);
	REFUSED(fd, real.pwritev64v2(fd, iov, count, off, flags));
}

SHIM_EXPORT off_t lseek(int fd, off_t off, int whence)
{
	REFUSED(fd, real.lseek(fd, off, whence));
}

SHIM_EXPORT off64_t lseek64(int fd, off64_t off, int whence)
{
	REFUSED(fd, real.lseek64(fd, off, whence));
}
