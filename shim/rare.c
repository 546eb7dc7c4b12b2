/* SPDX-License-Identifier: MIT */
/*
 * Entry points: calls that are for terminals, files and other kinds of
 * descriptors, on a socket. The kernel knows the answer, mostly a refusal with
 * an errno of its own: a socket without a descriptor gets one.
 * Owns: nothing. Threads: any.
 *
 * LIMIT: mmap(), which TCP_ZEROCOPY_RECEIVE begins with, fails with EBADF on a
 * socket without a descriptor: malloc() libraries call it before anything can
 * be looked up.
 * LIMIT: pidfd_getfd() by another process gets a number that is held, where
 * the socket has no descriptor.
 */
#include <errno.h>

#include "entry.h"
#include "fdinfo.h"

/* *failed* is what the call returns when nothing can be asked: ret_. */
#define ASK(number, libc, failed)                  \
	do {                                       \
		long ret_ = entry_descriptor(number); \
		if (likely(ret_ == SHIM_PASS))     \
			return libc;               \
		return failed;                     \
	} while (0)

#define MINUS_ONE (int)shim_return(ret_)
#define NOTHING (shim_return(ret_), NULL)
#define NUMBER (int)-ret_

/* --- terminals ------------------------------------------------------- */

SHIM_EXPORT int isatty(int fd)
{
	ASK(fd, real.isatty(fd), (shim_return(ret_), 0));
}

SHIM_EXPORT int tcgetattr(int fd, struct termios *t)
{
	ASK(fd, real.tcgetattr(fd, t), MINUS_ONE);
}

SHIM_EXPORT int tcsetattr(int fd, int when, const struct termios *t)
{
	ASK(fd, real.tcsetattr(fd, when, t), MINUS_ONE);
}

SHIM_EXPORT int tcdrain(int fd)
{
	ASK(fd, real.tcdrain(fd), MINUS_ONE);
}

SHIM_EXPORT int tcflow(int fd, int action)
{
	ASK(fd, real.tcflow(fd, action), MINUS_ONE);
}

SHIM_EXPORT int tcflush(int fd, int queue)
{
	ASK(fd, real.tcflush(fd, queue), MINUS_ONE);
}

SHIM_EXPORT int tcsendbreak(int fd, int duration)
{
	ASK(fd, real.tcsendbreak(fd, duration), MINUS_ONE);
}

SHIM_EXPORT pid_t tcgetpgrp(int fd)
{
	ASK(fd, real.tcgetpgrp(fd), MINUS_ONE);
}

SHIM_EXPORT int tcsetpgrp(int fd, pid_t group)
{
	ASK(fd, real.tcsetpgrp(fd, group), MINUS_ONE);
}

SHIM_EXPORT pid_t tcgetsid(int fd)
{
	ASK(fd, real.tcgetsid(fd), MINUS_ONE);
}

SHIM_EXPORT int grantpt(int fd)
{
	ASK(fd, real.grantpt(fd), MINUS_ONE);
}

SHIM_EXPORT int unlockpt(int fd)
{
	ASK(fd, real.unlockpt(fd), MINUS_ONE);
}

SHIM_EXPORT char *ttyname(int fd)
{
	ASK(fd, real.ttyname(fd), NOTHING);
}

SHIM_EXPORT char *ptsname(int fd)
{
	ASK(fd, real.ptsname(fd), NOTHING);
}

SHIM_EXPORT int ttyname_r(int fd, char *name, size_t len)
{
	ASK(fd, real.ttyname_r(fd, name, len), NUMBER);
}

SHIM_EXPORT int ptsname_r(int fd, char *name, size_t len)
{
	ASK(fd, real.ptsname_r(fd, name, len), NUMBER);
}

/* --- what stat() shows, and more of it -------------------------------- */

SHIM_EXPORT int fchmod(int fd, mode_t mode)
{
	ASK(fd, real.fchmod(fd, mode), MINUS_ONE);
}

