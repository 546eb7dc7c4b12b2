/* SPDX-License-Identifier: MIT */
/*
 * Description: a listener leaves its set and returns; listen() again.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define CLIENTS 6

/* Accept and serve one of the clients, whichever is first. */
static void serve(struct fix *f, int peer)
{
	char byte;
	int fd;

	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f->ep, fd, EPOLLIN);
	peer_write(peer, "x", 1);
	server_read(f->ep, fd, &byte, 1);
	MUST(close(fd));
	peer_eof(peer);
	MUST(close(peer));
}

static void connect_all(struct fix *f, int *peers)
{
	for (int i = 0; i < CLIENTS; i++)
		peers[i] = net_client(&f->addr);
}

static void serve_all(struct fix *f, int *peers)
{
	for (int i = 0; i < CLIENTS; i++)
		serve(f, peers[i]);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
}

static void t_come_while_out(struct fix *f)
{
	int peers[CLIENTS];

	set_del(f->ep, f->lfd);
	connect_all(f, peers);
	CHECK_EV(set_next(f->ep, f->lfd, 10), 0);
	set_add(f->ep, f->lfd, EPOLLIN);
	serve_all(f, peers);
}

static void t_reported_then_out(struct fix *f)
{
	int peers[CLIENTS];

	connect_all(f, peers);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	set_del(f->ep, f->lfd);
	CHECK_EV(set_next(f->ep, f->lfd, 10), 0);
	set_add(f->ep, f->lfd, EPOLLIN);
	serve_all(f, peers);
}

/* Out of the set, accept() takes what is there all the same. */
static void t_accept_while_out(struct fix *f)
{
	int peers[CLIENTS], fd;

	connect_all(f, peers);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	set_del(f->ep, f->lfd);
	for (int i = 0; i < CLIENTS; i++) {
		fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
		MUST(close(fd));
		peer_eof(peers[i]);
		MUST(close(peers[i]));
	}
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EAGAIN);
}

/*
 * Out of the set the backlog is the limit: with listen(fd, 1) two fit and
 * the other SYNs are dropped.  A server that stops accepting relies on it.
 */
static void t_backlog_limits(struct fix *f)
{
	struct pollfd pfd[CLIENTS];
	int established = 0;

	MUST(listen(f->lfd, 1));
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	set_del(f->ep, f->lfd);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	for (int i = 0; i < CLIENTS; i++) {
		pfd[i].fd = MUST(socket(AF_INET,
					SOCK_STREAM | SOCK_NONBLOCK, 0));
		pfd[i].events = POLLOUT;
		CHECK_ERRNO(connect(pfd[i].fd, (struct sockaddr *)&f->addr,
				    sizeof(f->addr)), EINPROGRESS);
	}
	MUST(poll(pfd, CLIENTS, 20));
	for (int i = 0; i < CLIENTS; i++) {
		established += !!pfd[i].revents;
		MUST(close(pfd[i].fd));
	}
	CHECK_EQ(established, 2);
}

/* memcached: listen(fd, 0) to pause, listen(fd, backlog) to go on. */
static void t_listen_again(struct fix *f)
{
	int peers[CLIENTS];

	connect_all(f, peers);
	MUST(listen(f->lfd, 0));
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	MUST(listen(f->lfd, 128));
	serve_all(f, peers);
	connect_all(f, peers);
	serve_all(f, peers);
}

static void t_mod_zero(struct fix *f)
{
	int peers[CLIENTS];

	set_mod(f->ep, f->lfd, 0);
	connect_all(f, peers);
	CHECK_EV(set_next(f->ep, f->lfd, 10), 0);
	set_mod(f->ep, f->lfd, EPOLLIN);
	serve_all(f, peers);
}

static void t_toggle(struct fix *f)
{
	int peer;

	for (int i = 0; i < 20; i++) {
		peer = net_client(&f->addr);
		set_del(f->ep, f->lfd);
		if (i & 1)
			CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
		set_add(f->ep, f->lfd, EPOLLIN);
		serve(f, peer);
	}
}

/* It is told at once, by the first wait. */
static void told(struct fix *f, int fd)
{
	long long start = tap_now_ms();
	struct epoll_event ev;

	CHECK_EQ(epoll_wait(f->ep, &ev, 1, WAIT_MS), 1);
	CHECK_EQ(ev.data.fd, fd);
	CHECK(tap_now_ms() - start < WAIT_MS / 2);
}

/* What came just before, for others. */
static void t_others(struct fix *f)
{
	int ends[2];
	char byte;

	MUST(pipe(ends));
	set_add(f->ep, ends[0], EPOLLIN);
	for (int i = 0; i < 4; i++) {
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		if (i & 1)
			MUST(write(ends[1], "x", 1));
		else
			peer_write(f->peer, "x", 1);
		if (i & 2)
			set_del(f->ep, f->lfd);
		else
			set_mod(f->ep, f->lfd, 0);
		told(f, i & 1 ? ends[0] : f->fd);
		CHECK_EQ(read(i & 1 ? ends[0] : f->fd, &byte, 1), 1);
		if (i & 2)
			set_add(f->ep, f->lfd, EPOLLIN);
		else
			set_mod(f->ep, f->lfd, EPOLLIN);
	}
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static const struct net_case cases[] = {
	{ "clients that come while it is out", t_come_while_out,
	  BOTH | NOCONN },
	{ "reported, taken out, put back", t_reported_then_out,
	  BOTH | NOCONN },
	{ "accept() while it is out", t_accept_while_out, BOTH | NOCONN },
	{ "out of the set the backlog limits", t_backlog_limits,
	  BOTH | NOCONN },
	{ "listen(fd, 0), then listen(fd, 128)", t_listen_again,
	  BOTH | NOCONN },
	{ "MOD to no interest and back", t_mod_zero, BOTH | NOCONN },
	{ "DEL and ADD at every connection", t_toggle, BOTH | NOCONN },
	{ "something has come for another when it leaves", t_others, BOTH },
};

NET_MAIN(cases)
