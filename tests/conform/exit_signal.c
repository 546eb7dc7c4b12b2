/* SPDX-License-Identifier: MIT */
/*
 * Description: bytes sent before abort(), raise(), kill() of itself arrive.
 */
#include "../lib/net.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum way { ABORT, RAISE, KILL, KILL_GROUP, QUEUE, THREAD_KILL, TGKILL };

static void end_by(enum way way)
{
	union sigval none = { 0 };

	switch (way) {
	case ABORT: abort();
	case RAISE: raise(SIGTERM); break;
	case KILL: kill(getpid(), SIGKILL); break;
	case KILL_GROUP: setpgid(0, 0); killpg(0, SIGTERM); break;
	case QUEUE: sigqueue(getpid(), SIGTERM, none); break;
	case THREAD_KILL: pthread_kill(pthread_self(), SIGTERM); break;
	case TGKILL: tgkill(getpid(), gettid(), SIGTERM); break;
	}
	pause();
}

/* A server that is told by one byte to send, and then ends. */
static void be_server(struct fix f, enum way way, bool warm, int ready)
{
	char byte;

	signal(SIGABRT, SIG_DFL);
	f.ep = MUST(epoll_create1(0));
	set_add(f.ep, f.lfd, EPOLLIN);
	if (warm)
		server_warm(&f);
	CHECK_EQ(write(ready, "r", 1), 1);
	CHECK_EV(set_next(f.ep, f.lfd, WAIT_MS), EPOLLIN);
	f.fd = MUST(accept4(f.lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f.ep, f.fd, EPOLLIN);
	server_read(f.ep, f.fd, &byte, 1);
	CHECK_EQ(send(f.fd, "one;", 4, 0), 4);
	CHECK_EQ(send(f.fd, "two;", 4, 0), 4);
	end_by(way);
	_exit(1);
}

static void run_one(struct fix *f, enum way way, bool warm)
{
	int port[2], status, sig;
	char byte;
	pid_t pid;

	f->lfd = net_listen(&f->addr, 16);
	MUST(pipe(port));
	pid = MUST(fork());
	if (!pid)
		be_server(*f, way, warm, port[1]);
	MUST(close(port[1]));
	CHECK_EQ(read(port[0], &byte, 1), 1);
	MUST(close(port[0]));
	f->peer = net_client(&f->addr);
	peer_write(f->peer, "x", 1);
	peer_expect(f->peer, "one;two;");
	peer_eof(f->peer);
	status = child_status(pid);
	CHECK(WIFSIGNALED(status));
	sig = way == ABORT ? SIGABRT : way == KILL ? SIGKILL : SIGTERM;
	CHECK_EQ(WTERMSIG(status), sig);
	MUST(close(f->peer));
	MUST(close(f->lfd));
	f->peer = f->lfd = -1;
}

static void run(struct fix *f, enum way way)
{
	run_one(f, way, false);
	run_one(f, way, true);
}

#define CASE(name, way) \
	static void name(struct fix *f) \
	{ \
		run(f, way); \
	}

CASE(t_abort, ABORT)
CASE(t_raise, RAISE)
CASE(t_kill, KILL)
CASE(t_killpg, KILL_GROUP)
CASE(t_sigqueue, QUEUE)
CASE(t_pthread_kill, THREAD_KILL)
CASE(t_tgkill, TGKILL)

static sigjmp_buf back;

static void jump(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

/* A handler may leave abort(); all goes on. */
static void t_survived(struct fix *f)
{
	char buf[4];

	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
	signal(SIGABRT, jump);
	if (!sigsetjmp(back, 1))
		abort();
	signal(SIGABRT, SIG_DFL);
	CHECK_EQ(send(f->fd, "after", 5, 0), 5);
	peer_expect(f->peer, "before;after");
	peer_write(f->peer, "ping", 4);
	server_read(f->ep, f->fd, buf, 4);
	server_warm(f);
}

static const struct net_case cases[] = {
	{ "abort()", t_abort, BARE },
	{ "raise()", t_raise, BARE },
	{ "kill() with SIGKILL", t_kill, BARE },
	{ "killpg()", t_killpg, BARE },
	{ "sigqueue()", t_sigqueue, BARE },
	{ "pthread_kill()", t_pthread_kill, BARE },
	{ "tgkill()", t_tgkill, BARE },
	{ "abort() left by a handler", t_survived, BOTH },
};

NET_MAIN(cases)
