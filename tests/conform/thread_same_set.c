/* SPDX-License-Identifier: MIT */
/*
 * Description: two threads wait on one set; each event is served once.
 */
#include "../lib/net.h"

#include <stdatomic.h>
#include <unistd.h>

#define CONNS 8
#define MESSAGES 50

struct team {
	struct fix *f;
	int stop[2];
	bool oneshot;
	_Atomic int served;
	pthread_t thread[2];
};

/* Serve one message; by turns of MOD when one-shot. */
static void serve(struct team *t, int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	/* Level-triggered, the other thread may have been faster. */
	if (n < 0) {
		CHECK_EQ(errno, EAGAIN);
		CHECK(!t->oneshot);
		return;
	}
	CHECK_EQ(n, 1);
	t->served++;
	CHECK_EQ(send(fd, &byte, 1, 0), 1);
	if (t->oneshot)
		set_mod(t->f->ep, fd, EPOLLIN | EPOLLONESHOT);
}

static void *work(void *arg)
{
	struct team *t = arg;
	struct epoll_event ev;

	for (;;) {
		CHECK_EQ(MUST(epoll_wait(t->f->ep, &ev, 1, WAIT_MS)), 1);
		if (ev.data.fd == t->stop[0])
			return NULL;
		serve(t, ev.data.fd);
	}
}

static void run(struct fix *f, bool oneshot)
{
	struct team t = { .f = f, .oneshot = oneshot };
	int fds[CONNS], peers[CONNS];
	char byte;

	MUST(pipe(t.stop));
	for (int i = 0; i < CONNS; i++)
		fds[i] = server_accept(f, &peers[i], EPOLLIN |
				       (oneshot ? EPOLLONESHOT : 0));
	set_add(f->ep, t.stop[0], EPOLLIN);
	for (int i = 0; i < 2; i++)
		t.thread[i] = thread_start(work, &t);
	for (int m = 0; m < MESSAGES; m++) {
		for (int i = 0; i < CONNS; i++) {
			byte = 'a' + (m + i) % 26;
			peer_write(peers[i], &byte, 1);
		}
		for (int i = 0; i < CONNS; i++) {
			peer_read(peers[i], &byte, 1);
			CHECK_EQ(byte, 'a' + (m + i) % 26);
		}
	}
	CHECK_EQ(write(t.stop[1], "x", 1), 1);
	for (int i = 0; i < 2; i++)
		thread_join(t.thread[i]);
	CHECK_EQ(t.served, CONNS * MESSAGES);
	for (int i = 0; i < CONNS; i++) {
		MUST(close(fds[i]));
		MUST(close(peers[i]));
	}
	MUST(close(t.stop[0]));
	MUST(close(t.stop[1]));
}

static void t_level(struct fix *f)
{
	run(f, false);
}

static void t_oneshot(struct fix *f)
{
	run(f, true);
}

/* The second thread comes when bytes were read ahead and are unread. */
static void *drain(void *arg)
{
	struct fix *f = arg;
	char buf[8];

	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 6);
	CHECK_MEM(buf, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(send(f->fd, "seen", 4, 0), 4);
	return NULL;
}

static void t_second_comes_late(struct fix *f)
{
	char buf[8];

	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(send(f->fd, "first;", 6, 0), 6);
	thread_join(thread_start(drain, f));
	peer_expect(f->peer, "first;seen");
	/* And the first thread goes on with the set. */
	for (int i = 0; i < 5; i++) {
		peer_write(f->peer, "ping", 4);
		server_read(f->ep, f->fd, buf, 4);
		server_write(f->ep, f->fd, "pong", 4);
		peer_expect(f->peer, "pong");
	}
	server_warm(f);
}

static const struct net_case cases[] = {
	{ "level-triggered", t_level, BOTH | NOCONN },
	{ "one-shot", t_oneshot, BOTH | NOCONN },
	{ "the second thread comes late", t_second_comes_late, BOTH },
};

NET_MAIN(cases)
