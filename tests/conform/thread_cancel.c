/* SPDX-License-Identifier: MIT */
/*
 * Description: pthread_cancel() and pthread_exit() of a thread with a loop.
 */
/* no-asan: a cancelled thread leaves marked frames of the shim behind */
#include "../lib/net.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

struct loop {
	pthread_t thread;
	struct fix f;
	bool warm;
	int state;		/* pthread_setcancelstate() */
	_Atomic pid_t tid;
	_Atomic bool ended, go;
	_Atomic int woken;
};

static void note_end(void *arg)
{
	((struct loop *)arg)->ended = true;
}

static void accept_one(struct loop *l)
{
	server_open(&l->f);
	if (l->warm)
		server_warm(&l->f);
	l->f.fd = server_accept(&l->f, &l->f.peer, EPOLLIN);
	CHECK_EV(set_next(l->f.ep, l->f.fd, 0), 0);
	CHECK_EQ(send(l->f.fd, "first;", 6, 0), 6);
}

static void *wait_for_ever(void *arg)
{
	struct loop *l = arg;
	struct epoll_event ev;

	pthread_cleanup_push(note_end, l);
	accept_one(l);
	pthread_setcancelstate(l->state, NULL);
	l->tid = syscall(SYS_gettid);
	for (;;) {
		CHECK_EQ(MUST(epoll_wait(l->f.ep, &ev, 1, -1)), 1);
		l->woken++;
		if (l->go)
			pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		char byte;

		CHECK_EQ(recv(l->f.fd, &byte, 1, 0), 1);
	}
	pthread_cleanup_pop(0);
	return NULL;
}

static void loop_start(struct loop *l, bool warm, int state)
{
	*l = (struct loop){ .warm = warm, .state = state,
			    .f = { -1, -1, -1, -1, { 0 } } };
	l->thread = thread_start(wait_for_ever, l);
	UNTIL(l->tid);
	thread_asleep(l->tid);
}

/* What the thread had is the process's: this thread goes on with it. */
static void go_on(struct loop *l)
{
	char buf[4];

	CHECK(l->ended);
	peer_write(l->f.peer, "ping", 4);
	server_read(l->f.ep, l->f.fd, buf, 4);
	server_write(l->f.ep, l->f.fd, "pong", 4);
	peer_expect(l->f.peer, "first;pong");
	server_warm(&l->f);
	server_close(&l->f);
}

static void asleep(bool warm)
{
	struct loop l;

	loop_start(&l, warm, PTHREAD_CANCEL_ENABLE);
	CHECK_EQ(pthread_cancel(l.thread), 0);
	thread_join(l.thread);
	CHECK_EQ(l.woken, 0);
	go_on(&l);
}

static void t_asleep_cold(struct fix *f)
{
	(void)f;
	asleep(false);
}

static void t_asleep_warm(struct fix *f)
{
	(void)f;
	asleep(true);
}

/* Disabled: it sleeps on, and is cancelled once it allows that. */
static void t_disabled(struct fix *f)
{
	struct loop l;

	(void)f;
	loop_start(&l, true, PTHREAD_CANCEL_DISABLE);
	CHECK_EQ(pthread_cancel(l.thread), 0);
	peer_write(l.f.peer, "x", 1);
	UNTIL(l.woken == 1);
	thread_asleep(l.tid);
	CHECK(!l.ended);
	l.go = true;
	peer_write(l.f.peer, "x", 1);
	thread_join(l.thread);
	go_on(&l);
}

/* Cancelled before its first wait, or between two. */
static void *wait_when_told(void *arg)
{
	struct loop *l = arg;
	struct epoll_event ev;

	pthread_cleanup_push(note_end, l);
	if (l->warm)
		accept_one(l);
	l->tid = syscall(SYS_gettid);
	while (!l->go)
		;
	MUST(epoll_wait(l->f.ep, &ev, 1, -1));
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel_busy(struct fix *f, bool waited_before)
{
	struct loop l = { .warm = waited_before, .f = *f };

	l.thread = thread_start(wait_when_told, &l);
	UNTIL(l.tid);
	CHECK_EQ(pthread_cancel(l.thread), 0);
	l.go = true;
	thread_join(l.thread);
	CHECK(l.ended);
	if (waited_before)
		go_on(&l);
}

static void t_before_first(struct fix *f)
{
	cancel_busy(f, false);
}

static void t_between(struct fix *f)
{
	(void)f;
	cancel_busy(f, true);
}

/* pthread_exit() out of the loop, bytes just written. */
static void *leave(void *arg)
{
	struct loop *l = arg;

	pthread_cleanup_push(note_end, l);
	accept_one(l);
	pthread_exit(l);
	pthread_cleanup_pop(0);
}

static void exit_thread(bool warm)
{
	struct loop l = { .warm = warm };

	thread_join(thread_start(leave, &l));
	go_on(&l);
}

static void t_exit_cold(struct fix *f)
{
	(void)f;
	exit_thread(false);
}

static void t_exit_warm(struct fix *f)
{
	(void)f;
	exit_thread(true);
}

static const struct net_case cases[] = {
	{ "cancelled while asleep (cold)", t_asleep_cold, BARE },
	{ "cancelled while asleep (warm)", t_asleep_warm, BARE },
	{ "cancelled while that is disabled", t_disabled, BARE },
	{ "cancelled before its first wait", t_before_first, BOTH },
	{ "cancelled between two waits", t_between, BARE },
	{ "pthread_exit() (cold)", t_exit_cold, BARE },
	{ "pthread_exit() (warm)", t_exit_warm, BARE },
};

NET_MAIN(cases)
