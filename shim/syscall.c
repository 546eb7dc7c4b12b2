/* SPDX-License-Identifier: MIT */
/*
 * Entry point: the raw system call, as far as libc's syscall() makes it.
 *
 * What concerns a socket becomes the call of that name; the rest passes with
 * all six arguments.
 * Owns: nothing. Threads: any.
 */
#include <stdarg.h>

#include "entry.h"
#include "proc.h"

/* Calls that move data. True when it was one, its result in *ret. */
static bool data_call(long nr, const long *a, long *ret)
{
	int fd = (int)a[0];

	switch (nr) {
	case SYS_read:
		*ret = read(fd, (void *)a[1], (size_t)a[2]);
		return true;
	case SYS_write:
		*ret = write(fd, (void *)a[1], (size_t)a[2]);
		return true;
	case SYS_readv:
		*ret = readv(fd, (void *)a[1], (int)a[2]);
		return true;
	case SYS_writev:
		*ret = writev(fd, (void *)a[1], (int)a[2]);
		return true;
	case SYS_recvfrom:
		*ret = recvfrom(fd, (void *)a[1], (size_t)a[2], (int)a[3],
				(void *)a[4], (void *)a[5]);
		return true;
	case SYS_sendto:
		*ret = sendto(fd, (void *)a[1], (size_t)a[2], (int)a[3],
			      (void *)a[4], (socklen_t)a[5]);
		return true;
	case SYS_recvmsg:
		*ret = recvmsg(fd, (void *)a[1], (int)a[2]);
		return true;
	case SYS_sendmsg:
		*ret = sendmsg(fd, (void *)a[1], (int)a[2]);
		return true;
	case SYS_recvmmsg:
		*ret = recvmmsg(fd, (void *)a[1], (unsigned int)a[2],
				(int)a[3], (void *)a[4]);
		return true;
	case SYS_sendmmsg:
		*ret = sendmmsg(fd, (void *)a[1], (unsigned int)a[2],
				(int)a[3]);
		return true;
	default:
		return false;
	}
}

/* Calls on the connection itself. */
static bool socket_call(long nr, const long *a, long *ret)
{
	int fd = (int)a[0];

	switch (nr) {
	case SYS_listen:
		*ret = listen(fd, (int)a[1]);
		return true;
	case SYS_accept:
		*ret = accept(fd, (void *)a[1], (void *)a[2]);
		return true;
	case SYS_accept4:
		*ret = accept4(fd, (void *)a[1], (void *)a[2], (int)a[3]);
		return true;
	case SYS_connect:
		*ret = connect(fd, (void *)a[1], (socklen_t)a[2]);
		return true;
	case SYS_shutdown:
		*ret = shutdown(fd, (int)a[1]);
		return true;
	case SYS_getsockopt:
		*ret = getsockopt(fd, (int)a[1], (int)a[2], (void *)a[3],
				  (void *)a[4]);
		return true;
	case SYS_setsockopt:
		*ret = setsockopt(fd, (int)a[1], (int)a[2], (void *)a[3],
				  (socklen_t)a[4]);
		return true;
	case SYS_sendfile:
		*ret = sendfile(fd, (int)a[1], (void *)a[2], (size_t)a[3]);
		return true;
	case SYS_ioctl:
		*ret = ioctl(fd, (unsigned long)a[1], a[2]);
		return true;
	default:
		return false;
	}
}

/* Calls on the number, and on sets. */
static bool number_call(long nr, const long *a, long *ret)
{
	int fd = (int)a[0];

	switch (nr) {
	case SYS_close:
		*ret = close(fd);
		return true;
	case SYS_dup:
		*ret = dup(fd);
		return true;
#ifdef SYS_dup2
	case SYS_dup2:
		*ret = dup2(fd, (int)a[1]);
		return true;
#endif
	case SYS_dup3:
		*ret = dup3(fd, (int)a[1], (int)a[2]);
		return true;
	case SYS_fcntl:
		*ret = fcntl(fd, (int)a[1], a[2]);
		return true;
	case SYS_epoll_ctl:
		*ret = epoll_ctl(fd, (int)a[1], (int)a[2], (void *)a[3]);
		return true;
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		*ret = epoll_wait(fd, (void *)a[1], (int)a[2], (int)a[3]);
		return true;
#endif
	case SYS_epoll_pwait:
		*ret = epoll_pwait(fd, (void *)a[1], (int)a[2], (int)a[3],
				   (void *)a[4]);
		return true;
	default:
		return false;
	}
}

/* Is one of the arguments that are numbers one of ours? */
static bool is_ours(long nr, const long *a)
{
	bool second = nr == SYS_dup3 || nr == SYS_sendfile;

#ifdef SYS_dup2
	second |= nr == SYS_dup2;
#endif
	return unlikely(fd_object((int)a[0])) ||
	       (second && fd_object((int)a[1]));
}

static long splice_call(const long *a)
{
	return splice((int)a[0], (void *)a[1], (int)a[2], (void *)a[3],
		      (size_t)a[4], (unsigned int)a[5]);
}

SHIM_EXPORT __attribute__((no_sanitize("address"))) /* reads six, always */
long syscall(long nr, ...)
{
	long a[6], ret;
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
	if (nr == SYS_splice)
		return splice_call(a);
	if (nr == SYS_pidfd_getfd)
		return pidfd_getfd((int)a[0], (int)a[1], (unsigned int)a[2]);
#ifdef SYS_poll
	if (nr == SYS_poll)
		return poll((void *)a[0], (nfds_t)a[1], (int)a[2]);
#endif
	/* A lock of the program's own may be another thread's; what other calls
	 * wait for is not known, and mostly nothing. */
	if (nr == SYS_futex)
		thread_before_block();
	else
		thread_before_delay();
	if (is_ours(nr, a)) {
		if (data_call(nr, a, &ret) || socket_call(nr, a, &ret) ||
		    number_call(nr, a, &ret))
			return ret;
		/* Anything else on a socket of ours needs a descriptor. */
		entry_make_real((int)a[0]);
	}
	return real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
