/* SPDX-License-Identifier: MIT */
/*
 * Description: a thread ends with sockets open, closed just now, and unsent.
 *
 * Its loop has ended, as when a proxy is told to stop: what it closed must
 * end for the peer, what it left open another thread goes on with.
 */
#include "../lib/net.h"

#include <unistd.h>

#define CONNS 40

struct loop {
	int fds[CONNS], peers[CONNS];
	int open;		/* so many stay open, the first ones */
	int ep;
	bool look;		/* one more look at the set after closing */
	bool sent;		/* nothing is unsent when they are closed, and
				 * what stays open is in no set any more */
};

static void serve_once(int ep, int fd)
{
	char buf[4];

	server_read(ep, fd, buf, 4);
	server_write(ep, fd, "pong", 4);
}

static void *loop(void *arg)
{
	struct loop *l = arg;
	struct epoll_event ev;
	int ep = l->ep;

	for (int i = 0; i < CONNS; i++)
		set_add(ep, l->fds[i], EPOLLIN);
	for (int i = 0; i < CONNS; i++) {
		peer_write(l->peers[i], "ping", 4);
		serve_once(ep, l->fds[i]);
		peer_expect(l->peers[i], "pong");
	}
	for (int i = 0; i < CONNS; i++)
		CHECK_EQ(send(l->fds[i], "last", 4, 0), 4);
	for (int i = 0; l->sent && i < CONNS; i++) {
		set_next(ep, l->fds[i], 0);
		peer_expect(l->peers[i], "last");
		if (i < l->open)
			set_del(ep, l->fds[i]);
	}
	for (int i = l->open; i < CONNS; i++)
		MUST(close(l->fds[i]));
	if (l->look)
		MUST(epoll_wait(ep, &ev, 1, 0));
	return NULL;
}

static void run(struct fix *f, int open, bool look, bool sent)
{
	struct loop l = { .open = open, .look = look, .sent = sent };
	char buf[4];

	for (int i = 0; i < CONNS; i++)
		l.fds[i] = server_accept(f, &l.peers[i], 0);
	l.ep = MUST(epoll_create1(0));
	thread_join(thread_start(loop, &l));
	for (int i = 0; !sent && i < CONNS; i++)
		peer_expect(l.peers[i], "last");
	for (int i = 0; i < open; i++) {
		peer_write(l.peers[i], "more", 4);
		set_add(f->ep, l.fds[i], EPOLLIN);
		server_read(f->ep, l.fds[i], buf, 4);
		server_write(f->ep, l.fds[i], buf, 4);
		set_del(f->ep, l.fds[i]);
		peer_expect(l.peers[i], "more");
		MUST(close(l.fds[i]));
	}
	for (int i = 0; i < CONNS; i++) {
		peer_eof(l.peers[i]);
		MUST(close(l.peers[i]));
	}
	MUST(close(l.ep));
}

static void t_all_closed(struct fix *f)
{
	run(f, 0, false, false);
}

static void t_some_open(struct fix *f)
{
	run(f, 3, false, false);
}

static void t_all_open(struct fix *f)
{
	run(f, CONNS, false, false);
}

static void t_looked_again(struct fix *f)
{
	run(f, 1, true, false);
}

static void t_out_of_set(struct fix *f)
{
	run(f, 2, false, true);
}

static const struct net_case cases[] = {
	{ "all are closed", t_all_closed, BOTH | NOCONN },
	{ "some are open", t_some_open, BOTH | NOCONN },
	{ "all are open", t_all_open, BOTH | NOCONN },
	{ "the open ones are in no set", t_out_of_set, BOTH | NOCONN },
	{ "closed and looked once more", t_looked_again, BOTH | NOCONN },
};

NET_MAIN(cases)
