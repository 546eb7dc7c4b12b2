/* SPDX-License-Identifier: MIT */
/*
 * Description: a reset is told once; what came before it can still be read.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <unistd.h>

static void reset(struct fix *f)
{
	net_reset(f->peer);
	f->peer = -1;
}

static int so_error(int fd)
{
	int err = -1;
	socklen_t len = sizeof(err);

	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

static ssize_t send_byte(int fd)
{
	return send(fd, "x", 1, MSG_NOSIGNAL);
}

static void t_so_error(struct fix *f)
{
	char byte;

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	reset(f);
	UNTIL(so_error(f->fd) == ECONNRESET);
	CHECK_EQ(so_error(f->fd), 0);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS),
		 EPOLLIN | EPOLLRDHUP | EPOLLHUP);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	CHECK_ERRNO(send_byte(f->fd), EPIPE);
}

/* Sending is over; but that the peer has reset is what it says first. */
static void t_send_shut(struct fix *f)
{
	char byte;

	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_ERRNO(send_byte(f->fd), EPIPE);
	peer_eof(f->peer);
	reset(f);
	CHECK_ERRNO(send_byte(f->fd), ECONNRESET);
	CHECK_ERRNO(send_byte(f->fd), EPIPE);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

/* Much goes past the queue: the reset is met by the call itself. */
static void t_send_unread(struct fix *f)
{
	static char much[65536];
	char buf[16];

	peer_write(f->peer, "unread", 6);
	reset(f);
	CHECK_ERRNO(send(f->fd, much, sizeof(much), MSG_NOSIGNAL), ECONNRESET);
	CHECK_ERRNO(send(f->fd, much, sizeof(much), MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 6);
	CHECK_MEM(buf, "unread", 6);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLHUP);
}

/* A wait has seen it, then the socket waits in calls, and does no more. */
static void t_send_after_blocking(struct fix *f)
{
	reset(f);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS),
		 EPOLLIN | EPOLLERR | EPOLLHUP);
	net_nonblock(f->fd, false);
	net_nonblock(f->fd, true);
	CHECK_ERRNO(send_byte(f->fd), ECONNRESET);
	CHECK_ERRNO(send_byte(f->fd), EPIPE);
}

static void t_splice(struct fix *f)
{
	int ends[2];

	MUST(pipe2(ends, O_NONBLOCK));
	reset(f);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS),
		 EPOLLIN | EPOLLERR | EPOLLHUP);
	CHECK_ERRNO(splice(f->fd, NULL, ends[1], NULL, 10, SPLICE_F_NONBLOCK),
		    ECONNRESET);
	CHECK_EQ(splice(f->fd, NULL, ends[1], NULL, 10, SPLICE_F_NONBLOCK), 0);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static const struct net_case cases[] = {
	{ "SO_ERROR takes it", t_so_error, BOTH },
	{ "send() takes it, sending shut before", t_send_shut, BOTH },
	{ "send() takes it, with bytes unread", t_send_unread, BOTH },
	{ "send() of a socket that was blocking", t_send_after_blocking, BOTH },
	{ "splice() takes it", t_splice, BOTH },
};

NET_MAIN(cases)
