/* SPDX-License-Identifier: MIT */
/*
 * Description: calls for terminals, files and other kinds of descriptors, each
 * as the first that a connection sees.
 */
#include "../lib/net.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

/* statfs(2), include/uapi/linux/magic.h */
#define SOCKFS 0x534f434b

/* A connection that nothing was asked of. */
static int fresh(struct fix *f)
{
	MUST(close(f->fd));
	MUST(close(f->peer));
	f->fd = server_accept(f, &f->peer, EPOLLIN);
	return f->fd;
}

/* It still works. */
static void works(struct fix *f)
{
	char byte;

	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
}

#define REFUSES(call, error)               \
	do {                               \
		fresh(f);                  \
		CHECK_ERRNO(call, error);  \
		works(f);                  \
	} while (0)
#define TAKES(call)                        \
	do {                               \
		fresh(f);                  \
		MUST(call);                \
		works(f);                  \
	} while (0)

static void t_terminal(struct fix *f)
{
	struct termios t = { 0 };

	fresh(f);
	errno = 0;
	CHECK_EQ(isatty(f->fd), 0);
	CHECK_EQ(errno, ENOTTY);
	REFUSES(tcgetattr(f->fd, &t), ENOTTY);
	REFUSES(tcsetattr(f->fd, TCSANOW, &t), ENOTTY);
	REFUSES(tcdrain(f->fd), ENOTTY);
	REFUSES(tcflow(f->fd, TCOON), ENOTTY);
	REFUSES(tcflush(f->fd, TCIFLUSH), ENOTTY);
	REFUSES(tcsendbreak(f->fd, 0), ENOTTY);
	REFUSES((int)tcgetpgrp(f->fd), ENOTTY);
	REFUSES(tcsetpgrp(f->fd, 1), ENOTTY);
	REFUSES((int)tcgetsid(f->fd), ENOTTY);
	REFUSES(grantpt(f->fd), EINVAL);
	REFUSES(unlockpt(f->fd), EINVAL);
}

static void t_terminal_name(struct fix *f)
{
	char name[64];

	fresh(f);
	errno = 0;
	CHECK(!ttyname(f->fd));
	CHECK_EQ(errno, ENOTTY);
	fresh(f);
	errno = 0;
	CHECK(!ptsname(f->fd));
	CHECK_EQ(errno, ENOTTY);
	fresh(f);
	CHECK_EQ(ttyname_r(f->fd, name, sizeof(name)), ENOTTY);
	fresh(f);
	CHECK_EQ(ptsname_r(f->fd, name, sizeof(name)), ENOTTY);
	works(f);
}

static void t_inode(struct fix *f)
{
	const struct timeval times[2] = { { 0 } };
	struct statvfs vfs;
	struct statfs fs;
	struct stat st;

	TAKES(fchmod(f->fd, 0600));
	MUST(fstat(f->fd, &st));
	CHECK_EQ(st.st_mode, S_IFSOCK | 0600);
	TAKES(fchown(f->fd, getuid(), getgid()));
	TAKES(futimens(f->fd, NULL));
	TAKES(futimes(f->fd, times));
	TAKES(fstatfs(f->fd, &fs));
	CHECK_EQ(fs.f_type, SOCKFS);
	TAKES(fstatvfs(f->fd, &vfs));
	REFUSES(fchdir(f->fd), ENOTDIR);
	fresh(f);
	CHECK_EQ(fpathconf(f->fd, _PC_NAME_MAX), 255);
}

/* The kernel's sockets have had attributes of the user in newer
 * kernels (seen in 7.3, not in 6.18). */
static bool user_attributes(void)
{
	int ends[2], ret;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	ret = fsetxattr(ends[0], "user.a", "b", 1, 0);
	CHECK(!ret || errno == EPERM);
	close(ends[0]);
	close(ends[1]);
	return !ret;
}

static void t_attributes(struct fix *f)
{
	char value[64] = "";

	TAKES(fgetxattr(f->fd, "system.sockprotoname", value, sizeof(value)));
	CHECK(!strcmp(value, "TCP"));
	TAKES(flistxattr(f->fd, value, sizeof(value)));
	if (!user_attributes()) {
		REFUSES(fsetxattr(f->fd, "user.a", "b", 1, 0), EPERM);
		REFUSES(fremovexattr(f->fd, "user.a"), EPERM);
		return;
	}
	TAKES(fsetxattr(f->fd, "user.a", "b", 1, 0));
	CHECK_EQ(fgetxattr(f->fd, "user.a", value, sizeof(value)), 1);
	CHECK_MEM(value, "b", 1);
	MUST(fremovexattr(f->fd, "user.a"));
	works(f);
	REFUSES((int)fremovexattr(f->fd, "user.a"), ENODATA);
	REFUSES((int)fgetxattr(f->fd, "user.a", value, 1), ENODATA);
}

