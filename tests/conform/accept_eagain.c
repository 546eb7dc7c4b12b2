/* SPDX-License-Identifier: MIT */
/*
 * Description: accept until EAGAIN: all connections, in order, nothing lost.
 */
#include "../lib/net.h"

#include <string.h>
#include <unistd.h>

#define CLIENTS 20

static int take(struct fix *f)
{
	return accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK);
}

static unsigned short port_of(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	MUST(getsockname(fd, (struct sockaddr *)&sa, &len));
	return ntohs(sa.sin_port);
}

static void t_in_order(struct fix *f)
{
	int peers[CLIENTS], fds[CLIENTS];
	struct sockaddr_in sa;
	socklen_t len;
	char byte;

	for (int i = 0; i < CLIENTS; i++)
		peers[i] = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	for (int i = 0; i < CLIENTS; i++) {
		len = sizeof(sa);
		fds[i] = MUST(accept4(f->lfd, (struct sockaddr *)&sa, &len,
				      SOCK_NONBLOCK));
		CHECK_EQ(ntohs(sa.sin_port), port_of(peers[i]));
		set_add(f->ep, fds[i], EPOLLIN);
	}
	CHECK_ERRNO(take(f), EAGAIN);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	for (int i = 0; i < CLIENTS; i++) {
		byte = 'a' + i;
		peer_write(peers[i], &byte, 1);
	}
	for (int i = CLIENTS - 1; i >= 0; i--) {
		server_read(f->ep, fds[i], &byte, 1);
		CHECK_EQ(byte, 'a' + i);
		MUST(close(fds[i]));
		peer_eof(peers[i]);
		MUST(close(peers[i]));
	}
}

/* A client that has connected is there for the very next accept(). */
static void t_no_wait(struct fix *f)
{
	CHECK_ERRNO(take(f), EAGAIN);
	for (int i = 0; i < 5; i++) {
		int peer = net_client(&f->addr), fd = MUST(take(f));

		CHECK_ERRNO(take(f), EAGAIN);
		MUST(close(fd));
		peer_eof(peer);
		MUST(close(peer));
	}
}

static void t_level(struct fix *f)
{
	int peers[3], fd;

	for (int i = 0; i < 3; i++)
		peers[i] = net_client(&f->addr);
	for (int i = 0; i < 3; i++) {
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
		fd = MUST(take(f));
		MUST(close(fd));
	}
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	for (int i = 0; i < 3; i++)
		MUST(close(peers[i]));
}

static void t_data_before(struct fix *f)
{
	char buf[16];

	f->peer = net_client(&f->addr);
	peer_write(f->peer, "early", 5);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(take(f));
	/* Read before it is in any set. */
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 5);
	CHECK_MEM(buf, "early", 5);
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
	CHECK_EQ(send(f->fd, "reply", 5, 0), 5);
	peer_expect(f->peer, "reply");
	set_add(f->ep, f->fd, EPOLLIN);
	peer_write(f->peer, "late", 4);
	server_read(f->ep, f->fd, buf, 4);
	CHECK_MEM(buf, "late", 4);
}

static void t_gone_before(struct fix *f)
{
	char buf[16];
	int peer = net_client(&f->addr);

	peer_write(peer, "bye", 3);
	MUST(close(peer));
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(take(f));
	set_add(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	CHECK_EV(set_wait(f->ep, f->fd, EPOLLRDHUP), EPOLLIN | EPOLLRDHUP);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 0);
}

/* Linux hands out a connection that was reset in the queue. */
static void t_reset_before(struct fix *f)
{
	char byte;

	net_reset(net_client(&f->addr));
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(take(f));
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS),
		 EPOLLIN | EPOLLERR | EPOLLHUP);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ECONNRESET);
	CHECK_ERRNO(take(f), EAGAIN);
}

static const struct net_case cases[] = {
	{ "20 waiting: all, in the order of connect()", t_in_order,
	  BOTH | NOCONN },
	{ "accept() right after connect(), no wait", t_no_wait,
	  BOTH | NOCONN },
	{ "the listener stays ready until the last", t_level,
	  BOTH | NOCONN },
	{ "data sent before accept()", t_data_before, BOTH | NOCONN },
	{ "a peer that closed before accept()", t_gone_before,
	  BOTH | NOCONN },
	{ "a peer that reset before accept()", t_reset_before,
	  BOTH | NOCONN },
};

NET_MAIN(cases)
