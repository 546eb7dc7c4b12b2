/* SPDX-License-Identifier: MIT */
/*
 * Description: the stat family says that a connection is a socket.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void t_fstat(struct fix *f)
{
	int fds[] = { f->fd, f->lfd, f->peer };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		struct stat st;
		struct stat64 st64;
		struct statx stx;

		MUST(fstat(fds[i], &st));
		CHECK(S_ISSOCK(st.st_mode));
		MUST(fstat64(fds[i], &st64));
		CHECK(S_ISSOCK(st64.st_mode));
		CHECK_EQ(st64.st_ino, st.st_ino);
		MUST(fstatat(fds[i], "", &st, AT_EMPTY_PATH));
		CHECK(S_ISSOCK(st.st_mode));
		MUST(statx(fds[i], "", AT_EMPTY_PATH, STATX_BASIC_STATS,
			   &stx));
		CHECK(S_ISSOCK(stx.stx_mode));
		CHECK_EQ(stx.stx_ino, st.st_ino);
	}
}

/* The inode tells two connections apart and stays the same. */
static void t_inode(struct fix *f)
{
	struct stat a, b, again;
	int peer, fd = server_accept(f, &peer, EPOLLIN);

	MUST(fstat(f->fd, &a));
	MUST(fstat(fd, &b));
	CHECK(a.st_ino != b.st_ino);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(fstat(f->fd, &again));
	CHECK_EQ(again.st_ino, a.st_ino);
	MUST(close(fd));
	MUST(close(peer));
}

static void t_errno(struct fix *f)
{
	struct stat st;
	int fd = f->fd;

	CHECK_ERRNO(fstat(-1, &st), EBADF);
	MUST(close(f->fd));
	f->fd = -1;
	CHECK_ERRNO(fstat(fd, &st), EBADF);
	CHECK_ERRNO(fsync(f->lfd), EINVAL);
	CHECK_ERRNO(ftruncate(f->lfd, 0), EINVAL);
}

static const struct net_case cases[] = {
	{ "fstat, fstat64, fstatat, statx", t_fstat, BOTH },
	{ "the inode", t_inode, BOTH },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
