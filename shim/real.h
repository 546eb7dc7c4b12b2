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

#include <aio.h>
#include <dirent.h>
#include <execinfo.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <threads.h>
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
int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);
/* Debian 12's <sys/pidfd.h> gets in the way of <fcntl.h>'s kin. */
int pidfd_open(pid_t pid, unsigned int flags);
int pidfd_getfd(int pidfd, int fd, unsigned int flags);
int __dprintf_chk(int fd, int flag, const char *fmt, ...);
int __vdprintf_chk(int fd, int flag, const char *fmt, va_list ap);

ssize_t __read(int fd, void *buf, size_t len);
ssize_t __write(int fd, const void *buf, size_t len);
ssize_t __send(int fd, const void *buf, size_t len, int flags);
int __connect(int fd, const struct sockaddr *addr, socklen_t len);
int __close(int fd);
int __fcntl(int fd, int cmd, ...);
int __dup2(int fd, int to);
off_t __lseek(int fd, off_t off, int whence);
ssize_t __pread64(int fd, void *buf, size_t len, off64_t off);
ssize_t __pwrite64(int fd, const void *buf, size_t len, off64_t off);
int __poll(struct pollfd *fds, nfds_t count, int timeout);
int __select(int count, fd_set *rd, fd_set *wr, fd_set *ex,
	     struct timeval *timeout);
int __nanosleep(const struct timespec *wait, struct timespec *left);
pid_t __wait(int *status);
pid_t __waitpid(pid_t pid, int *status, int options);
pid_t __vfork(void);
FILE *_IO_fdopen(int fd, const char *mode);
int _IO_fclose(FILE *stream);

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
