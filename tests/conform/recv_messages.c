/* SPDX-License-Identifier: MIT */
/*
 * Description: what comes beside data: time stamps, TCP_INQ, zero-copy ends.
 */
#include "../lib/net.h"

#include <linux/errqueue.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef TCP_CM_INQ
#define TCP_CM_INQ TCP_INQ
#endif

static void set(int fd, int level, int name, int value)
{
	MUST(setsockopt(fd, level, name, &value, sizeof(value)));
}

/* The first control message of a recvmsg(), or NULL. */
static struct cmsghdr *receive(int fd, int flags, char *buf, size_t size,
			       ssize_t *n)
{
	static char control[512];
	static struct iovec iov;
	static struct msghdr msg;

	iov = (struct iovec){ buf, size };
	msg = (struct msghdr){
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	memset(control, 0, sizeof(control));
	*n = recvmsg(fd, &msg, flags);
	return *n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
}

static void t_inq(struct fix *f)
{
	struct cmsghdr *c;
	char buf[8];
	ssize_t n;
	int left;

	set(f->fd, IPPROTO_TCP, TCP_INQ, 1);
	peer_write(f->peer, "0123456789", 10);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	c = receive(f->fd, 0, buf, 4, &n);
	CHECK_EQ(n, 4);
	CHECK(c && c->cmsg_level == SOL_TCP && c->cmsg_type == TCP_CM_INQ);
	memcpy(&left, CMSG_DATA(c), sizeof(left));
	CHECK_EQ(left, 6);
	c = receive(f->fd, 0, buf, 8, &n);
	CHECK_EQ(n, 6);
	CHECK(c != NULL);
	memcpy(&left, CMSG_DATA(c), sizeof(left));
	CHECK_EQ(left, 0);
}

/* The kernel begins to take the time a little after it was asked to. */
static bool stamped(struct fix *f, int fd, int peer)
{
	struct cmsghdr *c;
	char buf[8];
	ssize_t n;

	peer_write(peer, "x", 1);
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	c = receive(fd, 0, buf, 8, &n);
	CHECK_EQ(n, 1);
	return c && c->cmsg_level == SOL_SOCKET &&
	       c->cmsg_type == SO_TIMESTAMP;
}

static void t_timestamp(struct fix *f)
{
	set(f->fd, SOL_SOCKET, SO_TIMESTAMP, 1);
	UNTIL(stamped(f, f->fd, f->peer));
}

static void t_timestamp_inherited(struct fix *f)
{
	set(f->lfd, SOL_SOCKET, SO_TIMESTAMP, 1);
	for (int i = 0; i < 4; i++) {
		int peer, fd = server_accept(f, &peer, EPOLLIN);

		UNTIL(stamped(f, fd, peer));
		MUST(close(fd));
		MUST(close(peer));
	}
}

/* Without the option the flag means nothing; with it the end is told. */
static void t_zerocopy(struct fix *f)
{
	struct sock_extended_err *e;
	struct cmsghdr *c;
	char buf[8], data[] = "zero";
	ssize_t n;

	CHECK_EQ(send(f->fd, data, 4, MSG_ZEROCOPY), 4);
	peer_expect(f->peer, "zero");
	set(f->fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	CHECK_EQ(send(f->fd, data, 4, MSG_ZEROCOPY), 4);
	peer_expect(f->peer, "zero");
	CHECK(set_wait(f->ep, f->fd, EPOLLERR) & EPOLLERR);
	c = receive(f->fd, MSG_ERRQUEUE, buf, 8, &n);
	CHECK_EQ(n, 0);
	CHECK(c && c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR);
	e = (struct sock_extended_err *)CMSG_DATA(c);
	CHECK_EQ(e->ee_origin, SO_EE_ORIGIN_ZEROCOPY);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* Set on a plain socket, before it comes into a set. */
static void t_set_before(struct fix *f)
{
	struct cmsghdr *c;
	char buf[8];
	ssize_t n;

	net_nonblock(f->peer, true);
	set(f->peer, IPPROTO_TCP, TCP_INQ, 1);
	set_add(f->ep, f->peer, EPOLLIN);
	CHECK_EQ(send(f->fd, "0123456789", 10, 0), 10);
	CHECK_EV(set_next(f->ep, f->peer, WAIT_MS), EPOLLIN);
	c = receive(f->peer, 0, buf, 4, &n);
	CHECK_EQ(n, 4);
	CHECK(c && c->cmsg_type == TCP_CM_INQ);
}

static void t_none(struct fix *f)
{
	struct cmsghdr *c;
	char buf[8];
	ssize_t n;

	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	c = receive(f->fd, 0, buf, 8, &n);
	CHECK_EQ(n, 1);
	CHECK(c == NULL);
}

static const struct net_case cases[] = {
	{ "TCP_INQ", t_inq, BOTH },
	{ "SO_TIMESTAMP", t_timestamp, BOTH },
	{ "the listener's SO_TIMESTAMP", t_timestamp_inherited,
	  BOTH | NOCONN },
	{ "MSG_ZEROCOPY", t_zerocopy, BOTH },
	{ "TCP_INQ, set before the socket is in a set", t_set_before, BOTH },
	{ "nothing unasked", t_none, BOTH },
};

NET_MAIN(cases)
