/* SPDX-License-Identifier: MIT */
/*
 * Description: fork with live connections: both sides share them.
 */
#include "../lib/net.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes unread and bytes just written at the moment of the fork. */
static void prepare(struct fix *f)
{
	peer_write(f->peer, "pending", 7);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(send(f->fd, "queued;", 7, 0), 7);
}

static void not_eof(struct fix *f)
{
	char byte;

	CHECK_ERRNO(recv(f->peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

static void close_server(struct fix *f)
{
	MUST(close(f->fd));
	f->fd = -1;
}

static void t_child_writes(struct fix *f)
{
	char buf[16];
	pid_t pid;

	prepare(f);
	pid = MUST(fork());
	if (!pid) {
		CHECK_EQ(write(f->fd, "child;", 6), 6);
		_exit(0);
	}
	child_ok(pid);
	CHECK_EQ(send(f->fd, "parent;", 7, 0), 7);
	peer_expect(f->peer, "queued;child;parent;");
	server_read(f->ep, f->fd, buf, 7);
	CHECK_MEM(buf, "pending", 7);
	not_eof(f);
	close_server(f);
	peer_eof(f->peer);
}

static void t_child_reads_body(struct fix *f)
{
	char buf[16];
	pid_t pid;

	prepare(f);
	pid = MUST(fork());
	if (!pid) {
		CHECK_EQ(recv(f->fd, buf, 4, 0), 4);
		CHECK_MEM(buf, "pend", 4);
		_exit(0);
	}
	child_ok(pid);
	/* What the child took is gone, the rest is here. */
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_MEM(buf, "ing", 3);
	CHECK_ERRNO(recv(f->fd, buf, 1, 0), EAGAIN);
	peer_expect(f->peer, "queued;");
}

static void t_child_reads(struct fix *f)
{
	if (tap_preloaded())
		tap_skip("LIMIT: parent and child both have what was read ahead");
	t_child_reads_body(f);
}

/* A child that closes all it has (redis, daemons) disturbs nobody. */
static void t_child_closes(struct fix *f)
{
	char buf[16];
	pid_t pid;

	prepare(f);
	pid = MUST(fork());
	if (!pid) {
		MUST(close(f->fd));
		MUST(close(f->lfd));
		MUST(close(f->ep));
		_exit(0);
	}
	child_ok(pid);
	peer_expect(f->peer, "queued;");
	not_eof(f);
	server_read(f->ep, f->fd, buf, 7);
	for (int i = 0; i < 5; i++) {
		peer_write(f->peer, "ping", 4);
		server_read(f->ep, f->fd, buf, 4);
		server_write(f->ep, f->fd, "pong", 4);
		peer_expect(f->peer, "pong");
	}
	/* The listener and the set work as before. */
	server_warm(f);
	close_server(f);
	peer_eof(f->peer);
}

/* The parent closes, the child goes on; EOF comes with its exit. */
static void t_parent_closes(struct fix *f)
{
	int go[2];
	char buf[16];
	pid_t pid;

	prepare(f);
	MUST(pipe(go));
	pid = MUST(fork());
	if (!pid) {
		MUST(close(f->peer));
		CHECK_EQ(read(go[0], buf, 1), 1);
		CHECK_EQ(recv(f->fd, buf, 7, 0), 7);
		CHECK_EQ(send(f->fd, buf, 7, 0), 7);
		_exit(0);
	}
	close_server(f);
	peer_expect(f->peer, "queued;");
	not_eof(f);
	CHECK_EQ(write(go[1], "g", 1), 1);
	peer_expect(f->peer, "pending");
	peer_eof(f->peer);
	child_ok(pid);
	MUST(close(go[0]));
	MUST(close(go[1]));
}

/* The child runs an event loop of its own over what it inherited. */
static void child_loop(struct fix *f, int ep)
{
	char buf[16];

	MUST(close(f->peer));
	server_read(ep, f->fd, buf, 4);
	CHECK_MEM(buf, "ping", 4);
	server_write(ep, f->fd, "pong", 4);
	CHECK_EQ(server_drain_eof(ep, f->fd), 0);
	_exit(0);
}

static void t_child_own_set(struct fix *f)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		int ep = MUST(epoll_create1(0));

		set_add(ep, f->fd, EPOLLIN);
		child_loop(f, ep);
	}
	close_server(f);
	peer_write(f->peer, "ping", 4);
	peer_expect(f->peer, "pong");
	MUST(shutdown(f->peer, SHUT_WR));
	peer_eof(f->peer);
	child_ok(pid);
}

/* The set itself is shared as well. */
static void t_child_same_set(struct fix *f)
{
	pid_t pid = MUST(fork());

	if (!pid)
		child_loop(f, f->ep);
	close_server(f);
	peer_write(f->peer, "ping", 4);
	peer_expect(f->peer, "pong");
	MUST(shutdown(f->peer, SHUT_WR));
	peer_eof(f->peer);
	child_ok(pid);
}

static void t_many_children(struct fix *f)
{
	char buf[8];

	for (int i = 0; i < 10; i++) {
		pid_t pid = MUST(fork());

		if (!pid)
			_exit(0);
		peer_write(f->peer, "ping", 4);
		server_read(f->ep, f->fd, buf, 4);
		server_write(f->ep, f->fd, "pong", 4);
		peer_expect(f->peer, "pong");
		child_ok(pid);
	}
	not_eof(f);
}

/* exit() in the child runs handlers; it must not write bytes twice. */
static void t_child_exits(struct fix *f)
{
	pid_t pid;

	prepare(f);
	pid = MUST(fork());
	if (!pid)
		exit(0);
	child_ok(pid);
	peer_expect(f->peer, "queued;");
	not_eof(f);
	CHECK_EQ(send(f->fd, "more", 4, 0), 4);
	peer_expect(f->peer, "more");
}

static void t_child_killed(struct fix *f)
{
	pid_t pid;
	int status;

	prepare(f);
	pid = MUST(fork());
	if (!pid)
		for (;;)
			pause();
	MUST(kill(pid, SIGKILL));
	status = child_status(pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(send(f->fd, "more", 4, 0), 4);
	peer_expect(f->peer, "queued;more");
	not_eof(f);
}

static void t_system(struct fix *f)
{
	char buf[16];

	prepare(f);
	CHECK_EQ(system("exit 3"), 3 << 8);
	server_read(f->ep, f->fd, buf, 7);
	CHECK_MEM(buf, "pending", 7);
	CHECK_EQ(send(f->fd, "more", 4, 0), 4);
	peer_expect(f->peer, "queued;more");
	not_eof(f);
}

static const struct net_case cases[] = {
	{ "the child writes, the parent goes on", t_child_writes, BOTH },
	{ "the child reads a part", t_child_reads, BOTH },
	{ "the child closes all", t_child_closes, BOTH },
	{ "the parent closes, the child goes on", t_parent_closes, BOTH },
	{ "the child has a loop of its own", t_child_own_set, BOTH },
	{ "the child waits on the same set", t_child_same_set, BOTH },
	{ "ten children that exit at once", t_many_children, BOTH },
	{ "the child calls exit()", t_child_exits, BOTH },
	{ "the child is killed", t_child_killed, BOTH },
	{ "system()", t_system, BOTH },
};

NET_MAIN(cases)
