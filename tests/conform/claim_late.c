/* SPDX-License-Identifier: MIT */
/* env: MEGAPIPE_MIN_CONNECTIONS=2 */
/*
 * Description: a set that was waited on goes on as before when more join it.
 *
 * What was told of the first member is not told again, what was not is told
 * once. Each case has a thread of its own, which has not waited before.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define EDGE (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define TURNS 12	/* waits in which a set may change hands */

struct late {
	struct fix *f;
	void (*run)(struct late *l);
	struct sockaddr_in addr;
	int lfd, ep;
	int fd[2], peer[2];	/* connections, the second joins later */
};

static void join_set(struct late *l, int i, uint32_t events)
{
	l->fd[i] = net_client(&l->addr);
	l->peer[i] = MUST(accept(l->lfd, NULL, NULL));
	net_timeouts(l->peer[i]);
	net_nonblock(l->fd[i], true);
	set_add(l->ep, l->fd[i], events);
}

/* Whatever the set reports in some turns, of this one it is nothing. */
static void silent(struct late *l, int fd)
{
	for (int i = 0; i < TURNS; i++)
		CHECK_EV(set_next(l->ep, fd, 0), 0);
}

static void echo_all(struct late *l)
{
	char buf[8];

	for (int i = 0; i < 2; i++) {
		peer_write(l->peer[i], "ping", 4);
		server_read(l->ep, l->fd[i], buf, 4);
		CHECK_MEM(buf, "ping", 4);
		server_write(l->ep, l->fd[i], "pong", 4);
		peer_expect(l->peer[i], "pong");
	}
}

static void level(struct late *l)
{
	char buf[8];

	join_set(l, 0, EPOLLIN);
	peer_write(l->peer[0], "ab", 2);
	CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLIN);
	join_set(l, 1, EPOLLIN);
	for (int i = 0; i < TURNS; i++)
		CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(l->fd[0], buf, sizeof(buf), 0), 2);
	silent(l, l->fd[0]);
	echo_all(l);
}

/* Told and not read. */
static void edge_unread(struct late *l)
{
	char buf[8];

	join_set(l, 0, EDGE);
	peer_write(l->peer[0], "ab", 2);
	CHECK_EV(set_wait(l->ep, l->fd[0], EPOLLIN), EPOLLIN | EPOLLOUT);
	join_set(l, 1, EPOLLIN | EPOLLET);
	silent(l, l->fd[0]);
	peer_write(l->peer[0], "c", 1);
	CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLIN | EPOLLOUT);
	silent(l, l->fd[0]);
	CHECK_EQ(recv(l->fd[0], buf, sizeof(buf), 0), 3);
	silent(l, l->fd[0]);
	silent(l, l->fd[1]);
	for (int i = 0; i < 3; i++) {
		peer_write(l->peer[0], "d", 1);
		CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS),
			 EPOLLIN | EPOLLOUT);
		silent(l, l->fd[0]);
	}
}

static void edge_at_rest(struct late *l)
{
	join_set(l, 0, EDGE);
	CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLOUT);
	join_set(l, 1, EDGE);
	CHECK_EV(set_next(l->ep, l->fd[1], WAIT_MS), EPOLLOUT);
	silent(l, l->fd[0]);
	silent(l, l->fd[1]);
	echo_all(l);
	MUST(shutdown(l->peer[0], SHUT_WR));
	CHECK_EV(set_wait(l->ep, l->fd[0], EPOLLRDHUP),
		 EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	silent(l, l->fd[0]);
}

static void edge_full(struct late *l)
{
	static char buf[1 << 16];
	size_t taken, done = 0;

	join_set(l, 0, EDGE);
	CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLOUT);
	taken = server_fill(l->fd[0], 64 << 20);
	join_set(l, 1, EDGE);
	CHECK_EV(set_next(l->ep, l->fd[1], WAIT_MS), EPOLLOUT);
	silent(l, l->fd[1]);
	/* Bytes may still move into the peer's buffer: edges are allowed. */
	while (set_next(l->ep, l->fd[0], 0))
		if (send(l->fd[0], "x", 1, 0) == 1)
			taken++;
	while (done < taken)
		done += MUST(recv(l->peer[0], buf, sizeof(buf), 0));
	CHECK_EV(set_wait(l->ep, l->fd[0], EPOLLOUT), EPOLLOUT);
	silent(l, l->fd[1]);
	echo_all(l);
}

static void edge_eof(struct late *l)
{
	char byte;

	join_set(l, 0, EDGE);
	MUST(shutdown(l->peer[0], SHUT_WR));
	CHECK_EV(set_wait(l->ep, l->fd[0], EPOLLRDHUP),
		 EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	join_set(l, 1, EPOLLIN | EPOLLET);
	silent(l, l->fd[0]);
	CHECK_EQ(recv(l->fd[0], &byte, 1, 0), 0);
	silent(l, l->fd[0]);
	peer_write(l->peer[1], "x", 1);
	CHECK_EV(set_next(l->ep, l->fd[1], WAIT_MS), EPOLLIN);
}

static void oneshot(struct late *l)
{
	char byte;

	join_set(l, 0, EPOLLIN | EPOLLONESHOT);
	peer_write(l->peer[0], "ab", 2);
	CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLIN);
	join_set(l, 1, EPOLLIN | EPOLLONESHOT);
	silent(l, l->fd[0]);
	CHECK_EQ(recv(l->fd[0], &byte, 1, 0), 1);
	silent(l, l->fd[0]);
	for (int i = 0; i < 2; i++) {
		set_mod(l->ep, l->fd[0], EPOLLIN | EPOLLONESHOT);
		CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLIN);
		silent(l, l->fd[0]);
	}
	peer_write(l->peer[1], "x", 1);
	CHECK_EV(set_next(l->ep, l->fd[1], WAIT_MS), EPOLLIN);
	silent(l, l->fd[1]);
}