SHIM_EXPORT int fchown(int fd, uid_t user, gid_t group)
{
	ASK(fd, real.fchown(fd, user, group), MINUS_ONE);
}

SHIM_EXPORT int fchdir(int fd)
{
	ASK(fd, real.fchdir(fd), MINUS_ONE);
}

SHIM_EXPORT int fstatfs(int fd, struct statfs *st)
{
	ASK(fd, real.fstatfs(fd, st), MINUS_ONE);
}

SHIM_EXPORT int fstatfs64(int fd, struct statfs64 *st)
{
	ASK(fd, real.fstatfs64(fd, st), MINUS_ONE);
}

SHIM_EXPORT int fstatvfs(int fd, struct statvfs *st)
{
	ASK(fd, real.fstatvfs(fd, st), MINUS_ONE);
}

SHIM_EXPORT int fstatvfs64(int fd, struct statvfs64 *st)
{
	ASK(fd, real.fstatvfs64(fd, st), MINUS_ONE);
}

SHIM_EXPORT long fpathconf(int fd, int name)
{
	ASK(fd, real.fpathconf(fd, name), MINUS_ONE);
}

SHIM_EXPORT int futimens(int fd, const struct timespec times[2])
{
	ASK(fd, real.futimens(fd, times), MINUS_ONE);
}

SHIM_EXPORT int futimes(int fd, const struct timeval times[2])
{
	ASK(fd, real.futimes(fd, times), MINUS_ONE);
}

SHIM_EXPORT ssize_t fgetxattr(int fd, const char *name, void *value,
			      size_t size)
{
	ASK(fd, real.fgetxattr(fd, name, value, size), MINUS_ONE);
}

SHIM_EXPORT ssize_t flistxattr(int fd, char *list, size_t size)
{
	ASK(fd, real.flistxattr(fd, list, size), MINUS_ONE);
}

SHIM_EXPORT int fsetxattr(int fd, const char *name, const void *value,
			  size_t size, int flags)
{
	ASK(fd, real.fsetxattr(fd, name, value, size, flags), MINUS_ONE);
}

SHIM_EXPORT int fremovexattr(int fd, const char *name)
{
	ASK(fd, real.fremovexattr(fd, name), MINUS_ONE);
}

/* --- files and directories -------------------------------------------- */

SHIM_EXPORT int syncfs(int fd)
{
	ASK(fd, real.syncfs(fd), MINUS_ONE);
}

SHIM_EXPORT int ftruncate(int fd, off_t len)
{
	ASK(fd, real.ftruncate(fd, len), MINUS_ONE);
}

SHIM_EXPORT int ftruncate64(int fd, off64_t len)
{
	ASK(fd, real.ftruncate64(fd, len), MINUS_ONE);
}

SHIM_EXPORT int posix_fadvise(int fd, off_t off, off_t len, int advice)
{
	ASK(fd, real.posix_fadvise(fd, off, len, advice), NUMBER);
}

SHIM_EXPORT int posix_fadvise64(int fd, off64_t off, off64_t len, int advice)
{
	ASK(fd, real.posix_fadvise64(fd, off, len, advice), NUMBER);
}

SHIM_EXPORT int posix_fallocate(int fd, off_t off, off_t len)
{
	ASK(fd, real.posix_fallocate(fd, off, len), NUMBER);
}

SHIM_EXPORT int posix_fallocate64(int fd, off64_t off, off64_t len)
{
	ASK(fd, real.posix_fallocate64(fd, off, len), NUMBER);
}

SHIM_EXPORT int fallocate(int fd, int mode, off_t off, off_t len)
{
	ASK(fd, real.fallocate(fd, mode, off, len), MINUS_ONE);
}

SHIM_EXPORT int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	ASK(fd, real.fallocate64(fd, mode, off, len), MINUS_ONE);
}

