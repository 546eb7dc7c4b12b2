/* SPDX-License-Identifier: MIT */
/*
 * Description: a reset by the peer: once, and what happens to data before it.
 */
#include "../lib/net.h"

#include <unistd.h>

static int so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

static void reset(struct fix *f)
{
	net_reset(f->peer);
	f->peer = -1;
}

static void t_once(struct fix *f)
{
	char byte;

	reset(f);
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ECONNRESET);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	CHECK_EQ(so_error(f->fd), 0);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void t_so_error(struct fix *f)
{
	char byte;

	reset(f);
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_EQ(so_error(f->fd), ECONNRESET);
	CHECK_EQ(so_error(f->fd), 0);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

/* The write takes the error first, then it is EPIPE. */
static void t_write_takes_it(struct fix *f)
{
	char byte;

	reset(f);
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), ECONNRESET);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(so_error(f->fd), 0);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

/* Linux keeps what came before the RST: the data, the error, then EOF. */
static void t_data_first(struct fix *f)
{
	char buf[16];

	peer_write(f->peer, "before", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	reset(f);
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_EQ(recv(f->fd, buf, 4, 0), 4);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 2);
	CHECK_MEM(buf, "re", 2);
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), ECONNRESET);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
}

/* A RST in answer to our bytes: the peer closed with bytes unread. */
static void t_unread_close(struct fix *f)
{
	char byte;

	server_write(f->ep, f->fd, "unread", 6);
	UNTIL(recv(f->peer, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
	MUST(close(f->peer));
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ECONNRESET);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

/*
 * A write to a peer that is gone: the FIN came first, so the socket was
 * in CLOSE_WAIT and the RST is told as EPIPE.
 */
static void t_write_after_fin(struct fix *f)
{
	char byte;

	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	CHECK_EQ(send(f->fd, "x", 1, MSG_NOSIGNAL), 1);
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_EQ(so_error(f->fd), EPIPE);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

static const struct net_case cases[] = {
	{ "ECONNRESET once, then EOF", t_once, BOTH },
	{ "SO_ERROR takes it", t_so_error, BOTH },
	{ "send() takes it, then EPIPE", t_write_takes_it, BOTH },
	{ "after the data that came before", t_data_first, BOTH },
	{ "the peer closes with bytes unread", t_unread_close, BOTH },
	{ "a write after the peer is gone", t_write_after_fin, BOTH },
};

NET_MAIN(cases)
