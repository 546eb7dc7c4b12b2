/* SPDX-License-Identifier: MIT */
/*
 * Description: a listener that processes share: its port, its options, its end.
 */
#include "../lib/net.h"

#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A process that does nothing until it is told to go. */
struct child {
	pid_t pid;
	int go;
};

static struct child child_start(void (*run)(struct fix *), struct fix *f)
{
	struct child c;
	int go[2];
	char byte;

	MUST(pipe(go));
	c.pid = MUST(fork());
	if (!c.pid) {
		MUST(close(go[1]));
		if (run)
			run(f);
		while (read(go[0], &byte, 1) > 0)
			;
		_exit(0);
	}
	MUST(close(go[0]));
	c.go = go[1];
	return c;
}

static void child_end(struct child c)
{
	MUST(close(c.go));
	child_ok(c.pid);
}

static void only_listen(struct fix *f)
{
	f->lfd = net_listen(&f->addr, 128);
}

static void drop_listener(struct fix *f)
{
	MUST(close(f->lfd));
	f->lfd = -1;
}

/* 0, or the errno of bind() or listen() for a stranger at this address. */
static int stranger(const struct sockaddr_in *addr, bool address, bool port)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0)), on = 1, err = 0;

	if (address)
		MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	if (port)
		MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	if (bind(fd, (struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    listen(fd, 1) < 0)
		err = errno;
	MUST(close(fd));
	return err;
}

static void t_taken(struct fix *f)
{
	struct sockaddr_in other;
	struct child c;

	only_listen(f);
	c = child_start(NULL, f);
	CHECK_EQ(stranger(&f->addr, false, false), EADDRINUSE);
	CHECK_EQ(stranger(&f->addr, true, false), EADDRINUSE);
	CHECK_EQ(stranger(&f->addr, false, true), EADDRINUSE);
	CHECK_EQ(stranger(&f->addr, true, true), EADDRINUSE);
	other = f->addr;
	other.sin_addr.s_addr = htonl(0x7f000009);
	CHECK_EQ(stranger(&other, false, false), 0);
	other.sin_addr.s_addr = htonl(INADDR_ANY);
	CHECK_EQ(stranger(&other, true, true), EADDRINUSE);
	child_end(c);
}

/* Free when the last process has closed it, and not before. */
static void t_free(struct fix *f)
{
	struct child c;

	only_listen(f);
	c = child_start(NULL, f);
	drop_listener(f);
	CHECK_EQ(stranger(&f->addr, true, true), EADDRINUSE);
	child_end(c);
	CHECK_EQ(stranger(&f->addr, false, false), 0);
}

static void t_killed(struct fix *f)
{
	struct child c;

	only_listen(f);
	c = child_start(NULL, f);
	drop_listener(f);
	MUST(kill(c.pid, SIGKILL));
	CHECK_EQ(child_status(c.pid), SIGKILL);
	MUST(close(c.go));
	CHECK_EQ(stranger(&f->addr, false, false), 0);
}

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	MUST(getsockopt(fd, level, name, &value, &len));
	return value;
}