SHIM_EXPORT ssize_t readahead(int fd, off64_t off, size_t count)
{
	ASK(fd, real.readahead(fd, off, count), MINUS_ONE);
}

SHIM_EXPORT int sync_file_range(int fd, off64_t off, off64_t len,
				unsigned int flags)
{
	ASK(fd, real.sync_file_range(fd, off, len, flags), MINUS_ONE);
}

SHIM_EXPORT ssize_t getdents64(int fd, void *buf, size_t len)
{
	ASK(fd, real.getdents64(fd, buf, len), MINUS_ONE);
}

SHIM_EXPORT DIR *fdopendir(int fd)
{
	ASK(fd, real.fdopendir(fd), NOTHING);
}

/* --- other kinds of descriptors --------------------------------------- */

SHIM_EXPORT int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	ASK(fd, real.inotify_add_watch(fd, path, mask), MINUS_ONE);
}

SHIM_EXPORT int inotify_rm_watch(int fd, int wd)
{
	ASK(fd, real.inotify_rm_watch(fd, wd), MINUS_ONE);
}

SHIM_EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *to,
				struct itimerspec *old)
{
	ASK(fd, real.timerfd_settime(fd, flags, to, old), MINUS_ONE);
}

SHIM_EXPORT int timerfd_gettime(int fd, struct itimerspec *now)
{
	ASK(fd, real.timerfd_gettime(fd, now), MINUS_ONE);
}

/* A socket takes and gives eight bytes, as it would any. */
SHIM_EXPORT int eventfd_read(int fd, eventfd_t *value)
{
	if (likely(!fd_object(fd)))
		return real.eventfd_read(fd, value);
	return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

SHIM_EXPORT int eventfd_write(int fd, eventfd_t value)
{
	if (likely(!fd_object(fd)))
		return real.eventfd_write(fd, value);
	return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}

/* --- two numbers ------------------------------------------------------ */

SHIM_EXPORT ssize_t tee(int from, int to, size_t len, unsigned int flags)
{
	entry_make_real(to);
	ASK(from, real.tee(from, to, len, flags), MINUS_ONE);
}

SHIM_EXPORT ssize_t copy_file_range(int from, off64_t *from_off, int to,
				    off64_t *to_off, size_t len,
				    unsigned int flags)
{
	entry_make_real(to);
	ASK(from, real.copy_file_range(from, from_off, to, to_off, len, flags),
	    MINUS_ONE);
}

/* Of this process it is a copy as any. */
SHIM_EXPORT int pidfd_getfd(int pidfd, int fd, unsigned int flags)
{
	if (unlikely(fd_lookup(fd, OBJ_SOCK)) && !flags &&
	    fdinfo_is_self(pidfd))
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return (int)shim_return(sys_call3(SYS_pidfd_getfd, pidfd, fd, flags));
}

/* --- a path may be empty: the number itself is meant ------------------ */

SHIM_EXPORT int faccessat(int fd, const char *path, int mode, int flags)
{
	ASK(fd, real.faccessat(fd, path, mode, flags), MINUS_ONE);
}

SHIM_EXPORT int fchownat(int fd, const char *path, uid_t user, gid_t group,
			 int flags)
{
	ASK(fd, real.fchownat(fd, path, user, group, flags), MINUS_ONE);
}

SHIM_EXPORT int utimensat(int fd, const char *path,
			  const struct timespec times[2], int flags)
{
	ASK(fd, real.utimensat(fd, path, times, flags), MINUS_ONE);
}

SHIM_EXPORT ssize_t readlinkat(int fd, const char *path, char *buf, size_t len)
{
	ASK(fd, real.readlinkat(fd, path, buf, len), MINUS_ONE);
}

SHIM_EXPORT int name_to_handle_at(int fd, const char *path,
				  struct file_handle *handle, int *mount,
				  int flags)
{
	ASK(fd, real.name_to_handle_at(fd, path, handle, mount, flags),
	    MINUS_ONE);
}
