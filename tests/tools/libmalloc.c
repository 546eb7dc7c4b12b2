/* SPDX-License-Identifier: MIT */
/*
 * Description: an allocator that makes system calls through libc, always.
 *
 * Every malloc(), calloc(), realloc() and free() reads, writes, asks and
 * closes descriptors by libc's names before it goes on to libc's own
 * allocator, as allocators do that open /proc files or trace themselves.
 * Whoever takes over those names and allocates in them recurses for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *p);
int busy_calls(void);

static _Atomic int calls;

int busy_calls(void)
{
	return calls;
}

static void be_busy(void)
{
	int err = errno, n;
	char byte;

	calls++;
	if (read(-1, &byte, 1) != -1 || errno != EBADF)
		_exit(99);
	if (write(-1, &byte, 1) != -1 || errno != EBADF)
		_exit(99);
	if (close(-1) != -1 || fcntl(0, F_GETFD) == 99)
		_exit(99);
	if (recv(-1, &byte, 1, 0) != -1 || ioctl(-1, FIONREAD, &n) != -1)
		_exit(99);
	poll(NULL, 0, 0);
	errno = err;
}

void *malloc(size_t size)
{
	be_busy();
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	be_busy();
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	be_busy();
	return __libc_realloc(old, size);
}

void free(void *p)
{
	be_busy();
	__libc_free(p);
}
