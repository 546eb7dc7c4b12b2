/* SPDX-License-Identifier: MIT */
/*
 * Description: exec: numbers pass without FD_CLOEXEC and vanish with it.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What this program does when it is started again: write on a number. */
static int second_life(int fd, const char *text)
{
	size_t len = strlen(text);

	return write(fd, text, len) == (ssize_t)len ? 0 : errno;
}

static void make_args(char **args, char *number, int fd, char *text)
{
	sprintf(number, "%d", fd);
	args[0] = (char *)"exec_cloexec";
	args[1] = number;
	args[2] = text;
	args[3] = NULL;
}

static void exec_writer(int fd, const char *text)
{
	char number[16], *args[4];

	make_args(args, number, fd, (char *)text);
	execv("/proc/self/exe", args);
	_exit(127);
}

static int run_writer(int fd, const char *text)
{
	pid_t pid = MUST(fork());
	int status;

	if (!pid)
		exec_writer(fd, text);
	status = child_status(pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void t_passes(struct fix *f)
{
	char buf[8];

	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
	CHECK_EQ(run_writer(f->fd, "program;"), 0);
	CHECK_EQ(send(f->fd, "after;", 6, 0), 6);
	peer_expect(f->peer, "before;program;after;");
	peer_write(f->peer, "ping", 4);
	server_read(f->ep, f->fd, buf, 4);
}

static void t_cloexec(struct fix *f)
{
	MUST(fcntl(f->fd, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(run_writer(f->fd, "x"), EBADF);
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
	MUST(fcntl(f->fd, F_SETFD, 0));
	CHECK_EQ(run_writer(f->fd, "z"), 0);
	peer_expect(f->peer, "z");
}

static void t_accept_cloexec(struct fix *f)
{
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC));
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(run_writer(f->fd, "x"), EBADF);
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
}

/* The server itself becomes another program, bytes unsent behind it. */
static void t_self(struct fix *f)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		server_open(f);
		server_warm(f);
		f->fd = server_accept(f, &f->peer, EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		int peer = MUST(dup(f->peer));

		/* A grandchild is the judge: it holds the peer. */
		pid_t judge = MUST(fork());

		if (!judge) {
			MUST(close(f->fd));
			peer_expect(peer, "first;second;");
			_exit(0);
		}
		CHECK_EQ(send(f->fd, "first;", 6, 0), 6);
		pid_t writer = MUST(vfork());

		if (!writer)
			exec_writer(f->fd, "second;");
		child_ok(writer);
		child_ok(judge);
		_exit(0);
	}
	child_ok(pid);
}

/* A failed exec changes nothing. */
static void t_failed(struct fix *f)
{
	char *args[] = { (char *)"none", NULL };
	char buf[8];

	CHECK_EQ(send(f->fd, "a", 1, 0), 1);
	CHECK_ERRNO(execv("/nonexistent/program", args), ENOENT);
	CHECK_EQ(send(f->fd, "b", 1, 0), 1);
	peer_expect(f->peer, "ab");
	peer_write(f->peer, "ping", 4);
	server_read(f->ep, f->fd, buf, 4);
	server_warm(f);
}

static void t_spawn(struct fix *f)
{
	char number[16], text[] = "spawned;", *args[4];
	pid_t pid;

	make_args(args, number, f->fd, text);
	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
	CHECK_EQ(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args,
			     environ), 0);
	child_ok(pid);
	CHECK_EQ(send(f->fd, "after;", 6, 0), 6);
	peer_expect(f->peer, "before;spawned;after;");
}

/* As inetd: the connection becomes the program's standard output. */
static void t_stdout(struct fix *f)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		MUST(dup2(f->fd, STDOUT_FILENO));
		MUST(close(f->fd));
		execl("/bin/echo", "echo", "-n", "inetd", NULL);
		_exit(127);
	}
	child_ok(pid);
	MUST(close(f->fd));
	f->fd = -1;
	peer_expect(f->peer, "inetd");
	peer_eof(f->peer);
}

static const struct net_case cases[] = {
	{ "the number passes", t_passes, BOTH },
	{ "not with FD_CLOEXEC", t_cloexec, BOTH },
	{ "not with SOCK_CLOEXEC", t_accept_cloexec, BOTH | NOCONN },
	{ "vfork and exec, bytes just written", t_self, BARE },
	{ "a failed exec", t_failed, BOTH },
	{ "posix_spawn", t_spawn, BOTH },
	{ "as standard output of a program", t_stdout, BOTH },
};

int main(int argc, char **argv)
{
	if (argc == 3)
		return second_life(atoi(argv[1]), argv[2]);
	return net_main(cases, ARRAY_SIZE(cases));
}
