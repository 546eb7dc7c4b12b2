/* SPDX-License-Identifier: MIT */
/*
 * Description: one thread sleeps in a wait, another looks and goes away.
 *
 * As pools of threads do: the sleeper waits on a set that had nothing of TCP
 * yet, a connection is added, and a third looks into the set without sleeping.
 * What comes then is the sleeper's, whoever looked before.
 */
#include "../lib/net.h"

#include <unistd.h>

struct sleeper {
	int ep;
	int pipe[2], look[2], looked[2];
	_Atomic pid_t tid;
};

/* Answers what it is told of, until the pipe says stop. */
static void *sleeps(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event ev;
	char byte;

	s->tid = gettid();
	for (;;) {
		CHECK_EQ(MUST(epoll_wait(s->ep, &ev, 1, WAIT_MS)), 1);
		if (ev.data.fd == s->pipe[0])
			return NULL;
		CHECK_EQ(recv(ev.data.fd, &byte, 1, 0), 1);
		CHECK_EQ(send(ev.data.fd, &byte, 1, 0), 1);
		if (byte == 'o')
			set_mod(s->ep, ev.data.fd, EPOLLIN | EPOLLONESHOT);
	}
}

/* Looks when it is told to, and stays. */
static void *looks(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event ev;
	char byte;

	while (read(s->look[0], &byte, 1) == 1 && byte == 'l') {
		CHECK_EQ(epoll_wait(s->ep, &ev, 1, 0), 0);
		CHECK_EQ(write(s->looked[1], "l", 1), 1);
	}
	return NULL;
}

static void look(struct sleeper *s)
{
	char byte;

	CHECK_EQ(write(s->look[1], "l", 1), 1);
	CHECK_EQ(read(s->looked[0], &byte, 1), 1);
	thread_asleep(s->tid);
}

static void run(struct fix *f, uint32_t mode, char byte)
{
	struct sleeper s = { .ep = MUST(epoll_create1(0)) };
	pthread_t thread, looker;
	int fd, peer;
	char got;

	MUST(pipe(s.pipe));
	MUST(pipe(s.look));
	MUST(pipe(s.looked));
	set_add(s.ep, s.pipe[0], EPOLLIN);
	thread = thread_start(sleeps, &s);
	looker = thread_start(looks, &s);
	while (!s.tid)
		usleep(100);
	thread_asleep(s.tid);
	fd = server_accept(f, &peer, 0);
	set_add(s.ep, fd, EPOLLIN | mode);
	thread_asleep(s.tid);
	for (int i = 0; i < 5; i++) {
		look(&s);
		peer_write(peer, &byte, 1);
		peer_read(peer, &got, 1);
		CHECK_EQ(got, byte);
	}
	CHECK_EQ(write(s.pipe[1], "x", 1), 1);
	CHECK_EQ(write(s.look[1], "x", 1), 1);
	thread_join(thread);
	thread_join(looker);
	MUST(close(fd));
	MUST(close(peer));
	for (int i = 0; i < 2; i++) {
		MUST(close(s.pipe[i]));
		MUST(close(s.look[i]));
		MUST(close(s.looked[i]));
	}
	MUST(close(s.ep));
}

static void t_level(struct fix *f)
{
	run(f, 0, 'l');
}

static void t_oneshot(struct fix *f)
{
	run(f, EPOLLONESHOT, 'o');
}

static void t_edge(struct fix *f)
{
	run(f, EPOLLET, 'e');
}

static const struct net_case cases[] = {
	{ "level-triggered", t_level, BOTH | NOCONN },
	{ "one-shot", t_oneshot, BOTH | NOCONN },
	{ "edge-triggered", t_edge, BOTH | NOCONN },
};

NET_MAIN(cases)
