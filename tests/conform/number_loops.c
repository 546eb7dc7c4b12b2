/* SPDX-License-Identifier: MIT */
/*
 * Description: programs that close all numbers: loops, closefrom, close_range.
 */
#include "../lib/net.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

enum way { LOOP, CLOSEFROM, CLOSE_RANGE, PROC };

static void close_listed(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int fds[512], n = 0;

	CHECK(dir != NULL);
	while ((e = readdir(dir)) && n < 512) {
		int fd = atoi(e->d_name);

		if (fd > 2 && fd != dirfd(dir))
			fds[n++] = fd;
	}
	closedir(dir);
	while (n)
		close(fds[--n]);
}

static void close_by(enum way way)
{
	switch (way) {
	case LOOP:
		for (int fd = 3; fd < getdtablesize(); fd++)
			close(fd);
		break;
	case CLOSEFROM: closefrom(3); break;
	case CLOSE_RANGE: MUST(close_range(3, ~0u, 0)); break;
	case PROC: close_listed(); break;
	}
}

/* All is closed, and what comes after works from the first number on. */
static void serve_anew(int old)
{
	struct fix f = { 0 };
	char byte;

	CHECK_ERRNO(recv(old, &byte, 1, 0), EBADF);
	server_open(&f);
	server_warm(&f);
	server_warm(&f);
	f.fd = server_accept(&f, &f.peer, EPOLLIN);
	peer_write(f.peer, "x", 1);
	server_read(f.ep, f.fd, &byte, 1);
	server_write(f.ep, f.fd, "y", 1);
	peer_expect(f.peer, "y");
	server_close(&f);
}

/* A child does it, as before an exec or as a daemon: the parent's live on. */
static void in_child(struct fix *f, enum way way)
{
	char buf[8];
	pid_t pid;

	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	pid = MUST(fork());
	if (!pid) {
		int old = f->fd;

		close_by(way);
		serve_anew(old);
		_exit(0);
	}
	child_ok(pid);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 1);
	server_write(f->ep, f->fd, "after", 5);
	peer_expect(f->peer, "before;after");
	server_warm(f);
}

/* The process itself does it; the peer is a child's. */
static void itself(enum way way, bool warm)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		struct fix f = { 0 };
		pid_t judge;
		int old;

		server_open(&f);
		if (warm)
			server_warm(&f);
		f.fd = old = server_accept(&f, &f.peer, EPOLLIN);
		CHECK_EV(set_next(f.ep, f.fd, 0), 0);
		judge = MUST(fork());
		if (!judge) {
			MUST(close(f.fd));
			MUST(close(f.lfd));
			MUST(close(f.ep));
			peer_expect(f.peer, "last");
			peer_eof(f.peer);
			_exit(0);
		}
		CHECK_EQ(send(f.fd, "last", 4, 0), 4);
		close_by(way);
		child_ok(judge);
		serve_anew(old);
		_exit(0);
	}
	child_ok(pid);
}

#define CASES(name, way) \
	static void t_child_##name(struct fix *f) \
	{ \
		in_child(f, way); \
	} \
	static void t_self_##name(struct fix *f) \
	{ \
		(void)f; \
		itself(way, false); \
		itself(way, true); \
	}

CASES(loop, LOOP)
CASES(closefrom, CLOSEFROM)
CASES(range, CLOSE_RANGE)
CASES(proc, PROC)

/* What the kernel refuses closes nothing. */
static void t_refused(struct fix *f)
{
	unsigned int fd = (unsigned int)f->fd;

	CHECK_ERRNO(close_range(fd, fd, 1 << 6), EINVAL);
	CHECK_ERRNO(close_range(fd, fd - 1, 0), EINVAL);
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	peer_expect(f->peer, "x");
}

static const struct net_case cases[] = {
	{ "a child, by a loop", t_child_loop, BOTH },
	{ "a child, by closefrom()", t_child_closefrom, BOTH },
	{ "a child, by close_range()", t_child_range, BOTH },
	{ "a child, by /proc/self/fd", t_child_proc, BOTH },
	{ "the process itself, by a loop", t_self_loop, BARE },
	{ "the process itself, by closefrom()", t_self_closefrom, BARE },
	{ "the process itself, by close_range()", t_self_range, BARE },
	{ "the process itself, by /proc/self/fd", t_self_proc, BARE },
	{ "close_range() that is refused", t_refused, BOTH },
};

NET_MAIN(cases)
