/* SPDX-License-Identifier: MIT */
/*
 * Description: syscall(), close_range() and splice() on a live connection.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libuv closes by syscall(); some programs read and write by it. */
static void t_syscall(struct fix *f)
{
	char buf[8];

	for (int i = 0; i < 5; i++) {
		peer_write(f->peer, "ping", 4);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(syscall(SYS_read, f->fd, buf, 8), 4);
		CHECK_MEM(buf, "ping", 4);
		CHECK_EQ(send(f->fd, "a", 1, 0), 1);
		CHECK_EQ(syscall(SYS_write, f->fd, "b", 1), 1);
		CHECK_EQ(send(f->fd, "c", 1, 0), 1);
		peer_expect(f->peer, "abc");
	}
	CHECK_ERRNO(syscall(SYS_read, f->fd, buf, 8), EAGAIN);
}

/* Numbers that the library does not know as a socket's, and whose first
 * argument only looks like one, are the kernel's with all six arguments. */
static void t_syscall_rest(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = f->fd };
	int value = 0, page = 4096, mask;
	char buf[8];
	void *p;

	CHECK_EQ(syscall(SYS_getpid), getpid());
	CHECK_ERRNO(syscall(-1), ENOSYS);
	p = (void *)syscall(SYS_mmap, NULL, page, 3, 0x22, -1, 0);
	CHECK(p != (void *)-1);
	CHECK_EQ(syscall(SYS_munmap, p, page), 0);
	mask = syscall(SYS_umask, f->fd);
	CHECK_EQ(syscall(SYS_umask, mask), f->fd);
	CHECK_EQ(syscall(SYS_getpeername, f->fd, &sa, &len), 0);
	CHECK_EQ(len, sizeof(sa));
	len = sizeof(value);
	CHECK_EQ(syscall(SYS_getsockopt, f->fd, SOL_SOCKET, SO_TYPE, &value,
			 &len), 0);
	CHECK_EQ(value, SOCK_STREAM);
	CHECK_EQ(syscall(SYS_epoll_ctl, f->ep, EPOLL_CTL_MOD, f->fd, &ev), 0);
	peer_write(f->peer, "x", 1);
	CHECK_EQ(syscall(SYS_epoll_pwait, f->ep, &ev, 1, WAIT_MS, NULL, 8),
		 1);
	CHECK_EQ(syscall(SYS_recvfrom, f->fd, buf, 8, 0, NULL, NULL), 1);
	CHECK_ERRNO(syscall(SYS_recvfrom, f->fd, buf, 8, 0, NULL, NULL),
		    EAGAIN);
	CHECK_EQ(syscall(SYS_sendto, f->fd, "y", 1, MSG_NOSIGNAL, NULL, 0),
		 1);
	CHECK_EQ(syscall(SYS_shutdown, f->fd, SHUT_WR), 0);
	peer_expect(f->peer, "y");
	peer_eof(f->peer);
}

static void t_syscall_accept(struct fix *f)
{
	int peer = net_client(&f->addr), fd;

	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	fd = MUST((int)syscall(SYS_accept4, f->lfd, NULL, NULL,
			       SOCK_NONBLOCK));
	set_add(f->ep, fd, EPOLLIN);
	peer_write(peer, "x", 1);
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(syscall(SYS_close, fd), 0);
	MUST(close(peer));
	server_warm(f);
}

static void t_syscall_close(struct fix *f)
{
	char byte;

	CHECK_EQ(send(f->fd, "last", 4, 0), 4);
	CHECK_EQ(syscall(SYS_close, f->fd), 0);
	peer_expect(f->peer, "last");
	peer_eof(f->peer);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_close, f->fd), EBADF);
	f->fd = -1;
	server_warm(f);
}

static void t_close_range(struct fix *f)
{
	int peer, fd = server_accept(f, &peer, EPOLLIN), high;
	char byte;

	/* Moved up, so that nothing else is in the range. */
	high = MUST(fcntl(fd, F_DUPFD, 300));
	MUST(close(fd));
	CHECK_EQ(send(high, "last", 4, 0), 4);
	CHECK_EQ(close_range(300, ~0u, 0), 0);
	peer_expect(peer, "last");
	peer_eof(peer);
	CHECK_ERRNO(recv(high, &byte, 1, 0), EBADF);
	MUST(close(peer));
	/* The one below is not touched. */
	server_write(f->ep, f->fd, "x", 1);
	peer_expect(f->peer, "x");
}

static void t_close_range_exact(struct fix *f)
{
	char byte;

	CHECK_EQ(send(f->fd, "last", 4, 0), 4);
	CHECK_EQ(close_range(f->fd, f->fd, 0), 0);
	peer_expect(f->peer, "last");
	peer_eof(f->peer);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EBADF);
	f->fd = -1;
	server_warm(f);
}

static void t_close_range_cloexec(struct fix *f)
{
	CHECK_EQ(close_range(f->fd, f->fd, CLOSE_RANGE_CLOEXEC), 0);
	CHECK_EQ(fcntl(f->fd, F_GETFD), FD_CLOEXEC);
	server_write(f->ep, f->fd, "x", 1);
	peer_expect(f->peer, "x");
}

/* haproxy: socket to pipe to socket, bytes read ahead included. */
static void t_splice(struct fix *f)
{
	int ends[2];
	char buf[16];

	MUST(pipe2(ends, O_NONBLOCK));
	for (int i = 0; i < 3; i++) {
		peer_write(f->peer, "0123456789", 10);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(recv(f->fd, buf, 4, 0), 4);
		CHECK_EQ(splice(f->fd, NULL, ends[1], NULL, 100,
				SPLICE_F_NONBLOCK), 6);
		CHECK_EQ(send(f->fd, "head;", 5, 0), 5);
		CHECK_EQ(splice(ends[0], NULL, f->fd, NULL, 100,
				SPLICE_F_NONBLOCK), 6);
		CHECK_EQ(send(f->fd, ";tail", 5, 0), 5);
		peer_expect(f->peer, "head;456789;tail");
		CHECK_ERRNO(splice(f->fd, NULL, ends[1], NULL, 100,
				   SPLICE_F_NONBLOCK), EAGAIN);
	}
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(splice(f->fd, NULL, ends[1], NULL, 100,
			SPLICE_F_NONBLOCK), 0);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static const struct net_case cases[] = {
	{ "syscall(SYS_read) and syscall(SYS_write)", t_syscall, BOTH },
	{ "syscall() of many kinds", t_syscall_rest, BOTH },
	{ "syscall(SYS_accept4)", t_syscall_accept, BOTH | NOCONN },
	{ "syscall(SYS_close)", t_syscall_close, BOTH },
	{ "close_range() from 300 on", t_close_range, BOTH },
	{ "close_range() of exactly one", t_close_range_exact, BOTH },
	{ "CLOSE_RANGE_CLOEXEC", t_close_range_cloexec, BOTH },
	{ "splice()", t_splice, BOTH },
};

NET_MAIN(cases)
