/* SPDX-License-Identifier: MIT */
/*
 * Description: another thread closes a connection while its loop sleeps.
 */
#include "../lib/net.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONNS 4

struct loop {
	pthread_t thread;
	struct fix f;
	int stop[2];
	bool warm;
	_Atomic pid_t tid;
	int fd[CONNS], peer[CONNS];
	_Atomic int ready, reports;
};

static void *run_loop(void *arg)
{
	struct loop *l = arg;
	struct epoll_event ev;

	server_open(&l->f);
	if (l->warm)
		server_warm(&l->f);
	set_add(l->f.ep, l->stop[0], EPOLLIN);
	for (int i = 0; i < CONNS; i++)
		l->fd[i] = server_accept(&l->f, &l->peer[i],
					 EPOLLIN | EPOLLRDHUP | EPOLLET);
	l->tid = syscall(SYS_gettid);
	l->ready = 1;
	for (;;) {
		CHECK_EQ(MUST(epoll_wait(l->f.ep, &ev, 1, -1)), 1);
		if (ev.data.fd == l->stop[0])
			return NULL;
		l->reports++;
	}
}

static void loop_start(struct loop *l, bool warm)
{
	*l = (struct loop){ .warm = warm,
			    .f = { -1, -1, -1, -1, { 0 } } };
	MUST(pipe(l->stop));
	l->thread = thread_start(run_loop, l);
	UNTIL(l->ready);
	thread_asleep(l->tid);
}

static void loop_stop(struct loop *l)
{
	CHECK_EQ(write(l->stop[1], "x", 1), 1);
	thread_join(l->thread);
	server_close(&l->f);
	for (int i = 0; i < CONNS; i++)
		MUST(close(l->peer[i]));
	MUST(close(l->stop[0]));
	MUST(close(l->stop[1]));
}

static void run(bool warm)
{
	struct loop l;
	long long start;
	char byte;

	loop_start(&l, warm);
	/* Idle; with bytes unsent; after SHUT_WR; with bytes unread. */
	start = tap_now_ms();
	MUST(close(l.fd[0]));
	peer_eof(l.peer[0]);
	CHECK_EQ(send(l.fd[1], "last", 4, 0), 4);
	MUST(close(l.fd[1]));
	peer_expect(l.peer[1], "last");
	peer_eof(l.peer[1]);
	MUST(shutdown(l.fd[2], SHUT_WR));
	peer_eof(l.peer[2]);
	MUST(close(l.fd[2]));
	CHECK_EQ(l.reports, 0);
	peer_write(l.peer[3], "unread", 6);
	UNTIL(l.reports == 1);
	MUST(close(l.fd[3]));
	CHECK_ERRNO(recv(l.peer[3], &byte, 1, 0), ECONNRESET);
	CHECK(tap_now_ms() - start < 1000);
	for (int i = 0; i < CONNS; i++)
		CHECK_ERRNO(recv(l.fd[i], &byte, 1, 0), EBADF);
	CHECK_EQ(l.reports, 1);
	loop_stop(&l);
}

static void t_cold(struct fix *f)
{
	(void)f;
	run(false);
}

static void t_warm(struct fix *f)
{
	(void)f;
	run(true);
}

static bool refused(const struct sockaddr_in *addr)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	int ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	int err = errno;

	MUST(close(fd));
	return ret < 0 && err == ECONNREFUSED;
}

/* The loop waits for connections of it: none comes any more. */
static void t_listener(struct fix *f)
{
	struct loop l;

	(void)f;
	loop_start(&l, true);
	MUST(close(l.f.lfd));
	l.f.lfd = -1;
	CHECK(refused(&l.f.addr));
	CHECK_EQ(l.reports, 0);
	for (int i = 0; i < CONNS; i++)
		MUST(close(l.fd[i]));
	loop_stop(&l);
}

static void t_numbers_come_back(struct fix *f)
{
	struct loop l;

	(void)f;
	loop_start(&l, true);
	for (int i = 0; i < CONNS; i++) {
		int ends[2];

		MUST(close(l.fd[i]));
		MUST(pipe(ends));
		CHECK_EQ(write(ends[1], "x", 1), 1);
		MUST(close(ends[0]));
		MUST(close(ends[1]));
		peer_eof(l.peer[i]);
	}
	CHECK_EQ(l.reports, 0);
	loop_stop(&l);
}

static const struct net_case cases[] = {
	{ "the peer sees it at once, the loop nothing (cold)", t_cold,
	  BARE },
	{ "the peer sees it at once, the loop nothing (warm)", t_warm,
	  BARE },
	{ "the listener", t_listener, BARE },
	{ "the numbers come back as something else", t_numbers_come_back,
	  BARE },
};

NET_MAIN(cases)
