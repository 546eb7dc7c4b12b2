/* SPDX-License-Identifier: MIT */
/*
 * Description: accepted on one thread, served on another (memcached, redis).
 */
#include "../lib/net.h"

#include <unistd.h>

#define CONNS 16

struct worker {
	pthread_t thread;
	int ep, mail[2];	/* numbers come by mail; 0 bytes: stop */
};

static void serve(int fd)
{
	char buf[256];
	ssize_t n = MUST(recv(fd, buf, sizeof(buf), 0));

	if (n == 0)
		MUST(close(fd));
	else
		CHECK_EQ(send(fd, buf, n, 0), n);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev[8];

	for (;;) {
		int n = MUST(epoll_wait(w->ep, ev, 8, WAIT_MS));

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd != w->mail[0]) {
				serve(fd);
				continue;
			}
			if (read(fd, &fd, sizeof(fd)) != sizeof(fd))
				return NULL;
			set_add(w->ep, fd, EPOLLIN);
		}
	}
}

static void worker_start(struct worker *w)
{
	w->ep = MUST(epoll_create1(0));
	MUST(pipe(w->mail));
	set_add(w->ep, w->mail[0], EPOLLIN);
	w->thread = thread_start(work, w);
}

static void worker_stop(struct worker *w)
{
	MUST(close(w->mail[1]));
	thread_join(w->thread);
	MUST(close(w->mail[0]));
	MUST(close(w->ep));
}

static void talk(int peer)
{
	for (int i = 0; i < 5; i++) {
		peer_write(peer, "hello", 5);
		peer_expect(peer, "hello");
	}
}

static void end(int peer)
{
	MUST(shutdown(peer, SHUT_WR));
	peer_eof(peer);
	MUST(close(peer));
}

/* A mailed number: the worker adds it to its own set (memcached). */
static void t_by_mail(struct fix *f)
{
	struct worker w[2];
	int peers[CONNS];

	for (int i = 0; i < 2; i++)
		worker_start(&w[i]);
	for (int i = 0; i < CONNS; i++) {
		int fd = server_accept(f, &peers[i], 0);

		CHECK_EQ(write(w[i % 2].mail[1], &fd, sizeof(fd)),
			 sizeof(fd));
		talk(peers[i]);
	}
	for (int i = 0; i < CONNS; i++)
		talk(peers[i]);
	for (int i = 0; i < CONNS; i++)
		end(peers[i]);
	for (int i = 0; i < 2; i++)
		worker_stop(&w[i]);
}

/* The acceptor itself adds it to the set that the worker sleeps on. */
static void t_added_from_outside(struct fix *f)
{
	struct worker w;
	int peers[CONNS];

	worker_start(&w);
	for (int i = 0; i < CONNS; i++) {
		int fd = server_accept(f, &peers[i], 0);

		/* Data waits already at every other one. */
		if (i & 1)
			peer_write(peers[i], "early", 5);
		set_add(w.ep, fd, EPOLLIN);
		if (i & 1)
			peer_expect(peers[i], "early");
		talk(peers[i]);
	}
	for (int i = 0; i < CONNS; i++)
		end(peers[i]);
	worker_stop(&w);
}

/* Served here first, then moved with bytes unread and unsent. */
static void t_moved_later(struct fix *f)
{
	struct worker w;
	char buf[8];

	worker_start(&w);
	peer_write(f->peer, "here", 4);
	server_read(f->ep, f->fd, buf, 4);
	server_write(f->ep, f->fd, "here", 4);
	peer_expect(f->peer, "here");
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(send(f->fd, "unsent", 6, 0), 6);
	set_del(f->ep, f->fd);
	CHECK_EQ(write(w.mail[1], &f->fd, sizeof(int)), sizeof(int));
	peer_expect(f->peer, "unsentunread");
	talk(f->peer);
	end(f->peer);
	f->peer = f->fd = -1;
	worker_stop(&w);
}

/* Each thread has a loop and a listener of its own. */
static void *own_server(void *arg)
{
	struct fix f = { .fd = -1, .peer = -1 };

	(void)arg;
	server_open(&f);
	for (int i = 0; i < 5; i++)
		server_warm(&f);
	server_close(&f);
	return NULL;
}

static void t_two_servers(struct fix *f)
{
	pthread_t a = thread_start(own_server, NULL);
	pthread_t b = thread_start(own_server, NULL);

	(void)f;
	thread_join(a);
	thread_join(b);
}

static const struct net_case cases[] = {
	{ "sent by mail, added by the worker", t_by_mail, BOTH | NOCONN },
	{ "added to a sleeping worker's set", t_added_from_outside,
	  BOTH | NOCONN },
	{ "served on one thread, then moved", t_moved_later, BOTH },
	{ "two threads, two servers", t_two_servers, BARE },
};

NET_MAIN(cases)