static void t_reuseport(struct fix *f)
{
	struct child c;
	int on = 1;

	only_listen(f);
	c = child_start(NULL, f);
	CHECK_EQ(option(f->lfd, SOL_SOCKET, SO_REUSEPORT), 0);
	MUST(setsockopt(f->lfd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	CHECK_EQ(option(f->lfd, SOL_SOCKET, SO_REUSEPORT), 1);
	on = 0;
	MUST(setsockopt(f->lfd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	CHECK_EQ(option(f->lfd, SOL_SOCKET, SO_REUSEPORT), 0);
	CHECK_ERRNO(setsockopt(f->lfd, SOL_SOCKET, SO_REUSEPORT, &on, 1),
		    EINVAL);
	child_end(c);
}

/* Waits for the listener and answers every connection with a byte. */
static void serve(struct fix *f)
{
	struct epoll_event ev;
	int ep = MUST(epoll_create1(0)), fd, i;

	set_add(ep, f->lfd, EPOLLIN);
	for (i = 0; i < 2;) {
		CHECK(epoll_wait(ep, &ev, 1, WAIT_MS) == 1);
		fd = accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK);
		if (fd < 0)
			continue;
		set_add(ep, fd, EPOLLIN);
		CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
		CHECK_EQ(option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
		CHECK_EQ(send(fd, "x", 1, 0), 1);
		MUST(close(fd));
		i++;
	}
	MUST(close(f->lfd));
	MUST(close(ep));
}

static void ask(struct fix *f)
{
	char byte;
	int fd = net_client(&f->addr);

	peer_read(fd, &byte, 1);
	peer_eof(fd);
	MUST(close(fd));
}

/* Connections inherit what was set before the fork, and after it. */
static void t_options(struct fix *f)
{
	struct child c;
	int value = 77;

	only_listen(f);
	MUST(setsockopt(f->lfd, IPPROTO_TCP, TCP_KEEPIDLE, &value,
			sizeof(value)));
	c = child_start(serve, f);
	ask(f);
	ask(f);
	child_end(c);
}

static void t_options_later(struct fix *f)
{
	struct child first, second;
	int value = 77;

	only_listen(f);
	first = child_start(NULL, f);
	MUST(setsockopt(f->lfd, IPPROTO_TCP, TCP_KEEPIDLE, &value,
			sizeof(value)));
	second = child_start(serve, f);
	ask(f);
	ask(f);
	child_end(second);
	child_end(first);
}

/* Bound to its port by number: it keeps that while it does not listen. */
static void listen_by_number(struct fix *f)
{
	int on = 1;

	only_listen(f);
	MUST(close(f->lfd));
	f->lfd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	MUST(setsockopt(f->lfd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	MUST(bind(f->lfd, (struct sockaddr *)&f->addr, sizeof(f->addr)));
	MUST(listen(f->lfd, 16));
}

/* shutdown() by one process is the end for all; listen() begins again. */
static void t_shutdown(struct fix *f)
{
	struct child c;

	listen_by_number(f);
	c = child_start(NULL, f);
	MUST(shutdown(f->lfd, SHUT_RD));
	f->peer = MUST(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(connect(f->peer, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), ECONNREFUSED);
	MUST(listen(f->lfd, 16));
	MUST(close(f->peer));
	f->peer = net_client(&f->addr);
	child_end(c);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
}

static void stop_and_close(struct fix *f)
{
	MUST(shutdown(f->lfd, SHUT_RD));
	drop_listener(f);
}

/* Those that have it end while it does not listen. It begins again unharmed. */
static void t_stopped_end(struct fix *f)
{
	struct child stopping, ending;
	char byte;

	listen_by_number(f);
	ending = child_start(NULL, f);
	stopping = child_start(stop_and_close, f);
	child_end(stopping);
	child_end(ending);
	MUST(listen(f->lfd, 16));
	f->peer = net_client(&f->addr);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	CHECK_EQ(send(f->fd, "x", 1, MSG_NOSIGNAL), 1);
	peer_read(f->peer, &byte, 1);
}

/* The parent serves after all, with accept() alone or with poll(). */
static void t_parent_accepts(struct fix *f)
{
	struct child c;
	int peer;

	only_listen(f);
	c = child_start(NULL, f);
	peer = net_client(&f->addr);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	child_end(c);
	MUST(close(peer));
}

/* A copy of the number keeps it open. */
static void t_copied(struct fix *f)
{
	struct child c;
	int copy;

	only_listen(f);
	c = child_start(NULL, f);
	copy = MUST(dup(f->lfd));
	drop_listener(f);
	child_end(c);
	f->peer = net_client(&f->addr);
	f->fd = MUST(accept(copy, NULL, NULL));
	MUST(close(copy));
	CHECK_EQ(stranger(&f->addr, false, false), EADDRINUSE);
	net_reset(f->fd);
	f->fd = -1;
	CHECK_EQ(stranger(&f->addr, false, false), 0);
}

static const struct net_case cases[] = {
	{ "its port is taken, for whatever a stranger asks", t_taken, BARE },
	{ "its port is free when the last has closed it", t_free, BARE },
	{ "its port is free when the last was killed", t_killed, BARE },
	{ "SO_REUSEPORT is what the program has set", t_reuseport, BARE },
	{ "connections inherit options", t_options, BARE },
	{ "and those set after the fork", t_options_later, BARE },
	{ "shutdown() ends it for all, listen() begins again", t_shutdown,
	  BARE },
	{ "it has stopped, and one that has it ends", t_stopped_end, BARE },
	{ "the parent accepts", t_parent_accepts, BARE },
	{ "a copy keeps it", t_copied, BARE },
};

NET_MAIN(cases)
