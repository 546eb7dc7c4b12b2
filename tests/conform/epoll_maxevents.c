/* SPDX-License-Identifier: MIT */
/*
 * Description: a small maxevents is honoured and starves nobody.
 */
#include "../lib/net.h"

#include <string.h>
#include <unistd.h>

#define CONNS 12

struct many {
	int fd[CONNS], peer[CONNS];
};

static void open_many(struct fix *f, struct many *m)
{
	for (int i = 0; i < CONNS; i++)
		m->fd[i] = server_accept(f, &m->peer[i], EPOLLIN);
}

static void close_many(struct many *m)
{
	for (int i = 0; i < CONNS; i++) {
		MUST(close(m->fd[i]));
		MUST(close(m->peer[i]));
	}
}

static void wait_all_ready(struct fix *f, int count)
{
	struct epoll_event ev[CONNS + 1];

	UNTIL(MUST(epoll_wait(f->ep, ev, CONNS + 1, 10)) == count);
}

/* All stay ready: each must come up within a few rounds of one at a time. */
static void rounds_of(struct fix *f, int max)
{
	struct many m;
	struct epoll_event ev[CONNS];
	int seen[CONNS] = { 0 }, calls = 4 * CONNS;

	open_many(f, &m);
	for (int i = 0; i < CONNS; i++)
		peer_write(m.peer[i], "x", 1);
	wait_all_ready(f, CONNS);
	for (int c = 0; c < calls; c++) {
		int n = MUST(epoll_wait(f->ep, ev, max, WAIT_MS));

		CHECK_EQ(n, max);
		for (int i = 0; i < n; i++)
			for (int k = 0; k < CONNS; k++)
				seen[k] += ev[i].data.fd == m.fd[k];
	}
	for (int k = 0; k < CONNS; k++)
		CHECK(seen[k] > 0);
	close_many(&m);
}

static void t_one(struct fix *f)
{
	rounds_of(f, 1);
}

static void t_three(struct fix *f)
{
	rounds_of(f, 3);
}

/* Edges that do not fit stay for the next call; none is lost or doubled. */
static void t_edges(struct fix *f)
{
	struct many m;
	struct epoll_event ev[5];
	int seen[CONNS] = { 0 }, total = 0;

	open_many(f, &m);
	for (int i = 0; i < CONNS; i++)
		set_mod(f->ep, m.fd[i], EPOLLIN | EPOLLET);
	CHECK_EQ(MUST(epoll_wait(f->ep, ev, 5, 0)), 0);
	for (int i = 0; i < CONNS; i++)
		peer_write(m.peer[i], "x", 1);
	while (total < CONNS) {
		int n = MUST(epoll_wait(f->ep, ev, 5, WAIT_MS));

		CHECK(n > 0 && n <= 5);
		for (int i = 0; i < n; i++)
			for (int k = 0; k < CONNS; k++)
				seen[k] += ev[i].data.fd == m.fd[k];
		total += n;
	}
	for (int k = 0; k < CONNS; k++)
		CHECK_EQ(seen[k], 1);
	CHECK_EQ(MUST(epoll_wait(f->ep, ev, 5, 0)), 0);
	close_many(&m);
}

/* A listener with one waiting is not starved by busy connections. */
static void t_listener(struct fix *f)
{
	struct many m;
	struct epoll_event ev;
	int turns = 0, peer;

	open_many(f, &m);
	for (int i = 0; i < CONNS; i++)
		peer_write(m.peer[i], "x", 1);
	peer = net_client(&f->addr);
	wait_all_ready(f, CONNS + 1);
	do {
		CHECK(turns++ < 4 * CONNS);
		CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, WAIT_MS)), 1);
	} while (ev.data.fd != f->lfd);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	MUST(close(peer));
	close_many(&m);
}

/* Nothing behind the last event is written. */
static void t_untouched(struct fix *f)
{
	struct epoll_event ev[4], mark;

	memset(&mark, 0x5a, sizeof(mark));
	for (int i = 0; i < 4; i++)
		ev[i] = mark;
	peer_write(f->peer, "x", 1);
	CHECK_EQ(MUST(epoll_wait(f->ep, ev, 4, WAIT_MS)), 1);
	for (int i = 1; i < 4; i++)
		CHECK_MEM(&ev[i], &mark, sizeof(mark));
}

static const struct net_case cases[] = {
	{ "maxevents 1: each ready one comes up", t_one, BOTH | NOCONN },
	{ "maxevents 3: each ready one comes up", t_three, BOTH | NOCONN },
	{ "edges in portions: each once", t_edges, BOTH | NOCONN },
	{ "a listener among busy connections", t_listener, BOTH | NOCONN },
	{ "the array behind the result is untouched", t_untouched, BOTH },
};

NET_MAIN(cases)
