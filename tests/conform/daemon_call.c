/* SPDX-License-Identifier: MIT */
/*
 * Description: daemon() and a double fork: the child goes on with the loop.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum way { DAEMON, DOUBLE_FORK };

/* One more echo in the loop. */
static void echo(struct fix *f, int fd)
{
	char buf[4];

	server_read(f->ep, fd, buf, 4);
	server_write(f->ep, fd, buf, 4);
}

static void leave_parent(enum way way)
{
	if (way == DAEMON) {
		MUST(daemon(1, 1));
		return;
	}
	if (MUST(fork()))
		_exit(0);
	MUST(setsid());
	if (MUST(fork()))
		_exit(0);
}

/*
 * The set, the listener, a connection with bytes unread, an eventfd that is
 * never read: all are in the set, and the child waits on it.
 */
static void be_server(enum way way, bool warm, int port)
{
	struct fix f = { 0 };
	int event, second;
	char byte;

	server_open(&f);
	event = MUST(eventfd(1, EFD_NONBLOCK));
	set_add(f.ep, event, EPOLLIN | EPOLLET);
	if (warm)
		server_warm(&f);
	CHECK_EQ(write(port, &f.addr, sizeof(f.addr)), sizeof(f.addr));
	CHECK_EV(set_next(f.ep, f.lfd, WAIT_MS), EPOLLIN);
	f.fd = MUST(accept4(f.lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f.ep, f.fd, EPOLLIN | EPOLLRDHUP);
	echo(&f, f.fd);
	CHECK_EQ(send(f.fd, "last;", 5, 0), 5);
	leave_parent(way);
	echo(&f, f.fd);
	CHECK_EV(set_next(f.ep, f.lfd, WAIT_MS), EPOLLIN);
	second = MUST(accept4(f.lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f.ep, second, EPOLLIN);
	echo(&f, second);
	/* Interest changes, membership ends, the peer's end is told. */
	set_mod(f.ep, f.fd, EPOLLOUT);
	CHECK_EV(set_next(f.ep, f.fd, WAIT_MS), EPOLLOUT);
	set_mod(f.ep, f.fd, EPOLLIN | EPOLLRDHUP);
	CHECK_EQ(send(f.fd, "end?", 4, 0), 4);
	CHECK_EV(set_next(f.ep, f.fd, WAIT_MS), EPOLLIN | EPOLLRDHUP);
	CHECK_EQ(recv(f.fd, &byte, 1, 0), 0);
	set_del(f.ep, f.fd);
	CHECK_EV(set_next(f.ep, f.fd, 0), 0);
	_exit(0);
}

static void run(struct fix *f, enum way way, bool warm)
{
	int port[2], second;
	char byte;
	pid_t pid;

	MUST(pipe(port));
	pid = MUST(fork());
	if (!pid) {
		close(port[0]);
		be_server(way, warm, port[1]);
	}
	MUST(close(port[1]));
	CHECK_EQ(read(port[0], &f->addr, sizeof(f->addr)), sizeof(f->addr));
	f->peer = net_client(&f->addr);
	peer_write(f->peer, "ping", 4);
	peer_expect(f->peer, "pinglast;");
	child_ok(pid);
	peer_write(f->peer, "pong", 4);
	peer_expect(f->peer, "pong");
	second = net_client(&f->addr);
	peer_write(second, "ping", 4);
	peer_expect(second, "ping");
	peer_expect(f->peer, "end?");
	MUST(shutdown(f->peer, SHUT_WR));
	peer_eof(f->peer);
	peer_eof(second);
	CHECK_EQ(read(port[0], &byte, 1), 0);
	MUST(close(port[0]));
	MUST(close(second));
}

static void t_daemon_cold(struct fix *f)
{
	run(f, DAEMON, false);
}

static void t_daemon_warm(struct fix *f)
{
	run(f, DAEMON, true);
}

static void t_double_cold(struct fix *f)
{
	run(f, DOUBLE_FORK, false);
}

static void t_double_warm(struct fix *f)
{
	run(f, DOUBLE_FORK, true);
}

static const struct net_case cases[] = {
	{ "daemon() (cold)", t_daemon_cold, BARE },
	{ "daemon() (warm)", t_daemon_warm, BARE },
	{ "a double fork (cold)", t_double_cold, BARE },
	{ "a double fork (warm)", t_double_warm, BARE },
};

NET_MAIN(cases)
