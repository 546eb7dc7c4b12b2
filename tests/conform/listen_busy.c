/* SPDX-License-Identifier: MIT */
/*
 * Description: a process that does not wait takes nothing from a listener that
 * others have too.
 */
#include "../lib/net.h"

#include <string.h>
#include <unistd.h>

/* How the child has got the listener, how both wait, and what the child does
 * with the connection that it was told of. */
static uint32_t events = EPOLLIN;
static bool passed, ends;

static void send_fd(int sock, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET,
				SCM_RIGHTS } };
	struct iovec iov = { (void *)"f", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(sock, &msg, 0), 1);
}

static int receive_fd(int sock)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = room,
			      .msg_controllen = sizeof(room) };
	int fd;

	CHECK_EQ(recvmsg(sock, &msg, 0), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The child waits for a connection (*ms* < 0) or for none, and then for
 * something else. */
static void busy_child(int sock, int lfd, int ms)
{
	int ep = MUST(epoll_create1(0));
	struct epoll_event ev;
	char byte;

	if (passed)
		lfd = receive_fd(sock);
	set_add(ep, lfd, events);
	CHECK_EQ(epoll_wait(ep, &ev, 1, ms ? WAIT_MS : 0), !!ms);
	CHECK_EQ(write(sock, "b", 1), 1);
	if (!ends)
		CHECK_EQ(read(sock, &byte, 1), 0);
	_exit(0);
}

struct child {
	pid_t pid;
	int sock;
};

/* The parent has waited for the listener before: it is no master. */
static struct child child_start(struct fix *f, int ms)
{
	struct child c;
	int pair[2];
	struct epoll_event ev;

	f->lfd = net_listen(&f->addr, 128);
	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->lfd, events);
	CHECK_EQ(epoll_wait(f->ep, &ev, 1, 0), 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	c.pid = MUST(fork());
	if (!c.pid) {
		MUST(close(pair[0]));
		MUST(close(f->ep));
		if (passed)
			MUST(close(f->lfd));
		busy_child(pair[1], f->lfd, ms);
	}
	MUST(close(pair[1]));
	c.sock = pair[0];
	net_timeouts(c.sock);
	if (passed)
		send_fd(c.sock, f->lfd);
	return c;
}

static void child_is_busy(const struct child *c)
{
	char byte;

	CHECK_EQ(read(c->sock, &byte, 1), 1);
}

static void child_end(const struct child *c)
{
	MUST(close(c->sock));
	child_ok(c->pid);
}

/* The other process is woken and has the connection. */
static void parent_serves(struct fix *f)
{
	CHECK(set_next(f->ep, f->lfd, WAIT_MS));
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	CHECK_EQ(send(f->fd, "hi", 2, 0), 2);
	peer_expect(f->peer, "hi");
}

static void t_waited(struct fix *f)
{
	struct child c = child_start(f, 0);

	child_is_busy(&c);
	f->peer = net_client(&f->addr);
	parent_serves(f);
	child_end(&c);
}

static void t_told(struct fix *f)
{
	struct child c = child_start(f, -1);

	f->peer = net_client(&f->addr);
	child_is_busy(&c);
	if (ends)
		child_ok(c.pid);
	parent_serves(f);
	if (ends)
		MUST(close(c.sock));
	else
		child_end(&c);
}

static void with(struct fix *f, void (*run)(struct fix *), uint32_t mask,
		 bool by_message)
{
	events = mask;
	passed = by_message;
	ends = false;
	run(f);
}

static void t_waited_level(struct fix *f)
{
	with(f, t_waited, EPOLLIN, false);
}

static void t_waited_exclusive(struct fix *f)
{
	with(f, t_waited, EPOLLIN | EPOLLEXCLUSIVE, false);
}

static void t_waited_edge(struct fix *f)
{
	with(f, t_waited, EPOLLIN | EPOLLET, false);
}

static void t_waited_passed(struct fix *f)
{
	with(f, t_waited, EPOLLIN, true);
}

static void t_told_level(struct fix *f)
{
	with(f, t_told, EPOLLIN, false);
}

static void t_told_exclusive(struct fix *f)
{
	with(f, t_told, EPOLLIN | EPOLLEXCLUSIVE, false);
}

static void t_told_passed(struct fix *f)
{
	with(f, t_told, EPOLLIN, true);
}

static void t_told_ends(struct fix *f)
{
	events = EPOLLIN;
	passed = false;
	ends = true;
	t_told(f);
}

/* The process that took ahead while it was alone: not after the fork. */
static void t_parent_busy(struct fix *f)
{
	struct epoll_event ev;
	int up[2], ep;
	pid_t pid;
	char byte;

	f->lfd = net_listen(&f->addr, 128);
	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->lfd, EPOLLIN);
	CHECK_EQ(epoll_wait(f->ep, &ev, 1, 0), 0);
	MUST(pipe(up));
	pid = MUST(fork());
	if (!pid) {
		ep = MUST(epoll_create1(0));
		set_add(ep, f->lfd, EPOLLIN);
		CHECK_EQ(write(up[1], "u", 1), 1);
		CHECK(set_next(ep, f->lfd, WAIT_MS));
		f->fd = MUST(accept(f->lfd, NULL, NULL));
		CHECK_EQ(send(f->fd, "hi", 2, 0), 2);
		_exit(0);
	}
	CHECK_EQ(read(up[0], &byte, 1), 1);
	f->peer = net_client(&f->addr);
	peer_expect(f->peer, "hi");
	child_ok(pid);
	MUST(close(up[0]));
	MUST(close(up[1]));
}

static const struct net_case cases[] = {
	{ "it has waited", t_waited_level, BARE },
	{ "with EPOLLEXCLUSIVE", t_waited_exclusive, BARE },
	{ "with EPOLLET", t_waited_edge, BARE },
	{ "it has got the listener by a message", t_waited_passed, BARE },
	{ "it was told", t_told_level, BARE },
	{ "it was told, with EPOLLEXCLUSIVE", t_told_exclusive, BARE },
	{ "it was told, and the listener came by a message", t_told_passed,
	  BARE },
	{ "it was told, and ends", t_told_ends, BARE },
	{ "the process that was alone with it", t_parent_busy, BARE },
};

NET_MAIN(cases)
