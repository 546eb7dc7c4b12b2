/* SPDX-License-Identifier: MIT */
/*
 * Description: vfork, posix_spawn, popen: a connection as standard stream.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static char *const upper[] = { (char *)"tr", (char *)"a-z", (char *)"A-Z",
			       NULL };

/* "echo hello" with the connection as its output. */
static char *const hello[] = { (char *)"echo", (char *)"-n",
			       (char *)"hello;", NULL };

static void prepare(struct fix *f, bool cloexec)
{
	MUST(fcntl(f->fd, F_SETFD, cloexec ? FD_CLOEXEC : 0));
	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
}

static void go_on(struct fix *f)
{
	char buf[4];

	CHECK_EQ(send(f->fd, "after", 5, 0), 5);
	peer_expect(f->peer, "before;hello;after");
	peer_write(f->peer, "ping", 4);
	server_read(f->ep, f->fd, buf, 4);
	CHECK_MEM(buf, "ping", 4);
}

static void t_vfork(struct fix *f)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid;

		prepare(f, i);
		pid = MUST(vfork());
		if (!pid) {
			if (dup2(f->fd, STDOUT_FILENO) < 0)
				_exit(126);
			execv("/bin/echo", hello);
			_exit(127);
		}
		child_ok(pid);
		go_on(f);
	}
}

static void t_spawn(struct fix *f)
{
	for (int i = 0; i < 2; i++) {
		posix_spawn_file_actions_t actions;
		pid_t pid;

		prepare(f, i);
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, f->fd,
						 STDOUT_FILENO);
		CHECK_EQ(posix_spawn(&pid, "/bin/echo", &actions, NULL, hello,
				     environ), 0);
		posix_spawn_file_actions_destroy(&actions);
		child_ok(pid);
		go_on(f);
	}
}

/* In and out at once: what the peer sends comes back in capitals. */
static void t_filter(struct fix *f)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	net_nonblock(f->fd, false);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, f->fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, f->fd, STDOUT_FILENO);
	CHECK_EQ(posix_spawnp(&pid, "tr", &actions, NULL, upper, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	MUST(close(f->fd));
	f->fd = -1;
	peer_write(f->peer, "capitals", 8);
	MUST(shutdown(f->peer, SHUT_WR));
	peer_expect(f->peer, "CAPITALS");
	peer_eof(f->peer);
	child_ok(pid);
}

/* A number may be closed by an action, in the child only. */
static void t_spawn_close(struct fix *f)
{
	posix_spawn_file_actions_t actions;
	char command[80], *args[] = { (char *)"sh", (char *)"-c", command,
				      NULL };
	pid_t pid;

	snprintf(command, sizeof(command), "test ! -e /proc/self/fd/%d",
		 f->fd);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, f->fd);
	CHECK_EQ(posix_spawnp(&pid, "sh", &actions, NULL, args, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	child_ok(pid);
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	peer_expect(f->peer, "x");
}

static void t_popen(struct fix *f)
{
	char command[80], line[16] = "";
	FILE *file;

	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
	snprintf(command, sizeof(command), "printf 'hello;' >&%d; echo done",
		 f->fd);
	file = popen(command, "r");
	CHECK(file != NULL);
	CHECK(fgets(line, sizeof(line), file) != NULL);
	CHECK_MEM(line, "done\n", 6);
	CHECK_EQ(pclose(file), 0);
	go_on(f);
}

static void t_system(struct fix *f)
{
	char command[80];

	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
	snprintf(command, sizeof(command), "printf 'hello;' >&%d", f->fd);
	CHECK_EQ(system(command), 0);
	go_on(f);
}

/* With nothing of LD_PRELOAD left, the program is a plain one. */
static void t_scrubbed(struct fix *f)
{
	char command[80];
	char *const args[] = { (char *)"sh", (char *)"-c", command, NULL };
	char *const env[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	pid_t pid;

	CHECK_EQ(send(f->fd, "before;", 7, 0), 7);
	snprintf(command, sizeof(command),
		 "test -z \"$LD_PRELOAD\" && printf 'hello;' >&%d", f->fd);
	pid = MUST(fork());
	if (!pid) {
		execve("/bin/sh", args, env);
		_exit(127);
	}
	child_ok(pid);
	go_on(f);
}

static const struct net_case cases[] = {
	{ "vfork, dup2, exec", t_vfork, BOTH },
	{ "posix_spawn with an action", t_spawn, BOTH },
	{ "a filter between both ends", t_filter, BOTH },
	{ "posix_spawn that closes the number", t_spawn_close, BOTH },
	{ "popen()", t_popen, BOTH },
	{ "system()", t_system, BOTH },
	{ "exec with an empty environment", t_scrubbed, BOTH },
};

NET_MAIN(cases)
