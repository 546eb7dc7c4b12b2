/* SPDX-License-Identifier: MIT */
/*
 * Description: what a process was told of and did not accept is its siblings'.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_CLIENTS 12
#define CLIENTS 6

/* How the first process leaves its connections. */
static int way;
enum { CLOSE, DUP, EXIT, UNDERSCORE, EXEC, DELETE, KEEP };

/* Its own name, twice: as accept() and as getpeername() say it. */
static void answer(int fd, const struct sockaddr_in *name)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	MUST(getpeername(fd, (struct sockaddr *)&peer, &len));
	CHECK_EQ(len, sizeof(peer));
	CHECK_EQ(send(fd, &name->sin_port, 2, 0), 2);
	CHECK_EQ(send(fd, &peer.sin_port, 2, 0), 2);
	MUST(close(fd));
}

/* What waits, at most so many: more are not to be served here. */
static int serve_now(struct fix *f, int ep, int max)
{
	struct sockaddr_in name;
	socklen_t len;
	int fd, n = 0;

	for (; n < max; n++) {
		len = sizeof(name);
		fd = accept4(f->lfd, (struct sockaddr *)&name, &len,
			     SOCK_NONBLOCK);
		if (fd < 0)
			return n;
		set_add(ep, fd, EPOLLIN);
		CHECK_EQ(len, sizeof(name));
		answer(fd, &name);
	}
	return n;
}

static int serve(struct fix *f, int ep, int max)
{
	struct epoll_event ev;

	CHECK_EQ(epoll_wait(ep, &ev, 1, 4 * WAIT_MS), 1);
	if (ev.data.fd != f->lfd)
		_exit(0);
	return serve_now(f, ep, max);
}

static void leave(struct fix *f, int ep, int end)
{
	struct epoll_event ev;
	int served = 0;
	char byte;

	switch (way) {
	case CLOSE:
		MUST(close(f->lfd));
		break;
	case DUP:
		MUST(dup2(end, f->lfd));
		break;
	case EXIT:
		exit(0);
	case UNDERSCORE:
		_exit(0);
	case EXEC:
		execl("/bin/true", "true", NULL);
		_exit(127);
	case DELETE:
		set_del(ep, f->lfd);
		break;
	case KEEP:
		set_del(ep, f->lfd);
		CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
		/* The last step of a connection may come a moment later. */
		UNTIL((served += serve_now(f, ep, CLIENTS - served)) ==
		      CLIENTS);
		break;
	}
	/* It goes on, and looks for other events. */
	set_add(ep, end, EPOLLIN);
	CHECK(set_next(ep, end, 4 * WAIT_MS));
	CHECK_EQ(read(end, &byte, 1), 0);
	_exit(0);
}

struct child {
	pid_t pid;
	int told;		/* a byte comes when it was told */
	int end;		/* closed: it leaves, or ends */
};

static struct child child_start(struct fix *f, bool heir)
{
	int told[2], end[2], ep, n;
	struct child c;
	struct epoll_event ev;
	char byte;

	MUST(pipe(told));
	MUST(pipe(end));
	c.pid = MUST(fork());
	if (c.pid) {
		MUST(close(told[1]));
		MUST(close(end[0]));
		c.told = told[0];
		c.end = end[1];
		return c;
	}
	MUST(close(end[1]));
	ep = MUST(epoll_create1(EPOLL_CLOEXEC));
	set_add(ep, f->lfd, EPOLLIN);
	if (heir)
		set_add(ep, end[0], EPOLLIN);
	for (n = 0; heir || n < WARM_CLIENTS;)
		n += serve(f, ep, WARM_CLIENTS - (heir ? 0 : n));
	CHECK_EQ(epoll_wait(ep, &ev, 1, WAIT_MS), 1);
	CHECK_EQ(ev.data.fd, f->lfd);
	CHECK_EQ(write(told[1], "t", 1), 1);
	CHECK_EQ(read(end[0], &byte, 1), 1);
	leave(f, ep, end[0]);
	_exit(1);
}

static void child_go(const struct child *c)
{
	CHECK_EQ(write(c->end, "g", 1), 1);
}

static void child_end(const struct child *c)
{
	MUST(close(c->end));
	MUST(close(c->told));
	child_ok(c->pid);
}

static void expect_names(const int *peers, int count)
{
	struct sockaddr_in own;
	socklen_t len;
	in_port_t port[2];
	int i;

	for (i = 0; i < count; i++) {
		len = sizeof(own);
		MUST(getsockname(peers[i], (struct sockaddr *)&own, &len));
		peer_read(peers[i], port, sizeof(port));
		CHECK_EQ(port[0], own.sin_port);
		CHECK_EQ(port[1], own.sin_port);
		peer_eof(peers[i]);
		MUST(close(peers[i]));
	}
}

static void connect_all(struct fix *f, int *peers, int count)
{
	int i;

	for (i = 0; i < count; i++)
		peers[i] = net_client(&f->addr);
}

/* The leaver has served, is told of more, and leaves; the heir begins to wait
 * before that, or exists only then. */
static void inherit(struct fix *f, bool waits)
{
	int peers[WARM_CLIENTS];
	struct child leaver, heir;
	char byte;

	f->lfd = net_listen(&f->addr, 128);
	leaver = child_start(f, false);
	connect_all(f, peers, WARM_CLIENTS);
	expect_names(peers, WARM_CLIENTS);
	connect_all(f, peers, CLIENTS);
	CHECK_EQ(read(leaver.told, &byte, 1), 1);
	if (waits)
		heir = child_start(f, true);
	child_go(&leaver);
	if (way == EXIT || way == UNDERSCORE || way == EXEC)
		child_ok(leaver.pid);
	/* Here the leaver itself is to have them. */
	if (way == KEEP)
		expect_names(peers, CLIENTS);
	if (!waits)
		heir = child_start(f, true);
	if (way != KEEP)
		expect_names(peers, CLIENTS);
	child_end(&heir);
	MUST(close(leaver.end));
	MUST(close(leaver.told));
	if (way == CLOSE || way == DUP || way == DELETE || way == KEEP)
		child_ok(leaver.pid);
}

#define HEIR(name, how, waits)                                            \
	static void name(struct fix *f)                                   \
	{                                                                 \
		way = how;                                                \
		inherit(f, waits);                                        \
	}

HEIR(t_close, CLOSE, false)
HEIR(t_dup, DUP, false)
HEIR(t_exit, EXIT, false)
HEIR(t_underscore, UNDERSCORE, false)
HEIR(t_exec, EXEC, false)
HEIR(t_delete, DELETE, false)
HEIR(t_keep, KEEP, false)
HEIR(t_close_waits, CLOSE, true)
HEIR(t_exit_waits, EXIT, true)
HEIR(t_delete_waits, DELETE, true)

static const struct net_case cases[] = {
	{ "close(), a later process serves", t_close, BARE },
	{ "dup2() over it", t_dup, BARE },
	{ "exit()", t_exit, BARE },
	{ "_exit()", t_underscore, BARE },
	{ "exec", t_exec, BARE },
	{ "EPOLL_CTL_DEL", t_delete, BARE },
	{ "EPOLL_CTL_DEL, and accept() all the same", t_keep, BARE },
	{ "close(), another one waits", t_close_waits, BARE },
	{ "exit(), another one waits", t_exit_waits, BARE },
	{ "EPOLL_CTL_DEL, another one waits", t_delete_waits, BARE },
};

NET_MAIN(cases)
