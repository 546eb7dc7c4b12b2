/* SPDX-License-Identifier: MIT */
/*
 * Entry points: calls that make a descriptor.
 *
 * Numbers of closed connections that we hold for the next ones are the
 * program's: when it has no other left, they are given back and the call is
 * made again. Nothing else is done here.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <stdarg.h>

#include "entry.h"
#include "listener.h"

/* Is it worth to try again? */
static bool made_room(void)
{
	return errno == EMFILE && entry_make_room();
}

#define WITH_ROOM(failed, call)                                           \
	do {                                                              \
		__typeof__(call) ret_ = call;                             \
		if (unlikely(ret_ == (failed)) && made_room())            \
			ret_ = call;                                      \
		return ret_;                                              \
	} while (0)

/* Passed on whether it was given or not: the kernel looks when it matters. */
#define MODE_AFTER(last)                                                  \
	va_list ap;                                                       \
	mode_t mode;                                                      \
	va_start(ap, last);                                               \
	mode = va_arg(ap, mode_t);                                        \
	va_end(ap)

SHIM_EXPORT int open(const char *path, int flags, ...)
{
	MODE_AFTER(flags);

	WITH_ROOM(-1, real.open(path, flags, mode));
}

SHIM_EXPORT int __open(const char *path, int flags, ...)
{
	MODE_AFTER(flags);

	WITH_ROOM(-1, real.__open(path, flags, mode));
}

SHIM_EXPORT int __open64(const char *path, int flags, ...)
{
	MODE_AFTER(flags);

	WITH_ROOM(-1, real.__open64(path, flags, mode));
}

SHIM_EXPORT int open64(const char *path, int flags, ...)
{
	MODE_AFTER(flags);

	WITH_ROOM(-1, real.open64(path, flags, mode));
}

SHIM_EXPORT int openat(int dir, const char *path, int flags, ...)
{
	MODE_AFTER(flags);

	entry_make_real(dir);
	WITH_ROOM(-1, real.openat(dir, path, flags, mode));
}

SHIM_EXPORT int openat64(int dir, const char *path, int flags, ...)
{
	MODE_AFTER(flags);

	entry_make_real(dir);
	WITH_ROOM(-1, real.openat64(dir, path, flags, mode));
}

/* As fortified programs call them, where no mode is needed. */
SHIM_EXPORT int __open_2(const char *path, int flags)
{
	WITH_ROOM(-1, real.__open_2(path, flags));
}

SHIM_EXPORT int __open64_2(const char *path, int flags)
{
	WITH_ROOM(-1, real.__open64_2(path, flags));
}

SHIM_EXPORT int __openat_2(int dir, const char *path, int flags)
{
	entry_make_real(dir);
	WITH_ROOM(-1, real.__openat_2(dir, path, flags));
}

SHIM_EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	entry_make_real(dir);
	WITH_ROOM(-1, real.__openat64_2(dir, path, flags));
}

SHIM_EXPORT int creat(const char *path, mode_t mode)
{
	WITH_ROOM(-1, real.creat(path, mode));
}

SHIM_EXPORT int creat64(const char *path, mode_t mode)
{
	WITH_ROOM(-1, real.creat64(path, mode));
}

SHIM_EXPORT FILE *tmpfile(void)
{
	WITH_ROOM(NULL, real.tmpfile());
}

SHIM_EXPORT FILE *tmpfile64(void)
{
	WITH_ROOM(NULL, real.tmpfile64());
}

SHIM_EXPORT int shm_open(const char *name, int flags, mode_t mode)
{
	WITH_ROOM(-1, real.shm_open(name, flags, mode));
}

SHIM_EXPORT int posix_openpt(int flags)
{
	WITH_ROOM(-1, real.posix_openpt(flags));
}

SHIM_EXPORT int open_by_handle_at(int mount, struct file_handle *handle,
				  int flags)
{
	entry_make_real(mount);
	WITH_ROOM(-1, real.open_by_handle_at(mount, handle, flags));
}

SHIM_EXPORT FILE *fopen(const char *path, const char *mode)
{
	WITH_ROOM(NULL, real.fopen(path, mode));
}

SHIM_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	WITH_ROOM(NULL, real.fopen64(path, mode));
}

SHIM_EXPORT DIR *opendir(const char *path)
{
	WITH_ROOM(NULL, real.opendir(path));
}

SHIM_EXPORT int socket(int domain, int type, int protocol)
{
	WITH_ROOM(-1, real.socket(domain, type, protocol));
}

SHIM_EXPORT int socketpair(int domain, int type, int protocol, int ends[2])
{
	WITH_ROOM(-1, real.socketpair(domain, type, protocol, ends));
}

SHIM_EXPORT int pipe(int ends[2])
{
	WITH_ROOM(-1, real.pipe(ends));
}

SHIM_EXPORT int pipe2(int ends[2], int flags)
{
	WITH_ROOM(-1, real.pipe2(ends, flags));
}

SHIM_EXPORT int eventfd(unsigned int count, int flags)
{
	WITH_ROOM(-1, real.eventfd(count, flags));
}

SHIM_EXPORT int timerfd_create(clockid_t clock, int flags)
{
	WITH_ROOM(-1, real.timerfd_create(clock, flags));
}

SHIM_EXPORT int signalfd(int fd, const sigset_t *mask, int flags)
{
	WITH_ROOM(-1, real.signalfd(fd, mask, flags));
}

SHIM_EXPORT int inotify_init(void)
{
	WITH_ROOM(-1, real.inotify_init());
}

SHIM_EXPORT int inotify_init1(int flags)
{
	WITH_ROOM(-1, real.inotify_init1(flags));
}

SHIM_EXPORT int fanotify_init(unsigned int flags, unsigned int event_flags)
{
	WITH_ROOM(-1, real.fanotify_init(flags, event_flags));
}

SHIM_EXPORT int pidfd_open(pid_t pid, unsigned int flags)
{
	WITH_ROOM(-1, real.pidfd_open(pid, flags));
}

SHIM_EXPORT int memfd_create(const char *name, unsigned int flags)
{
	WITH_ROOM(-1, real.memfd_create(name, flags));
}

/* --- how many there may be ------------------------------------------- */

/* The sanitizers set limits before any code that they instrument can run. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/* Numbers that we hold must not stand in the way of a lower limit, and accept
 * requests were made with the old one (io_accept_prep()). */
static int limit_set(int ret, int resource)
{
	if (ret || resource != RLIMIT_NOFILE)
		return ret;
	entry_make_room();
	listener_limits_changed();
	return ret;
}

SHIM_EXPORT int setrlimit(__rlimit_resource_t resource,
			  const struct rlimit *lim)
{
	return limit_set(real.setrlimit(resource, lim), (int)resource);
}

SHIM_EXPORT int setrlimit64(__rlimit_resource_t resource,
			    const struct rlimit64 *lim)
{
	return limit_set(real.setrlimit64(resource, lim), (int)resource);
}

SHIM_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource,
			const struct rlimit *lim, struct rlimit *old)
{
	return limit_set(real.prlimit(pid, resource, lim, old),
			 lim ? (int)resource : -1);
}

SHIM_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource,
			  const struct rlimit64 *lim, struct rlimit64 *old)
{
	return limit_set(real.prlimit64(pid, resource, lim, old),
			 lim ? (int)resource : -1);
}

#endif