static void t_file(struct fix *f)
{
	char buf[256];

	TAKES(syncfs(f->fd));
	REFUSES(fsync(f->fd), EINVAL);
	REFUSES(ftruncate(f->fd, 0), EINVAL);
	fresh(f);
	CHECK_EQ(posix_fadvise(f->fd, 0, 0, POSIX_FADV_NORMAL), 0);
	fresh(f);
	CHECK_EQ(posix_fallocate(f->fd, 0, 10), ENODEV);
	REFUSES(fallocate(f->fd, 0, 0, 10), ENODEV);
	REFUSES((int)readahead(f->fd, 0, 10), EINVAL);
	REFUSES(sync_file_range(f->fd, 0, 0, 0), ESPIPE);
	REFUSES((int)getdents64(f->fd, buf, sizeof(buf)), ENOTDIR);
	fresh(f);
	errno = 0;
	CHECK(!fdopendir(f->fd));
	CHECK_EQ(errno, ENOTDIR);
	REFUSES(openat(f->fd, "x", O_RDONLY), ENOTDIR);
	TAKES(faccessat(f->fd, "", R_OK, AT_EMPTY_PATH));
	TAKES(fchownat(f->fd, "", getuid(), getgid(), AT_EMPTY_PATH));
	TAKES(utimensat(f->fd, "", NULL, AT_EMPTY_PATH));
	REFUSES((int)readlinkat(f->fd, "", buf, sizeof(buf)), ENOENT);
	TAKES(flock(f->fd, LOCK_EX | LOCK_NB));
	TAKES(lockf(f->fd, F_TEST, 1));
}

static void t_other_kinds(struct fix *f)
{
	struct itimerspec spec = { { 0 }, { 0 } };
	eventfd_t value;
	char buf[8];
	int ends[2];

	REFUSES(inotify_add_watch(f->fd, "/", IN_CREATE), EINVAL);
	REFUSES(inotify_rm_watch(f->fd, 1), EINVAL);
	REFUSES(timerfd_settime(f->fd, 0, &spec, NULL), EINVAL);
	REFUSES(timerfd_gettime(f->fd, &spec), EINVAL);
	MUST(pipe2(ends, O_NONBLOCK));
	REFUSES((int)tee(f->fd, ends[1], 4, 0), EINVAL);
	REFUSES((int)tee(ends[0], f->fd, 4, 0), EINVAL);
	REFUSES((int)copy_file_range(f->fd, NULL, ends[1], NULL, 4, 0), EINVAL);
	REFUSES((int)copy_file_range(ends[0], NULL, f->fd, NULL, 4, 0), EINVAL);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	/* Eight bytes are what they are. */
	fresh(f);
	MUST(eventfd_write(f->fd, 0x3131313131313131));
	server_write(f->ep, f->fd, ".", 1);
	peer_expect(f->peer, "11111111.");
	fresh(f);
	peer_write(f->peer, "12345678abc", 11);
	set_wait(f->ep, f->fd, EPOLLIN);
	MUST(eventfd_read(f->fd, &value));
	CHECK_MEM(&value, "12345678", 8);
	CHECK_ERRNO(eventfd_read(f->fd, &value), 0);
	CHECK_ERRNO((int)recv(f->fd, buf, 1, 0), EAGAIN);
}

/* Since Linux 6.5; the answer of a socket that is nobody's but the kernel's. */
static bool nowait_is_taken(void)
{
	char byte;
	struct iovec in = { &byte, 1 };
	int ends[2];
	ssize_t n;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	n = preadv2(ends[0], &in, 1, -1, RWF_NOWAIT);
	CHECK(n < 0 && (errno == EAGAIN || errno == EOPNOTSUPP));
	close(ends[0]);
	close(ends[1]);
	return errno == EAGAIN;
}

