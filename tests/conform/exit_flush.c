/* SPDX-License-Identifier: MIT */
/*
 * Description: bytes written right before the end of a process arrive.
 */
#include "../lib/net.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BY_EXIT, BY__EXIT, BY_QUICK_EXIT, BY_RETURN, BY_SYSCALL, BY_THREAD,
       BY_TWO };

/* Until there is no room: the peer does not read before it is told. */
static size_t write_full(int fd)
{
	char buf[3000];	/* small ones are gathered */
	size_t at = 0;
	ssize_t n;

	for (;;) {
		bytes_fill(buf, sizeof(buf), at);
		n = write(fd, buf, sizeof(buf));
		if (n < 0)
			break;
		at += (size_t)n;
	}
	CHECK_EQ(errno, EAGAIN);
	return at;
}

/*
 * The child is a server of its own.  It warms up by itself, tells its port,
 * accepts the parent, writes, and ends.  Returns for "return from main".
 */
static void child_serve(bool warm, bool full, size_t len, int port_fd)
{
	struct fix f = { 0 };
	static char buf[1 << 16];
	int fd;

	server_open(&f);
	if (warm)
		server_warm(&f);
	CHECK_EQ(write(port_fd, &f.addr, sizeof(f.addr)), sizeof(f.addr));
	CHECK_EV(set_next(f.ep, f.lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(f.lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f.ep, fd, EPOLLIN);
	server_read(f.ep, fd, buf, 1);
	if (full) {
		len = write_full(fd);
		CHECK_EQ(write(port_fd, &len, sizeof(len)), sizeof(len));
		return;
	}
	for (size_t at = 0; at < len;) {
		size_t part = len - at < sizeof(buf) ? len - at
						     : sizeof(buf);

		bytes_fill(buf, part, at);
		server_write(f.ep, fd, buf, part);
		at += part;
	}
}

static void *end_thread(void *arg)
{
	(void)arg;
	exit(0);
}

static bool both, waits;

/* No thread of a set, and the end of the process as much as the other's. */
static void *end_too(void *arg)
{
	(void)arg;
	__atomic_store_n(&waits, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&both, __ATOMIC_ACQUIRE))
		;
	_exit(0);
}

static void end_twice(void)
{
	thread_start(end_too, NULL);
	while (!__atomic_load_n(&waits, __ATOMIC_ACQUIRE))
		sched_yield();
	__atomic_store_n(&both, true, __ATOMIC_RELEASE);
	_exit(0);
}

static int child_main(char **argv)
{
	/* Failed checks must not look for the parent's cases. */
	child_serve(atoi(argv[2]), atoi(argv[1]) == BY_TWO, atol(argv[3]),
		    STDOUT_FILENO);
	switch (atoi(argv[1])) {
	case BY_EXIT:
		exit(0);
	case BY__EXIT:
		_exit(0);
	case BY_QUICK_EXIT:
		quick_exit(0);
	case BY_SYSCALL:
		syscall(SYS_exit_group, 0);
		break;
	case BY_THREAD:
		pthread_join(thread_start(end_thread, NULL), NULL);
		break;
	case BY_TWO:
		end_twice();
	}
	return 0;
}

/* A fresh program, so that "return from main" is what it says. */
static pid_t start_child(int how, bool warm, size_t len, int *port_fd)
{
	char how_text[8], len_text[24];
	int ends[2];
	pid_t pid;

	snprintf(how_text, sizeof(how_text), "%d", how);
	snprintf(len_text, sizeof(len_text), "%zu", len);
	MUST(pipe(ends));
	pid = MUST(fork());
	if (!pid) {
		MUST(dup2(ends[1], STDOUT_FILENO));
		close(ends[0]);
		close(ends[1]);
		execl("/proc/self/exe", "exit_flush", how_text,
		      warm ? "1" : "0", len_text, NULL);
		_exit(127);
	}
	MUST(close(ends[1]));
	*port_fd = ends[0];
	return pid;
}

static void run(struct fix *f, int how, bool warm, size_t len)
{
	uint64_t hash = HASH_START;
	int port_fd;
	pid_t pid = start_child(how, warm, len, &port_fd);

	CHECK_EQ(read(port_fd, &f->addr, sizeof(f->addr)),
		 sizeof(f->addr));
	f->peer = net_client(&f->addr);
	peer_write(f->peer, "x", 1);
	if (how == BY_TWO)
		CHECK_EQ(read(port_fd, &len, sizeof(len)), sizeof(len));
	MUST(close(port_fd));
	CHECK_EQ(peer_drain(f->peer, &hash), len);
	CHECK(hash == bytes_stream_hash(len));
	child_ok(pid);
}

static void run_sizes(struct fix *f, int how)
{
	static const size_t sizes[] = { 5, 3000, 1 << 20 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int warm = 0; warm < 2; warm++) {
			run(f, how, warm, sizes[i]);
			MUST(close(f->peer));
			f->peer = -1;
		}
	}
}

#define CASE(name, how) \
	static void name(struct fix *f) \
	{ \
		run_sizes(f, how); \
	}

CASE(t_exit, BY_EXIT)
CASE(t__exit, BY__EXIT)
CASE(t_quick_exit, BY_QUICK_EXIT)
CASE(t_return, BY_RETURN)
CASE(t_syscall, BY_SYSCALL)
CASE(t_thread, BY_THREAD)

static void t_two(struct fix *f)
{
	for (int i = 0; i < 8; i++) {
		run(f, BY_TWO, i % 2, 0);
		MUST(close(f->peer));
		f->peer = -1;
	}
}

static const struct net_case cases[] = {
	{ "exit()", t_exit, BARE },
	{ "_exit()", t__exit, BARE },
	{ "quick_exit()", t_quick_exit, BARE },
	{ "return from main()", t_return, BARE },
	{ "syscall(SYS_exit_group)", t_syscall, BARE },
	{ "exit() on another thread", t_thread, BARE },
	{ "_exit() on two threads at once", t_two, BARE },
};

int main(int argc, char **argv)
{
	if (argc == 4)
		return child_main(argv);
	return net_main(cases, ARRAY_SIZE(cases));
}
