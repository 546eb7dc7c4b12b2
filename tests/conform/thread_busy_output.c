/* SPDX-License-Identifier: MIT */
/*
 * Description: a loop's thread has sent and computes; others send behind it.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int stage;


/* Accepts in its own loop, sends, and makes no call for a while. A copy gives
 * the connection a descriptor, so that others can use it meanwhile. */
static void *loop(void *arg)
{
	struct fix *f = arg;
	int copy;

	f->fd = server_accept(f, &f->peer, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	copy = MUST(dup(f->fd));
	MUST(close(copy));
	CHECK_EQ(send(f->fd, "first", 5, 0), 5);
	atomic_store(&stage, 1);
	while (atomic_load(&stage) == 1)
		;
	return NULL;
}

static pthread_t begin(struct fix *f)
{
	pthread_t thread;

	atomic_store(&stage, 0);
	thread = thread_start(loop, f);
	UNTIL(atomic_load(&stage) == 1);
	return thread;
}

static void end(struct fix *f, pthread_t thread)
{
	peer_expect(f->peer, "firstsecond");
	atomic_store(&stage, 2);
	thread_join(thread);
}

static void t_fork(struct fix *f)
{
	pthread_t thread = begin(f);
	pid_t pid = MUST(fork());

	if (!pid)
		_exit(send(f->fd, "second", 6, 0) != 6);
	child_ok(pid);
	end(f, thread);
}

static void t_splice(struct fix *f)
{
	pthread_t thread;
	int ends[2];

	MUST(pipe(ends));
	CHECK_EQ(write(ends[1], "second", 6), 6);
	thread = begin(f);
	CHECK_EQ(splice(ends[0], NULL, f->fd, NULL, 6, 0), 6);
	end(f, thread);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static const struct net_case cases[] = {
	{ "a child", t_fork, BOTH | NOCONN },
	{ "splice()", t_splice, BOTH | NOCONN },
};

NET_MAIN(cases)
