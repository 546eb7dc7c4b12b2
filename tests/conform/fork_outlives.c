/* SPDX-License-Identifier: MIT */
/*
 * Description: a child lives on with what it inherited when its parent ends.
 */
#include "../lib/net.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum end { EXIT, USCORE_EXIT, KILLED, ABORTED };

/* The server's process, its child, and the word to each. */
struct family {
	struct fix *f;
	int go[2], port[2];
	enum end end;
	bool warm, loop;
};

static void wait_go(struct family *fam)
{
	char byte;

	CHECK_EQ(read(fam->go[0], &byte, 1), 1);
}

static void end_parent(enum end end)
{
	switch (end) {
	case EXIT: exit(0);
	case USCORE_EXIT: _exit(0);
	case ABORTED: signal(SIGABRT, SIG_DFL); abort();
	case KILLED: raise(SIGKILL);
	}
}

/* The child: a loop of its own, or plain calls. */
static void live_on(struct family *fam, struct fix *f)
{
	int ep = MUST(epoll_create1(0)), fd;
	char buf[8];

	wait_go(fam);
	if (fam->loop) {
		set_add(ep, f->fd, EPOLLIN);
		set_add(ep, f->lfd, EPOLLIN);
		server_read(ep, f->fd, buf, 4);
		server_write(ep, f->fd, "pong", 4);
		CHECK_EV(set_next(ep, f->lfd, WAIT_MS), EPOLLIN);
		fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
		set_add(ep, fd, EPOLLIN);
		server_read(ep, fd, buf, 4);
		server_write(ep, fd, "pong", 4);
		CHECK_EQ(server_drain_eof(ep, fd), 0);
	} else {
		net_nonblock(f->fd, false);
		CHECK_EQ(recv(f->fd, buf, 4, MSG_WAITALL), 4);
		CHECK_EQ(send(f->fd, "pong", 4, 0), 4);
		net_nonblock(f->lfd, false);
		fd = MUST(accept(f->lfd, NULL, NULL));
		CHECK_EQ(recv(fd, buf, 4, MSG_WAITALL), 4);
		CHECK_EQ(send(fd, "pong", 4, 0), 4);
	}
	wait_go(fam);
	_exit(0);
}

static void be_server(struct family *fam)
{
	struct fix f = { 0 };

	signal(SIGABRT, SIG_DFL);
	server_open(&f);
	if (fam->warm)
		server_warm(&f);
	CHECK_EQ(write(fam->port[1], &f.addr, sizeof(f.addr)),
		 sizeof(f.addr));
	CHECK_EV(set_next(f.ep, f.lfd, WAIT_MS), EPOLLIN);
	f.fd = MUST(accept4(f.lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f.ep, f.fd, EPOLLIN);
	CHECK_EV(set_next(f.ep, f.fd, 0), 0);
	CHECK_EQ(send(f.fd, "before;", 7, 0), 7);
	if (!MUST(fork())) {
		/* The test waits for this end: the last of both. */
		live_on(fam, &f);
	}
	set_next(f.ep, f.fd, 1);
	end_parent(fam->end);
}

static void run(struct fix *f, enum end end, bool warm, bool loop)
{
	struct family fam = { .f = f, .end = end, .warm = warm,
			      .loop = loop };
	char byte;
	int other, status;
	pid_t pid;

	MUST(pipe(fam.go));
	MUST(pipe(fam.port));
	pid = MUST(fork());
	if (!pid) {
		close(fam.port[0]);
		close(fam.go[1]);
		be_server(&fam);
	}
	MUST(close(fam.port[1]));
	MUST(close(fam.go[0]));
	CHECK_EQ(read(fam.port[0], &f->addr, sizeof(f->addr)),
		 sizeof(f->addr));
	f->peer = net_client(&f->addr);
	peer_expect(f->peer, "before;");
	status = child_status(pid);
	CHECK_EQ(WIFEXITED(status), end == EXIT || end == USCORE_EXIT);
	/* The parent is gone, the connection and the port are not. */
	CHECK_ERRNO(recv(f->peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
	other = net_client(&f->addr);
	peer_write(f->peer, "ping", 4);
	CHECK_EQ(write(fam.go[1], "g", 1), 1);
	peer_expect(f->peer, "pong");
	peer_write(other, "ping", 4);
	peer_expect(other, "pong");
	if (loop)
		MUST(shutdown(other, SHUT_WR));
	CHECK_ERRNO(recv(f->peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(write(fam.go[1], "g", 1), 1);
	peer_eof(f->peer);
	peer_eof(other);
	/* The end of the last one closes its end of the pipe. */
	CHECK_EQ(read(fam.port[0], &byte, 1), 0);
	MUST(close(f->peer));
	MUST(close(other));
	f->peer = -1;
	MUST(close(fam.port[0]));
	MUST(close(fam.go[1]));
}

static void all(struct fix *f, enum end end)
{
	for (int i = 0; i < 4; i++)
		run(f, end, i & 1, i & 2);
}

static void t_exit(struct fix *f)
{
	all(f, EXIT);
}

static void t__exit(struct fix *f)
{
	all(f, USCORE_EXIT);
}

static void t_killed(struct fix *f)
{
	all(f, KILLED);
}

static void t_aborted(struct fix *f)
{
	all(f, ABORTED);
}

static const struct net_case cases[] = {
	{ "exit()", t_exit, BARE },
	{ "_exit()", t__exit, BARE },
	{ "SIGKILL", t_killed, BARE },
	{ "abort()", t_aborted, BARE },
};

NET_MAIN(cases)
