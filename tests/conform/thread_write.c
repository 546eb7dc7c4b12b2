/* SPDX-License-Identifier: MIT */
/*
 * Description: another thread uses a connection while its loop sleeps.
 */
#include "../lib/net.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The loop: a thread that accepts one client and then only waits. */
struct loop {
	pthread_t thread;
	struct fix f;
	int stop[2];
	bool warm;
	uint32_t events;
	_Atomic pid_t tid;
	_Atomic int fd;		/* set once it is accepted and added */
	_Atomic int reports;	/* events seen on it */
};

static void *run_loop(void *arg)
{
	struct loop *l = arg;
	struct epoll_event ev;
	int peer;

	server_open(&l->f);
	if (l->warm)
		server_warm(&l->f);
	set_add(l->f.ep, l->stop[0], EPOLLIN);
	l->f.fd = server_accept(&l->f, &peer, l->events);
	l->f.peer = peer;
	l->tid = syscall(SYS_gettid);
	l->fd = l->f.fd;
	for (;;) {
		CHECK_EQ(MUST(epoll_wait(l->f.ep, &ev, 1, -1)), 1);
		if (ev.data.fd == l->stop[0])
			return NULL;
		l->reports++;
	}
}

static void loop_start(struct loop *l, bool warm, uint32_t events)
{
	*l = (struct loop){ .warm = warm, .events = events, .fd = -1,
			    .f = { -1, -1, -1, -1, { 0 } } };
	MUST(pipe(l->stop));
	l->thread = thread_start(run_loop, l);
	UNTIL(l->fd >= 0);
	thread_asleep(l->tid);
}

static void loop_stop(struct loop *l)
{
	CHECK_EQ(write(l->stop[1], "x", 1), 1);
	thread_join(l->thread);
	server_close(&l->f);
	MUST(close(l->stop[0]));
	MUST(close(l->stop[1]));
}

static void writes(bool warm)
{
	struct loop l;
	long long start;
	char byte;

	loop_start(&l, warm, EPOLLIN | EPOLLET);
	for (int i = 0; i < 20; i++) {
		start = tap_now_ms();
		CHECK_EQ(send(l.fd, "hello", 5, 0), 5);
		/* Wait without a call that could push for the sender. */
		while (recv(l.f.peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 1)
			CHECK(tap_now_ms() - start < 1000);
		peer_expect(l.f.peer, "hello");
	}
	CHECK_EQ(l.reports, 0);
	loop_stop(&l);
}

static void reads(bool warm)
{
	struct loop l;
	char buf[8];

	loop_start(&l, warm, EPOLLIN | EPOLLET);
	for (int i = 1; i <= 20; i++) {
		peer_write(l.f.peer, "hello", 5);
		UNTIL(l.reports == i);
		CHECK_EQ(recv(l.fd, buf, sizeof(buf), 0), 5);
		CHECK_ERRNO(recv(l.fd, buf, sizeof(buf), 0), EAGAIN);
	}
	loop_stop(&l);
}

/* Answered from here at once, with no turn of the loop in between. */
static void answers(bool warm)
{
	struct loop l;
	char buf[8];

	loop_start(&l, warm, EPOLLIN | EPOLLET);
	for (int i = 0; i < 20; i++) {
		peer_write(l.f.peer, "ping", 4);
		UNTIL(recv(l.fd, buf, 4, 0) == 4);
		CHECK_EQ(send(l.fd, "pong", 4, 0), 4);
		peer_expect(l.f.peer, "pong");
	}
	loop_stop(&l);
}

/* Interest changed from here: the sleeping loop must take notice. */
static void mods(bool warm)
{
	struct loop l;

	loop_start(&l, warm, EPOLLIN | EPOLLONESHOT);
	for (int i = 1; i <= 5; i++) {
		set_mod(l.f.ep, l.fd, EPOLLOUT | EPOLLONESHOT);
		UNTIL(l.reports == i);
	}
	set_mod(l.f.ep, l.fd, EPOLLIN | EPOLLONESHOT);
	thread_asleep(l.tid);
	CHECK_EQ(l.reports, 5);
	peer_write(l.f.peer, "x", 1);
	UNTIL(l.reports == 6);
	loop_stop(&l);
}

static void bulk(bool warm)
{
	static char buf[1 << 16];
	struct peer_reader r;
	struct loop l;
	size_t sent = 0;

	loop_start(&l, warm, EPOLLIN | EPOLLET);
	peer_reader_start(&r, l.f.peer, false);
	while (sent < 8 << 20) {
		ssize_t n;

		bytes_fill(buf, sizeof(buf), sent);
		UNTIL((n = send(l.fd, buf, sizeof(buf), MSG_NOSIGNAL)) > 0);
		sent += n;
	}
	MUST(shutdown(l.fd, SHUT_WR));
	peer_reader_expect(&r, sent);
	loop_stop(&l);
}

#define TWO(name) \
	static void name##_cold(struct fix *f) \
	{ \
		(void)f; \
		name(false); \
	} \
	static void name##_warm(struct fix *f) \
	{ \
		(void)f; \
		name(true); \
	}

TWO(writes)
TWO(reads)
TWO(answers)
TWO(mods)
TWO(bulk)

static const struct net_case cases[] = {
	{ "its bytes go out at once (cold)", writes_cold, BARE },
	{ "its bytes go out at once (warm)", writes_warm, BARE },
	{ "it reads what the loop reported (cold)", reads_cold, BARE },
	{ "it reads what the loop reported (warm)", reads_warm, BARE },
	{ "it reads and answers (cold)", answers_cold, BARE },
	{ "it reads and answers (warm)", answers_warm, BARE },
	{ "its MOD reaches the loop (cold)", mods_cold, BARE },
	{ "its MOD reaches the loop (warm)", mods_warm, BARE },
	{ "8 MiB from it (cold)", bulk_cold, BARE },
	{ "8 MiB from it (warm)", bulk_warm, BARE },
};

NET_MAIN(cases)
