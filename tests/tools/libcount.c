/* SPDX-License-Identifier: MIT */
/*
 * Description: another interposer, to be preloaded beside ours.
 *
 * Counts calls of the names that servers use and passes them on by
 * RTLD_NEXT, as tracing and profiling libraries do.  count_calls() says how
 * many went through.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic int calls;

int count_calls(void);

int count_calls(void)
{
	return calls;
}

#define NEXT(name) \
	static __typeof__(name) *next; \
	if (!next) \
		next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
	calls++

ssize_t read(int fd, void *buf, size_t len)
{
	NEXT(read);
	return next(fd, buf, len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	NEXT(write);
	return next(fd, buf, len);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	NEXT(recv);
	return next(fd, buf, len, flags);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	NEXT(send);
	return next(fd, buf, len, flags);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	NEXT(writev);
	return next(fd, iov, count);
}

int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	NEXT(accept4);
	return next(fd, sa, len, flags);
}

int epoll_wait(int ep, struct epoll_event *ev, int max, int timeout)
{
	NEXT(epoll_wait);
	return next(ep, ev, max, timeout);
}

int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	NEXT(epoll_ctl);
	return next(ep, op, fd, ev);
}

int close(int fd)
{
	NEXT(close);
	return next(fd);
}

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	NEXT(fcntl);
	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return next(fd, cmd, arg);
}
