/* SPDX-License-Identifier: MIT */
/*
 * Description: copies made before a set knows the connection; kept one-shots.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <unistd.h>

/* Both numbers see all bytes, whichever the set watches. */
static void both_read(struct fix *f, int fd, int copy)
{
	char buf[8];

	set_add(f->ep, fd, EPOLLIN);
	for (int i = 0; i < 4; i++) {
		peer_write(f->peer, "abcd", 4);
		CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(recv(copy, buf, 2, 0), 2);
		CHECK_MEM(buf, "ab", 2);
		CHECK_EQ(recv(fd, buf, sizeof(buf), 0), 2);
		CHECK_MEM(buf, "cd", 2);
		CHECK_ERRNO(recv(copy, buf, 1, 0), EAGAIN);
		CHECK_EV(set_next(f->ep, fd, 0), 0);
	}
	MUST(close(copy));
	peer_write(f->peer, "last", 4);
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(fd, buf, sizeof(buf), 0), 4);
}

static void t_dup(struct fix *f)
{
	f->fd = server_accept(f, &f->peer, 0);
	both_read(f, f->fd, MUST(dup(f->fd)));
}

static void t_dup_of_copy(struct fix *f)
{
	int copy;

	f->fd = server_accept(f, &f->peer, 0);
	copy = MUST(fcntl(f->fd, F_DUPFD_CLOEXEC, 0));
	both_read(f, copy, f->fd);
	f->fd = copy;
}

static void t_dup2(struct fix *f)
{
	int copy = MUST(open("/dev/null", O_RDONLY));

	f->fd = server_accept(f, &f->peer, 0);
	CHECK_EQ(dup2(f->fd, copy), copy);
	both_read(f, f->fd, copy);
}

/* A set that was waited on before it had a connection for a channel: what
 * fired there stays fired. */
static void t_one_shot_stays_fired(struct fix *f)
{
	int ep = MUST(epoll_create1(0)), fd, peer, pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	set_add(ep, pair[0], EPOLLIN | EPOLLOUT | EPOLLONESHOT);
	CHECK_EV(set_next(ep, pair[0], 0), EPOLLOUT);
	CHECK_EV(set_next(ep, pair[0], 0), 0);
	fd = server_accept(f, &peer, 0);
	net_nonblock(fd, false);
	set_add(ep, fd, EPOLLOUT | EPOLLONESHOT);
	CHECK_EV(set_next(ep, fd, WAIT_MS), EPOLLOUT);
	net_nonblock(fd, true);
	f->fd = server_accept(f, &f->peer, 0);
	set_add(ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(ep, fd, 0), 0);
	CHECK_EV(set_next(ep, pair[0], 0), 0);
	set_mod(ep, fd, EPOLLOUT | EPOLLONESHOT);
	CHECK_EV(set_next(ep, fd, WAIT_MS), EPOLLOUT);
	CHECK_EV(set_next(ep, fd, 0), 0);
	MUST(close(fd));
	MUST(close(peer));
	MUST(close(pair[0]));
	MUST(close(pair[1]));
	MUST(close(ep));
}

static const struct net_case cases[] = {
	{ "dup, the original in the set", t_dup, BOTH | NOCONN },
	{ "F_DUPFD, the copy in the set", t_dup_of_copy, BOTH | NOCONN },
	{ "dup2 onto a file", t_dup2, BOTH | NOCONN },
	{ "a one-shot entry that fired stays so", t_one_shot_stays_fired,
	  BOTH | NOCONN },
};

NET_MAIN(cases)
