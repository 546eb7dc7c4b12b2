/* SPDX-License-Identifier: MIT */
/*
 * Description: new descriptors get the lowest number that the program left.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CONNS 6

/* Connections whose clients were there before, so that numbers are in a row. */
static void open_row(struct fix *f, int *fds, int *peers, int count)
{
	for (int i = 0; i < count; i++)
		peers[i] = net_client(&f->addr);
	for (int i = 0; i < count; i++) {
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
		fds[i] = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
		set_add(f->ep, fds[i], EPOLLIN);
		if (i)
			CHECK(fds[i] > fds[i - 1]);
	}
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		MUST(close(fds[i]));
}

/* Given back in another order than they were taken. */
static void t_accept(struct fix *f)
{
	int fds[CONNS], peers[CONNS], more[3], again[3];

	open_row(f, fds, peers, CONNS);
	for (int i = 0; i < 3; i++)
		more[i] = net_client(&f->addr);
	MUST(close(fds[4]));
	MUST(close(fds[1]));
	MUST(close(fds[2]));
	for (int i = 0; i < 3; i++) {
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
		again[i] = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
		set_add(f->ep, again[i], EPOLLIN);
	}
	CHECK_EQ(again[0], fds[1]);
	CHECK_EQ(again[1], fds[2]);
	CHECK_EQ(again[2], fds[4]);
	for (int i = 0; i < 3; i++)
		server_write(f->ep, again[i], &(char){ 'a' + i }, 1);
	peer_expect(more[0], "a");
	peer_expect(more[1], "b");
	peer_expect(more[2], "c");
	close_all(fds, CONNS);
	close_all(peers, CONNS);
	close_all(more, 3);
}

static void t_copy(struct fix *f)
{
	int fds[CONNS], peers[CONNS], copy;

	open_row(f, fds, peers, CONNS);
	/* A copy of a connection, while nothing below is free. */
	copy = MUST(dup(fds[3]));
	CHECK(copy > fds[CONNS - 1]);
	CHECK_EQ(MUST(fcntl(fds[2], F_DUPFD, copy + 10)), copy + 10);
	CHECK_EQ(MUST(fcntl(fds[2], F_DUPFD, copy + 10)), copy + 11);
	MUST(close(copy + 10));
	MUST(close(copy + 11));
	MUST(close(copy));
	close_all(fds, CONNS);
	close_all(peers, CONNS);
}

/* Any call that makes a descriptor. */
static int make(int how)
{
	int ends[2], fd;

	switch (how) {
	case 0: return MUST(open("/dev/null", O_RDONLY));
	case 1: return MUST(socket(AF_INET, SOCK_DGRAM, 0));
	case 2: return MUST(eventfd(0, 0));
	case 3: return MUST(dup(STDIN_FILENO));
	case 4: return MUST(epoll_create1(0));
	default:
		MUST(pipe(ends));
		MUST(close(ends[1]));
		fd = ends[0];
		return fd;
	}
}

static void t_others(struct fix *f)
{
	int fds[CONNS], peers[CONNS];

	if (tap_preloaded())
		tap_skip("LIMIT: free numbers of connections are held");
	open_row(f, fds, peers, CONNS);
	for (int how = 0; how < CONNS; how++) {
		MUST(close(fds[how]));
		CHECK_EQ(make(how), fds[how]);
	}
	close_all(fds, CONNS);
	close_all(peers, CONNS);
}

/* The standard ones come back at once, for whoever opens next. */
static void t_standard(struct fix *f)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		struct fix own = { 0 };
		int first;

		server_open(&own);
		server_warm(&own);
		for (int i = 0; i < 3; i++) {
			own.peer = net_client(&own.addr);
			CHECK_EV(set_next(own.ep, own.lfd, WAIT_MS), EPOLLIN);
			MUST(close(STDIN_FILENO));
			first = MUST(accept4(own.lfd, NULL, NULL,
					     SOCK_NONBLOCK));
			/* Held ones are lower than nothing: LIMIT. */
			if (!tap_preloaded())
				CHECK_EQ(first, STDIN_FILENO);
			else if (first != STDIN_FILENO)
				MUST(dup2(first, STDIN_FILENO));
			if (first != STDIN_FILENO)
				MUST(close(first));
			set_add(own.ep, STDIN_FILENO, EPOLLIN);
			server_write(own.ep, STDIN_FILENO, "in", 2);
			peer_expect(own.peer, "in");
			MUST(close(STDIN_FILENO));
			peer_eof(own.peer);
			CHECK_EQ(MUST(open("/dev/null", O_RDONLY)),
				 STDIN_FILENO);
			MUST(close(own.peer));
		}
		_exit(0);
	}
	child_ok(pid);
}

static const struct net_case cases[] = {
	{ "accept()", t_accept, WARM | NOCONN },
	{ "dup() and F_DUPFD of a connection", t_copy, WARM | NOCONN },
	{ "open, socket, eventfd, dup, epoll_create, pipe", t_others,
	  BOTH | NOCONN },
	{ "a connection as standard input", t_standard, BARE },
};

NET_MAIN(cases)
