/* SPDX-License-Identifier: MIT */
/*
 * Description: a process ends with bytes unread: the peer sees a reset.
 */
#include "../lib/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum end { EXIT, USCORE_EXIT, QUICK_EXIT, RAW_EXIT, READ_ALL };

/* A server in a child: one connection, bytes it has been told of. */
static void child(struct fix *f, enum end end)
{
	char buf[64];
	int fd;

	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->lfd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f->ep, fd, EPOLLIN);
	server_read(f->ep, fd, buf, 4);
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(send(fd, "reply", 5, 0), 5);
	if (end == READ_ALL)
		server_read(f->ep, fd, buf, 6);
	switch (end) {
	case USCORE_EXIT: _exit(0);
	case QUICK_EXIT: quick_exit(0);
	case RAW_EXIT: syscall(SYS_exit_group, 0); break;
	default: exit(0);
	}
}

static void run(struct fix *f, enum end end)
{
	char buf[8];
	int n = -1;
	pid_t pid;

	f->lfd = net_listen(&f->addr, 16);
	fflush(stdout);
	f->peer = net_client(&f->addr);
	peer_write(f->peer, "readunread", 10);
	pid = MUST(fork());
	if (!pid)
		child(f, end);
	MUST(close(f->lfd));
	f->lfd = -1;
	child_ok(pid);
	peer_expect(f->peer, "reply");
	n = recv(f->peer, buf, 1, 0);
	if (end == READ_ALL) {
		CHECK_EQ(n, 0);
		return;
	}
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, ECONNRESET);
}

static void t_exit(struct fix *f)
{
	run(f, EXIT);
}

static void t__exit(struct fix *f)
{
	run(f, USCORE_EXIT);
}

static void t_quick_exit(struct fix *f)
{
	run(f, QUICK_EXIT);
}

static void t_raw_exit(struct fix *f)
{
	run(f, RAW_EXIT);
}

static void t_read_all(struct fix *f)
{
	run(f, READ_ALL);
}

static const struct net_case cases[] = {
	{ "exit()", t_exit, BARE },
	{ "_exit()", t__exit, BARE },
	{ "quick_exit()", t_quick_exit, BARE },
	{ "syscall(SYS_exit_group)", t_raw_exit, BARE },
	{ "all was read: EOF", t_read_all, BARE },
};

NET_MAIN(cases)
