/* SPDX-License-Identifier: MIT */
/*
 * Entry points: positioned I/O, which a socket refuses with ESPIPE; its
 * reserved number would say EBADF. preadv2(-1) and pwritev2(-1) are readv
 * and writev, with flags that say little to a socket.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <stdbool.h>

#include "entry.h"

#define REFUSED(number, off, libc)                                        \
	SHIM_CALL(number, (off) < 0 ? (long)-EINVAL : (long)-ESPIPE, libc)

/* Which flags a socket takes is the kernel's to say (NOWAIT: Linux 6.5), and
 * the same for every socket: one that has nothing to read is asked. */
static bool takes_flags(int flags)
{
	char byte;
	const struct iovec iov = { &byte, 1 };
	int ends[2], saved = errno;
	bool takes;

	if (!flags || real.socketpair(AF_UNIX,
				      SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				      0, ends) < 0)
		return true;
	takes = real.preadv2(ends[0], &iov, 1, -1, flags) >= 0 ||
		errno == EAGAIN;
	sys_close(ends[0]);
	sys_close(ends[1]);
	errno = saved;
	return takes;
}

static ssize_t vector_call(int fd, const struct iovec *iov, int count,
			   int flags, bool out)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov };

	if (!(flags & RWF_NOWAIT) || count < 0)
		return out ? writev(fd, iov, count) : readv(fd, iov, count);
	msg.msg_iovlen = (size_t)count;
	return out ? sendmsg(fd, &msg, MSG_DONTWAIT) :
		     recvmsg(fd, &msg, MSG_DONTWAIT);
}

#define AT_POSITION(number, out, libc)                                    \
	do {                                                              \
		if (likely(!fd_object(number)))                           \
			return libc;                                      \
		if (off == -1 && takes_flags(flags))                \
			return vector_call(number, iov, count, flags,     \
					   out);                          \
		if (off == -1)                                            \
			entry_make_real(number);                          \
		else                                                      \
			REFUSED(number, off, libc);                       \
		return libc;                                              \
	} while (0)

SHIM_EXPORT ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	REFUSED(fd, off, real.pread(fd, buf, len, off));
}

SHIM_EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	REFUSED(fd, off, real.pread64(fd, buf, len, off));
}

SHIM_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off,
				size_t size)
{
	REFUSED(fd, off, real.__pread_chk(fd, buf, len, off, size));
}

SHIM_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off,
				  size_t size)
{
	REFUSED(fd, off, real.__pread64_chk(fd, buf, len, off, size));
}

SHIM_EXPORT ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	REFUSED(fd, off, real.pwrite(fd, buf, len, off));
}

SHIM_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	REFUSED(fd, off, real.pwrite64(fd, buf, len, off));
}

SHIM_EXPORT ssize_t preadv(int fd, const struct iovec *iov, int count,
			   off_t off)
{
	REFUSED(fd, off, real.preadv(fd, iov, count, off));
}

SHIM_EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int count,
			     off64_t off)
{
	REFUSED(fd, off, real.preadv64(fd, iov, count, off));
}

SHIM_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count,
			    off_t off)
{
	REFUSED(fd, off, real.pwritev(fd, iov, count, off));
}

SHIM_EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count,
			      off64_t off)
{
	REFUSED(fd, off, real.pwritev64(fd, iov, count, off));
}

SHIM_EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int count,
			    off_t off, int flags)
{
	AT_POSITION(fd, false, real.preadv2(fd, iov, count, off, flags));
}

SHIM_EXPORT ssize_t preadv64v2(int fd, const struct iovec *iov, int count,
			       off64_t off, int flags)
{
	AT_POSITION(fd, false, real.preadv64v2(fd, iov, count, off, flags));
}

SHIM_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count,
			     off_t off, int flags)
{
	AT_POSITION(fd, true, real.pwritev2(fd, iov, count, off, flags));
}

SHIM_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int count,
				off64_t off, int flags)
{
	AT_POSITION(fd, true, real.pwritev64v2(fd, iov, count, off, flags));
}

SHIM_EXPORT off_t lseek(int fd, off_t off, int whence)
{
	SHIM_CALL(fd, (long)-ESPIPE, real.lseek(fd, off, whence));
}

SHIM_EXPORT off64_t lseek64(int fd, off64_t off, int whence)
{
	SHIM_CALL(fd, (long)-ESPIPE, real.lseek64(fd, off, whence));
}
