/* SPDX-License-Identifier: MIT */
/*
 * Description: connect() on what is connected or listens, and its errno.
 */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#define GONE (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP)

static int do_connect(int fd, const struct sockaddr_in *sa)
{
	return connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
}

static int disconnect(int fd)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	return connect(fd, &sa, sizeof(sa));
}

static int so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

static void echo(struct fix *f)
{
	char buf[4];

	peer_write(f->peer, "ping", 4);
	server_read(f->ep, f->fd, buf, 4);
	CHECK_MEM(buf, "ping", 4);
	server_write(f->ep, f->fd, "pong", 4);
	peer_expect(f->peer, "pong");
}

static void t_connected(struct fix *f)
{
	for (int i = 0; i < 3; i++) {
		CHECK_ERRNO(do_connect(f->fd, &f->addr), EISCONN);
		echo(f);
	}
}

/* The listener goes on as if nothing was asked. */
static void t_listener(struct fix *f)
{
	CHECK_ERRNO(do_connect(f->lfd, &f->addr), EISCONN);
	server_warm(f);
	CHECK_ERRNO(do_connect(f->lfd, &f->addr), EISCONN);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	server_warm(f);
}

/* The same address, short or unreadable: nothing is changed. */
static void t_errno(struct fix *f)
{
	struct sockaddr_in sa = f->addr;

	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&sa, 1), EINVAL);
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&sa, 4096), EINVAL);
	CHECK_ERRNO(connect(f->fd, NULL, sizeof(sa)), EFAULT);
	CHECK_ERRNO(connect(f->lfd, (struct sockaddr *)&sa, 1), EINVAL);
	CHECK_ERRNO(connect(f->lfd, NULL, sizeof(sa)), EFAULT);
	CHECK_ERRNO(connect(f->ep, (struct sockaddr *)&sa, sizeof(sa)),
		    ENOTSOCK);
	CHECK_ERRNO(connect(-1, (struct sockaddr *)&sa, sizeof(sa)), EBADF);
	echo(f);
	server_warm(f);
}

static void t_fresh_errno(struct fix *f)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	struct sockaddr_in sa = f->addr;

	CHECK_ERRNO(connect(fd, (struct sockaddr *)&sa, 4), EINVAL);
	sa.sin_family = AF_INET6;
	CHECK_ERRNO(do_connect(fd, &sa), EAFNOSUPPORT);
	/* To be disconnected is nothing new for it. */
	CHECK_EQ(disconnect(fd), 0);
	CHECK_ERRNO(do_connect(fd, &f->addr), EINPROGRESS);
	MUST(close(fd));
}

static void t_blocking_refused(struct fix *f)
{
	struct sockaddr_in sa = f->addr;
	socklen_t len = sizeof(sa);
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	int bound = MUST(socket(AF_INET, SOCK_STREAM, 0));

	sa.sin_port = 0;
	MUST(bind(bound, (struct sockaddr *)&sa, sizeof(sa)));
	MUST(getsockname(bound, (struct sockaddr *)&sa, &len));
	CHECK_ERRNO(do_connect(fd, &sa), ECONNREFUSED);
	CHECK_ERRNO(do_connect(fd, &sa), ECONNREFUSED);
	CHECK_EQ(so_error(fd), 0);
	MUST(close(fd));
	MUST(close(bound));
}

/* AF_UNSPEC on a live connection is a reset that both ends see. */
static void t_unspec(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char byte;

	CHECK_EQ(disconnect(f->fd), 0);
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
	CHECK_EQ(so_error(f->fd), ECONNRESET);
	CHECK_EQ(so_error(f->fd), 0);
	CHECK_ERRNO(getpeername(f->fd, (struct sockaddr *)&sa, &len),
		    ENOTCONN);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ENOTCONN);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EV(set_next(f->ep, f->fd, 0) & (EPOLLHUP | EPOLLERR),
		 EPOLLHUP);
}

/* What was sent before went out before, what was not read is gone. */
static void t_unspec_data(struct fix *f)
{
	char buf[8];

	peer_write(f->peer, "in", 2);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(send(f->fd, "out", 3, 0), 3);
	CHECK_EQ(disconnect(f->fd), 0);
	peer_expect(f->peer, "out");
	CHECK_ERRNO(recv(f->peer, buf, 1, 0), ECONNRESET);
	CHECK_EQ(so_error(f->fd), ECONNRESET);
	CHECK_ERRNO(recv(f->fd, buf, 8, 0), ENOTCONN);
}

/* The socket, still in its set, connects once more. */
static void t_unspec_again(struct fix *f)
{
	struct sockaddr_in to;
	int lfd = net_listen(&to, 16);

	net_nonblock(lfd, false);
	net_timeouts(lfd);
	CHECK_EQ(disconnect(f->fd), 0);
	CHECK_EQ(so_error(f->fd), ECONNRESET);
	MUST(close(f->peer));
	CHECK_ERRNO(do_connect(f->fd, &to), EINPROGRESS);
	f->peer = MUST(accept(lfd, NULL, NULL));
	net_timeouts(f->peer);
	set_mod(f->ep, f->fd, EPOLLIN);
	for (int i = 0; i < 3; i++)
		echo(f);
	MUST(close(lfd));
}

static void t_unspec_ready(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	CHECK_EQ(disconnect(f->fd), 0);
	/* Not shut down any more: only the error and the hang-up. */
	CHECK(set_next(f->ep, f->fd, WAIT_MS) & EPOLLERR);
	CHECK_EQ(so_error(f->fd), ECONNRESET);
	CHECK_EV(set_next(f->ep, f->fd, 0) & ~GONE, 0);
}

static const struct net_case cases[] = {
	{ "a connection: EISCONN, and it lives on", t_connected, BOTH },
	{ "a listener: EISCONN, and it listens on", t_listener,
	  BOTH | NOCONN },
	{ "errno, and it lives on", t_errno, BOTH },
	{ "errno of a fresh socket", t_fresh_errno, BOTH | NOCONN },
	{ "blocking: ECONNREFUSED", t_blocking_refused, BOTH | NOCONN },
	{ "AF_UNSPEC resets a connection", t_unspec, BOTH },
	{ "AF_UNSPEC with bytes both ways", t_unspec_data, BOTH },
	{ "AF_UNSPEC, then another connection", t_unspec_again, BOTH },
	{ "AF_UNSPEC: what epoll says", t_unspec_ready, BOTH },
};

NET_MAIN(cases)
