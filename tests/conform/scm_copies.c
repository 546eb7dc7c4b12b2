/* SPDX-License-Identifier: MIT */
/*
 * Description: a process passes a connection to itself: two numbers of one.
 */
#include "../lib/net.h"

#include <string.h>
#include <unistd.h>

/* The number under which it comes back. */
static int pass(int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { .buf = { 0 } };
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.buf, .msg_controllen = sizeof(u.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	net_timeouts(ends[1]);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(ends[0], &msg, 0), 1);
	CHECK_EQ(recvmsg(ends[1], &msg, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	return fd;
}

/* Accepted, and in no set. */
static void accept_only(struct fix *f)
{
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
}

static void both_read(struct fix *f, int other)
{
	char buf[8];

	peer_write(f->peer, "abcdef", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(other, buf, 3, 0), 3);
	CHECK_MEM(buf, "abc", 3);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_MEM(buf, "def", 3);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* The entry of a number that is closed stays while the other is open. */
static void entry_stays(struct fix *f, int other)
{
	char byte;

	MUST(close(f->fd));
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(other, &byte, 1, 0), 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	MUST(close(other));
	f->fd = -1;
	peer_eof(f->peer);
}

static void t_before_set(struct fix *f)
{
	int other;

	accept_only(f);
	other = pass(f->fd);
	set_add(f->ep, f->fd, EPOLLIN);
	both_read(f, other);
	entry_stays(f, other);
}

static void t_received_in_set(struct fix *f)
{
	int other;

	accept_only(f);
	other = f->fd;
	f->fd = pass(other);
	set_add(f->ep, f->fd, EPOLLIN);
	both_read(f, other);
	entry_stays(f, other);
}

static void t_after_set(struct fix *f)
{
	int other;

	accept_only(f);
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	other = pass(f->fd);
	both_read(f, other);
	entry_stays(f, other);
}

static const struct net_case cases[] = {
	{ "passed before a set knows it", t_before_set, BOTH | NOCONN },
	{ "what came is put into a set", t_received_in_set, BOTH | NOCONN },
	{ "passed when a set has it", t_after_set, BOTH | NOCONN },
};

NET_MAIN(cases)