static void t_nowait(struct fix *f)
{
	char bytes[4] = "abcd", got[4];
	struct iovec iov = { bytes, 4 }, in = { got, 4 };

	if (!nowait_is_taken()) {
		REFUSES((int)preadv2(f->fd, &in, 1, -1, RWF_NOWAIT),
			EOPNOTSUPP);
		REFUSES((int)pwritev2(f->fd, &iov, 1, -1, RWF_NOWAIT),
			EOPNOTSUPP);
		return;
	}
	REFUSES((int)preadv2(f->fd, &in, 1, -1, RWF_NOWAIT), EAGAIN);
	fresh(f);
	CHECK_EQ(pwritev2(f->fd, &iov, 1, -1, RWF_NOWAIT), 4);
	peer_expect(f->peer, "abcd");
	peer_write(f->peer, "efgh", 4);
	set_wait(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(preadv2(f->fd, &in, 1, -1, RWF_NOWAIT), 4);
	CHECK_MEM(got, "efgh", 4);
}

static void t_position(struct fix *f)
{
	char bytes[4] = "abcd", got[4];
	struct iovec iov = { bytes, 4 }, in = { got, 4 };

	REFUSES((int)pread(f->fd, got, 4, 0), ESPIPE);
	REFUSES((int)pread(f->fd, got, 4, -1), EINVAL);
	REFUSES((int)pwrite(f->fd, bytes, 4, -7), EINVAL);
	REFUSES((int)preadv(f->fd, &in, 1, -1), EINVAL);
	REFUSES((int)pwritev(f->fd, &iov, 1, 3), ESPIPE);
	REFUSES((int)preadv2(f->fd, &in, 1, -2, RWF_NOWAIT), EINVAL);
	REFUSES((int)preadv2(f->fd, &in, 1, 0, RWF_NOWAIT), ESPIPE);
	REFUSES((int)preadv2(f->fd, &in, 1, -1, 1 << 30), EOPNOTSUPP);
	REFUSES((int)pwritev2(f->fd, &iov, 1, -1, 1 << 30), EOPNOTSUPP);
	fresh(f);
	CHECK_EQ(pwritev2(f->fd, &iov, 1, -1, RWF_SYNC), 4);
	server_write(f->ep, f->fd, ".", 1);
	peer_expect(f->peer, "abcd.");
	peer_write(f->peer, "efgh", 4);
	set_wait(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(preadv2(f->fd, &in, 1, -1, RWF_SYNC), 4);
	CHECK_MEM(got, "efgh", 4);
}

/* A copy by way of the process: another number of the same connection. */
static void t_copied(struct fix *f)
{
	int pidfd = MUST((int)syscall(SYS_pidfd_open, getpid(), 0)), copy;
	char byte, rest[8];

	fresh(f);
	peer_write(f->peer, "first", 5);
	set_wait(f->ep, f->fd, EPOLLIN);
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, f->fd, 0);
	if (copy < 0 && (errno == EPERM || errno == ENOSYS))
		tap_skip("pidfd_getfd() is not allowed");
	MUST(copy);
	CHECK_EQ(recv(copy, &byte, 1, MSG_DONTWAIT), 1);
	CHECK_EQ(byte, 'f');
	CHECK_EQ(recv(f->fd, &byte, 1, MSG_DONTWAIT), 1);
	CHECK_EQ(byte, 'i');
	CHECK_EQ(recv(copy, rest, sizeof(rest), MSG_DONTWAIT), 3);
	CHECK_MEM(rest, "rst", 3);
	CHECK_EQ(send(copy, "ab", 2, 0), 2);
	server_write(f->ep, f->fd, "c", 1);
	peer_expect(f->peer, "abc");
	MUST(close(f->fd));
	CHECK_EQ(send(copy, "d", 1, 0), 1);
	peer_expect(f->peer, "d");
	MUST(close(copy));
	peer_eof(f->peer);
	MUST(close(pidfd));
	f->fd = -1;
}

static const struct net_case cases[] = {
	{ "terminals", t_terminal, BOTH },
	{ "their names", t_terminal_name, BOTH },
	{ "the inode", t_inode, BOTH },
	{ "its attributes", t_attributes, BOTH },
	{ "files and directories", t_file, BOTH },
	{ "other kinds of descriptors", t_other_kinds, BOTH },
	{ "at a position", t_position, BOTH },
	{ "without waiting", t_nowait, BOTH },
	{ "copied by pidfd_getfd()", t_copied, BOTH },
};

NET_MAIN(cases)
