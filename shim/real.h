/* SPDX-License-Identifier: MIT */
/*
 * libc's own functions, by name: real.read is the libc's read().
 *
 * Owns: the pointers. Invariant: filled before the first use, by the
 * constructor or by the first early call (another library's constructor may
 * run before ours). Any thread, signal handlers included.
 */
#ifndef SHIM_REAL_H
#define SHIM_REAL_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the headers declare only for fortified callers, or for old ones. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags,
		       struct sockaddr *addr, socklen_t *addrlen);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off, size_t size);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *wait,
		const sigset_t *mask, size_t size);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);

struct real_calls {
#define SYM(name) __typeof__(name) *name;
#define OPT(name) SYM(name)
#define LEFT(name, reason)
#include "symbols.def"
#undef SYM
#undef OPT
#undef LEFT
};

extern struct real_calls real_table;
extern bool real_ready;

void real_init(void);

static inline const struct real_calls *real_get(void)
{
	if (__builtin_expect(!real_ready, 0))
		real_init();
	return &real_table;
}

/* real.read(...): libc's read(). */
#define real (*real_get())

#endif
