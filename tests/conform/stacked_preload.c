/* SPDX-License-Identifier: MIT */
/*
 * Description: with other preloaded libraries, whichever comes first.
 */
/* no-asan: the library is linked in, there is no order of preloads */
/* no-tsan: the library is linked in, there is no order of preloads */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child, this program with other preloads, is asked to do. */
enum { ECHO, EARLY, LATE, LATE_EXIT, COUNT, BUSY };

static const char *self_path;

static void *symbol(const char *name)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	CHECK(p != NULL);
	return p;
}

/* 40 connections that echo, in one loop. */
static void echo(struct fix *f)
{
	char buf[16];

	for (int i = 0; i < 40; i++) {
		int peer, fd = server_accept(f, &peer, EPOLLIN);
		char *text = malloc(16);

		snprintf(text, 16, "hello %d", i);
		peer_write(peer, text, strlen(text) + 1);
		server_read(f->ep, fd, buf, strlen(text) + 1);
		CHECK(!strcmp(buf, text));
		server_write(f->ep, fd, buf, strlen(text) + 1);
		peer_expect(peer, text);
		free(text);
		MUST(close(fd));
		MUST(close(peer));
	}
}

static int pipe_to_parent;

static void at_exit_send(void)
{
	send(pipe_to_parent, "atexit", 6, MSG_NOSIGNAL);
}

/* The connection is left open: destructors write to it and exit ends it. */
static void leave_for_late(struct fix *f, const struct sockaddr_in *to)
{
	int *late_fd = symbol("early_late_fd");

	f->addr = *to;
	*late_fd = f->fd;
	pipe_to_parent = f->fd;
	atexit(at_exit_send);
	CHECK_EQ(send(f->fd, "main", 4, 0), 4);
}

/* The child listens; its port goes to the parent by standard output. */
static int child_late(bool warm)
{
	struct fix f = { .lfd = -1, .ep = -1, .fd = -1, .peer = -1 };

	server_open(&f);
	if (warm)
		server_warm(&f);
	dprintf(STDOUT_FILENO, "%d\n", ntohs(f.addr.sin_port));
	CHECK_EV(set_next(f.ep, f.lfd, WAIT_MS), EPOLLIN);
	f.fd = MUST(accept4(f.lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f.ep, f.fd, EPOLLIN);
	CHECK_EV(set_next(f.ep, f.fd, WAIT_MS), EPOLLIN);
	leave_for_late(&f, &f.addr);
	return 0;
}

static void child_case(void *arg)
{
	int what = *(int *)arg;
	struct fix f = { .lfd = -1, .ep = -1, .fd = -1, .peer = -1 };
	int (*calls)(void);

	if (what == EARLY || what == LATE || what == LATE_EXIT) {
		const char **state = symbol("early_state");

		if (strcmp(*state, "served"))
			tap_fail(__FILE__, __LINE__, "constructor: %s",
				 *state);
	}
	if (what >= LATE && what <= LATE_EXIT) {
		child_late(what == LATE_EXIT);
		return;
	}
	server_open(&f);
	echo(&f);
	server_close(&f);
	if (what == COUNT || what == BUSY) {
		calls = symbol(what == COUNT ? "count_calls" : "busy_calls");
		CHECK(calls() >= 80);
	}
}

/* Not a case of the plan: a check that fails says so on standard error and
 * ends the child. */
static int child_main(char **argv)
{
	int what = atoi(argv[2]);

	child_case(&what);
	return 0;
}

static void tool(char *out, size_t size, const char *name)
{
	char dir[400];

	snprintf(dir, sizeof(dir), "%s", self_path);
	snprintf(out, size, "%s/../tools/%s", dirname(dir), name);
	if (access(out, R_OK))
		tap_skip("the tools are not built");
}

/* Replaces LD_PRELOAD by ours and the other one, in the order asked for. */
static void set_preload(const char *other, bool ours_first)
{
	const char *ours = getenv("LD_PRELOAD");
	char value[2000];

	if (!ours || !*ours)
		snprintf(value, sizeof(value), "%s", other);
	else
		snprintf(value, sizeof(value), "%s:%s",
			 ours_first ? ours : other, ours_first ? other : ours);
	setenv("LD_PRELOAD", value, 1);
}

static pid_t start(int what, const char *other, bool ours_first, int out)
{
	char number[8];
	pid_t pid;

	snprintf(number, sizeof(number), "%d", what);
	fflush(stdout);
	pid = MUST(fork());
	if (!pid) {
		set_preload(other, ours_first);
		dup2(out, STDOUT_FILENO);
		execl(self_path, self_path, "child", number, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void run_child(int what, const char *lib, bool ours_first)
{
	char path[500];

	if (lib[0] == '/')
		snprintf(path, sizeof(path), "%s", lib);
	else
		tool(path, sizeof(path), lib);
	child_ok(start(what, path, ours_first, STDERR_FILENO));
}

static void t_count(struct fix *f)
{
	run_child(COUNT, "libcount.so", false);
	run_child(COUNT, "libcount.so", true);
}

static void t_busy(struct fix *f)
{
	run_child(BUSY, "libmalloc.so", false);
	run_child(BUSY, "libmalloc.so", true);
}

static void t_early(struct fix *f)
{
	run_child(EARLY, "libearly.so", false);
	run_child(EARLY, "libearly.so", true);
}

static void t_jemalloc(struct fix *f)
{
	static const char *const paths[] = {
		"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
		"/usr/lib/aarch64-linux-gnu/libjemalloc.so.2",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (access(paths[i], R_OK))
			continue;
		run_child(ECHO, paths[i], false);
		run_child(ECHO, paths[i], true);
		return;
	}
	tap_skip("no libjemalloc.so.2 here (libjemalloc2)");
}

static int read_port(int fd)
{
	char text[16] = "";
	size_t n = 0;

	while (n < sizeof(text) - 1 && !strchr(text, '\n')) {
		ssize_t got = MUST(read(fd, text + n, sizeof(text) - 1 - n));

		CHECK(got > 0);
		n += got;
	}
	return atoi(text);
}

/* Bytes of atexit() handlers, and of destructors that run after ours. */
static void late(int what, bool ours_first)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char path[500];
	int ends[2], peer;
	pid_t pid;

	tool(path, sizeof(path), "libearly.so");
	MUST(pipe(ends));
	pid = start(what, path, ours_first, ends[1]);
	MUST(close(ends[1]));
	sa.sin_port = htons(read_port(ends[0]));
	MUST(close(ends[0]));
	peer = net_client(&sa);
	peer_write(peer, "abc", 3);
	peer_expect(peer, "main");
	peer_expect(peer, "atexit");
	peer_expect(peer, "abc");
	peer_expect(peer, "late");
	peer_eof(peer);
	MUST(close(peer));
	child_ok(pid);
}

static void t_late(struct fix *f)
{
	late(LATE, false);
	late(LATE, true);
}

static void t_late_warm(struct fix *f)
{
	late(LATE_EXIT, false);
	late(LATE_EXIT, true);
}

static const struct net_case cases[] = {
	{ "another interposer", t_count, BARE },
	{ "an allocator that calls libc", t_busy, BARE },
	{ "jemalloc", t_jemalloc, BARE },
	{ "an event loop in a constructor", t_early, BARE },
	{ "atexit() handlers and destructors (cold)", t_late, BARE },
	{ "atexit() handlers and destructors (warm)", t_late_warm, BARE },
};

int main(int argc, char **argv)
{
	char path[400];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return 1;
	path[n] = '\0';
	self_path = path;
	if (argc == 3)
		return child_main(argv);
	return net_main(cases, ARRAY_SIZE(cases));
}
