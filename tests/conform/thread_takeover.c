/* SPDX-License-Identifier: MIT */
/*
 * Description: a connection goes to another thread's set and is used at once.
 *
 * As proxies do with idle connections: the new thread adds it to its own set
 * and sends; the old one, asleep or busy, forgets it when it is told of it.
 */
#include "../lib/net.h"

#include <poll.h>
#include <unistd.h>

#define ROUNDS 50

struct worker {
	pthread_t thread;
	int ep, mail[2], done[2];	/* numbers that were answered */
	_Atomic int *owner;	/* of each socket: the set it belongs to */
};

struct mail {
	int fd, number;		/* fd -1: stop, -2: say that you are here */
};

static void ask(struct worker *w, const struct mail *m)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP };

	ev.data.u64 = (uint64_t)m->number << 32 | (uint32_t)m->fd;
	w->owner[m->number] = w->ep;
	MUST(epoll_ctl(w->ep, EPOLL_CTL_ADD, m->fd, &ev));
	CHECK_EQ(send(m->fd, "?", 1, 0), 1);
}

static void here(struct worker *w, int number)
{
	CHECK_EQ(write(w->done[1], &number, sizeof(int)), sizeof(int));
}

static void answer(struct worker *w, int fd, int number)
{
	char c;
	ssize_t n;

	if (w->owner[number] != w->ep) {
		epoll_ctl(w->ep, EPOLL_CTL_DEL, fd, NULL);
		return;
	}
	n = recv(fd, &c, 1, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	CHECK_EQ(n, 1);
	CHECK_EQ(c, '?');
	here(w, number);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev[8];
	struct mail m;

	for (;;) {
		int n = MUST(epoll_wait(w->ep, ev, 8, WAIT_MS));

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64 != ~0ull) {
				answer(w, (int)ev[i].data.u64,
				       (int)(ev[i].data.u64 >> 32));
				continue;
			}
			MUST(read(w->mail[0], &m, sizeof(m)));
			if (m.fd == -1)
				return NULL;
			if (m.fd >= 0)
				ask(w, &m);
			else
				here(w, m.number);
		}
	}
}

static void worker_start(struct worker *w, _Atomic int *owner, int done[2])
{
	struct epoll_event ev = { EPOLLIN, { .u64 = ~0ull } };

	w->owner = owner;
	w->done[0] = done[0];
	w->done[1] = done[1];
	w->ep = MUST(epoll_create1(0));
	MUST(pipe(w->mail));
	MUST(epoll_ctl(w->ep, EPOLL_CTL_ADD, w->mail[0], &ev));
	w->thread = thread_start(work, w);
}

static void mail(struct worker *w, int fd, int number)
{
	struct mail m = { fd, number };

	CHECK_EQ(write(w->mail[1], &m, sizeof(m)), sizeof(m));
}

/* The peer answers as soon as it can. */
static void *echo(void *arg)
{
	int fd = *(int *)arg;
	char c;

	while (recv(fd, &c, 1, 0) == 1)
		CHECK_EQ(send(fd, &c, 1, MSG_NOSIGNAL), 1);
	return NULL;
}

static void answered(struct worker *w)
{
	struct pollfd done = { .fd = w->done[0], .events = POLLIN };
	int number;

	CHECK_EQ(poll(&done, 1, WAIT_MS), 1);
	CHECK_EQ(read(w->done[0], &number, sizeof(number)), sizeof(number));
}

/* Every socket is asked for on the one thread, then on the other, all at the
 * same time; the set of the thread before still has it then. */
static void ask_all(struct worker *w, int *fds, int count)
{
	for (int step = 0; step < 3; step++) {
		for (int i = 0; i < count; i++)
			mail(&w[(step + i) % 2], fds[i], i);
		for (int i = 0; i < count; i++)
			answered(w);
		for (int i = 0; i < count; i++)
			epoll_ctl(w[(step + 1 + i) % 2].ep, EPOLL_CTL_DEL,
				  fds[i], NULL);
	}
}

/* Numbers are used again: no worker may be about to look at an old one. */
static void forget(struct worker *w, int *fds, int count)
{
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < count; k++)
			epoll_ctl(w[i].ep, EPOLL_CTL_DEL, fds[k], NULL);
		mail(&w[i], -2, 0);
	}
	for (int i = 0; i < 2; i++)
		answered(w);
}

static void one_round(struct fix *f, struct worker *w, int count)
{
	int fds[2], peers[2];
	pthread_t echoes[2];

	for (int i = 0; i < count; i++) {
		fds[i] = server_accept(f, &peers[i], 0);
		echoes[i] = thread_start(echo, &peers[i]);
	}
	ask_all(w, fds, count);
	forget(w, fds, count);
	for (int i = 0; i < count; i++) {
		MUST(close(fds[i]));
		thread_join(echoes[i]);
		MUST(close(peers[i]));
	}
}

static void take_over(struct fix *f, int count)
{
	struct worker w[2];
	_Atomic int owner[2];
	int done[2];

	MUST(pipe(done));
	for (int i = 0; i < 2; i++)
		worker_start(&w[i], owner, done);
	for (int round = 0; round < ROUNDS; round++)
		one_round(f, w, count);
	for (int i = 0; i < 2; i++) {
		mail(&w[i], -1, 0);
		thread_join(w[i].thread);
		MUST(close(w[i].mail[0]));
		MUST(close(w[i].mail[1]));
		MUST(close(w[i].ep));
		MUST(close(done[i]));
	}
}

static void t_one(struct fix *f)
{
	take_over(f, 1);
}

/* Each thread takes what the other has. */
static void t_crosswise(struct fix *f)
{
	take_over(f, 2);
}

static const struct net_case cases[] = {
	{ "back and forth between two threads", t_one, BOTH | NOCONN },
	{ "two, crosswise", t_crosswise, BOTH | NOCONN },
};

NET_MAIN(cases)