static void listener_joins(struct late *l, uint32_t mode)
{
	int fd, client;

	join_set(l, 0, EPOLLIN | mode);
	peer_write(l->peer[0], "x", 1);
	CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(l->fd[0], &fd, 1, 0), 1);
	client = net_client(&l->addr);
	set_add(l->ep, l->lfd, EPOLLIN | mode);
	CHECK_EV(set_next(l->ep, l->lfd, WAIT_MS), EPOLLIN);
	for (int i = 0; i < TURNS; i++)
		CHECK_EV(set_next(l->ep, l->lfd, 0), mode ? 0 : EPOLLIN);
	fd = MUST(accept4(l->lfd, NULL, NULL, SOCK_NONBLOCK));
	CHECK_ERRNO(accept4(l->lfd, NULL, NULL, SOCK_NONBLOCK), EAGAIN);
	silent(l, l->lfd);
	MUST(close(client));
	MUST(close(fd));
	client = net_client(&l->addr);
	CHECK_EV(set_next(l->ep, l->lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(l->lfd, NULL, NULL, SOCK_NONBLOCK));
	MUST(close(client));
	MUST(close(fd));
}

static void listener_level(struct late *l)
{
	net_nonblock(l->lfd, true);
	listener_joins(l, 0);
}

static void listener_edge(struct late *l)
{
	net_nonblock(l->lfd, true);
	listener_joins(l, EPOLLET);
}

/* A peer that writes all the time while the set changes hands. */
#define BYTES 400

static void *trickle(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < BYTES; i++) {
		peer_write(fd, "x", 1);
		if (i % 7 == 0)
			sched_yield();
	}
	return NULL;
}

static void while_busy(struct late *l)
{
	size_t got = 0;
	pthread_t thread;
	char buf[64];
	ssize_t n;

	join_set(l, 0, EDGE);
	CHECK_EV(set_next(l->ep, l->fd[0], WAIT_MS), EPOLLOUT);
	thread = thread_start(trickle, &l->peer[0]);
	while (got < BYTES) {
		CHECK(set_next(l->ep, l->fd[0], WAIT_MS));
		while ((n = recv(l->fd[0], buf, sizeof(buf), 0)) > 0)
			got += (size_t)n;
		CHECK_EQ(errno, EAGAIN);
		if (got > BYTES / 4 && l->fd[1] < 0)
			join_set(l, 1, EDGE);
	}
	thread_join(thread);
	/* The last arrival may be told after its byte was read: OUT alone. */
	while (set_next(l->ep, l->fd[0], 0))
		;
	silent(l, l->fd[0]);
	echo_all(l);
}

static void *run_late(void *arg)
{
	struct late *l = arg;

	l->lfd = net_listen(&l->addr, 16);
	net_nonblock(l->lfd, false);
	net_timeouts(l->lfd);
	l->ep = MUST(epoll_create1(0));
	l->fd[0] = l->fd[1] = l->peer[0] = l->peer[1] = -1;
	l->run(l);
	for (int i = 0; i < 2; i++) {
		if (l->fd[i] >= 0)
			MUST(close(l->fd[i]));
		if (l->peer[i] >= 0)
			MUST(close(l->peer[i]));
	}
	MUST(close(l->ep));
	MUST(close(l->lfd));
	return NULL;
}

#define CASE(name)                                        \
	static void t_##name(struct fix *f)               \
	{                                                 \
		struct late l = { .f = f, .run = name };  \
		thread_join(thread_start(run_late, &l));  \
	}
CASE(level)
CASE(edge_unread)
CASE(edge_at_rest)
CASE(edge_full)
CASE(edge_eof)
CASE(oneshot)
CASE(listener_level)
CASE(listener_edge)
CASE(while_busy)

static const struct net_case cases[] = {
	{ "level: unread bytes go on being told", t_level, BARE },
	{ "edge: told and unread is not told again", t_edge_unread,
	  BARE },
	{ "edge: nothing to tell, then each arrival", t_edge_at_rest,
	  BARE },
	{ "edge: room is told to who was told EAGAIN before", t_edge_full,
	  BARE },
	{ "edge: the end is not told again", t_edge_eof, BARE },
	{ "one-shot: what fired stays fired until MOD", t_oneshot,
	  BARE },
	{ "a listener joins, level", t_listener_level, BARE },
	{ "a listener joins, edge", t_listener_edge, BARE },
	{ "bytes that come all the time", t_while_busy, BARE },
};

NET_MAIN(cases)
