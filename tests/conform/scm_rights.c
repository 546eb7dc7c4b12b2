/* SPDX-License-Identifier: MIT */
/*
 * Description: a live connection sent over a unix socket (SCM_RIGHTS).
 */
#include "../lib/net.h"

#include <string.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(2 * sizeof(int))];
};

static void send_fds(int channel, const int *fds, int count)
{
	char byte = 'f';
	struct iovec iov = { &byte, 1 };
	union control control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	CHECK_EQ(sendmsg(channel, &msg, 0), 1);
}

static void recv_fds(int channel, int *fds, int count)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c;

	CHECK_EQ(recvmsg(channel, &msg, 0), 1);
	CHECK_EQ(byte, 'f');
	c = CMSG_FIRSTHDR(&msg);
	CHECK(c != NULL);
	CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
	CHECK_EQ(c->cmsg_len, CMSG_LEN(count * sizeof(int)));
	memcpy(fds, CMSG_DATA(c), count * sizeof(int));
}

static void open_channel(int *ends)
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	net_timeouts(ends[0]);
	net_timeouts(ends[1]);
}

static void t_same_process(struct fix *f)
{
	int ends[2], copy;
	char byte;

	open_channel(ends);
	CHECK_EQ(send(f->fd, "a", 1, 0), 1);
	send_fds(ends[0], &f->fd, 1);
	recv_fds(ends[1], &copy, 1);
	CHECK(copy != f->fd);
	CHECK_EQ(send(copy, "b", 1, 0), 1);
	peer_expect(f->peer, "ab");
	MUST(close(f->fd));
	f->fd = copy;
	peer_write(f->peer, "x", 1);
	UNTIL(recv(copy, &byte, 1, 0) == 1);
	CHECK_EQ(byte, 'x');
	MUST(close(copy));
	f->fd = -1;
	peer_eof(f->peer);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* The receiver was there before the connection, and has no copy. */
static void receiver(int channel)
{
	int fd, ep = MUST(epoll_create1(0));
	char buf[8];

	recv_fds(channel, &fd, 1);
	set_add(ep, fd, EPOLLIN);
	server_read(ep, fd, buf, 4);
	CHECK_MEM(buf, "ping", 4);
	server_write(ep, fd, "pong", 4);
	CHECK_EQ(server_drain_eof(ep, fd), 0);
	_exit(0);
}

static void other_process(struct fix *f, bool warm, bool unread)
{
	int ends[2];
	pid_t pid;

	open_channel(ends);
	pid = MUST(fork());
	if (!pid) {
		MUST(close(ends[0]));
		receiver(ends[1]);
	}
	MUST(close(ends[1]));
	server_open(f);
	if (warm)
		server_warm(f);
	f->fd = server_accept(f, &f->peer, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(send(f->fd, "hello;", 6, 0), 6);
	if (unread) {
		peer_write(f->peer, "ping", 4);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	}
	send_fds(ends[0], &f->fd, 1);
	MUST(close(f->fd));
	f->fd = -1;
	if (!unread)
		peer_write(f->peer, "ping", 4);
	peer_expect(f->peer, "hello;pong");
	MUST(shutdown(f->peer, SHUT_WR));
	peer_eof(f->peer);
	child_ok(pid);
	MUST(close(ends[0]));
}

static void t_other_cold(struct fix *f)
{
	other_process(f, false, false);
}

static void t_other_warm(struct fix *f)
{
	other_process(f, true, false);
}

static void t_unread(struct fix *f)
{
	if (tap_preloaded())
		tap_skip("LIMIT: bytes read ahead cannot be passed on");
	other_process(f, true, true);
}

static void t_two_and_listener(struct fix *f)
{
	int ends[2], fds[2] = { f->fd, f->lfd }, got[2], peer, fd;

	open_channel(ends);
	send_fds(ends[0], fds, 2);
	recv_fds(ends[1], got, 2);
	CHECK_EQ(send(got[0], "x", 1, 0), 1);
	peer_expect(f->peer, "x");
	peer = net_client(&f->addr);
	fd = MUST(accept4(got[1], NULL, NULL, SOCK_NONBLOCK));
	CHECK_EQ(send(fd, "y", 1, 0), 1);
	peer_expect(peer, "y");
	MUST(close(fd));
	MUST(close(peer));
	MUST(close(got[0]));
	MUST(close(got[1]));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* A message without rights, and plain data, pass untouched. */
static void t_plain(struct fix *f)
{
	int ends[2];
	char buf[8];

	open_channel(ends);
	CHECK_EQ(send(ends[0], "abc", 3, 0), 3);
	CHECK_EQ(recv(ends[1], buf, 8, 0), 3);
	send_fds(ends[0], (int[]){ ends[0] }, 1);
	recv_fds(ends[1], &f->fd, 1);
	CHECK_EQ(send(f->fd, "d", 1, 0), 1);
	CHECK_EQ(recv(ends[1], buf, 8, 0), 1);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static const struct net_case cases[] = {
	{ "within one process", t_same_process, BOTH },
	{ "to another process (cold)", t_other_cold, BARE },
	{ "to another process (warm)", t_other_warm, BARE },
	{ "with bytes unread", t_unread, BARE },
	{ "a connection and its listener at once", t_two_and_listener,
	  BOTH },
	{ "messages of other programs' kinds", t_plain, BARE },
};

NET_MAIN(cases)
