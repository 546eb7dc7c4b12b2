/* SPDX-License-Identifier: MIT */
/*
 * Description: every kind of descriptor beside connections; nobody starves.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

/* One kind: how it is made, made ready, and read empty. */
struct kind {
	int fd, other;
	char path[64];
};

static void make_pipe(struct kind *k)
{
	int ends[2];

	MUST(pipe2(ends, O_NONBLOCK));
	k->fd = ends[0];
	k->other = ends[1];
}

static void make_unix(struct kind *k, int type)
{
	int ends[2];

	MUST(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends));
	k->fd = ends[0];
	k->other = ends[1];
}

static void make_unix_stream(struct kind *k)
{
	make_unix(k, SOCK_STREAM);
}

static void make_unix_packets(struct kind *k)
{
	make_unix(k, SOCK_SEQPACKET);
}

static void make_udp(struct kind *k)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa);

	k->fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	k->other = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(bind(k->fd, (struct sockaddr *)&sa, len));
	MUST(getsockname(k->fd, (struct sockaddr *)&sa, &len));
	MUST(connect(k->other, (struct sockaddr *)&sa, len));
}

static void make_eventfd(struct kind *k)
{
	k->fd = MUST(eventfd(0, EFD_NONBLOCK));
}

static void make_timer(struct kind *k)
{
	k->fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
}

static void make_signals(struct kind *k)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	k->fd = MUST(signalfd(-1, &set, SFD_NONBLOCK));
}

static void make_inotify(struct kind *k)
{
	strcpy(k->path, "/tmp/epoll_kinds.XXXXXX");
	CHECK(mkdtemp(k->path) != NULL);
	k->fd = MUST(inotify_init1(IN_NONBLOCK));
	MUST(inotify_add_watch(k->fd, k->path, IN_ATTRIB));
}

static void ready_by_write(struct kind *k)
{
	CHECK_EQ(write(k->other, "x", 1), 1);
}

static void ready_eventfd(struct kind *k)
{
	uint64_t one = 1;

	CHECK_EQ(write(k->fd, &one, 8), 8);
}

static void ready_timer(struct kind *k)
{
	struct itimerspec when = { .it_value.tv_nsec = 1 };
	struct pollfd p = { .fd = k->fd, .events = POLLIN };

	MUST(timerfd_settime(k->fd, 0, &when, NULL));
	/* It expires in an interrupt, which may come late. */
	CHECK_EQ(poll(&p, 1, WAIT_MS), 1);
}

static void ready_signal(struct kind *k)
{
	(void)k;
	CHECK_EQ(pthread_kill(pthread_self(), SIGUSR2), 0);
}

static void ready_inotify(struct kind *k)
{
	MUST(chmod(k->path, 0700));
}

static const struct maker {
	const char *name;
	void (*make)(struct kind *k);
	void (*ready)(struct kind *k);
} makers[] = {
	{ "a pipe", make_pipe, ready_by_write },
	{ "a unix stream", make_unix_stream, ready_by_write },
	{ "unix packets", make_unix_packets, ready_by_write },
	{ "UDP", make_udp, ready_by_write },
	{ "an eventfd", make_eventfd, ready_eventfd },
	{ "a timerfd", make_timer, ready_timer },
	{ "a signalfd", make_signals, ready_signal },
	{ "inotify", make_inotify, ready_inotify },
};

#define KINDS ARRAY_SIZE(makers)

static void make(size_t i, struct kind *k)
{
	*k = (struct kind){ .fd = -1, .other = -1 };
	makers[i].make(k);
}

static void drop(struct kind *k)
{
	MUST(close(k->fd));
	if (k->other >= 0)
		MUST(close(k->other));
	if (k->path[0])
		MUST(rmdir(k->path));
}

static void drain(struct kind *k)
{
	char buf[4096];

	while (read(k->fd, buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
}

static void expect(struct fix *f, size_t i, int fd, uint32_t want)
{
	uint32_t got = set_next(f->ep, fd, want ? WAIT_MS : 0);

	if (got != want)
		tap_fail(__FILE__, __LINE__, "%s: %s, want %s",
			 makers[i].name, tap_evs(got), tap_evs(want));
}

/* Level: told until it is empty. */
static void t_level(struct fix *f)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct kind k;

		make(i, &k);
		set_add(f->ep, k.fd, EPOLLIN);
		for (int round = 0; round < 3; round++) {
			expect(f, i, k.fd, 0);
			makers[i].ready(&k);
			expect(f, i, k.fd, EPOLLIN);
			expect(f, i, k.fd, EPOLLIN);
			drain(&k);
		}
		expect(f, i, k.fd, 0);
		set_del(f->ep, k.fd);
		makers[i].ready(&k);
		expect(f, i, k.fd, 0);
		set_add(f->ep, k.fd, EPOLLIN);
		expect(f, i, k.fd, EPOLLIN);
		drain(&k);
		drop(&k);
	}
}

static void t_edge(struct fix *f)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct kind k;

		make(i, &k);
		set_add(f->ep, k.fd, EPOLLIN | EPOLLET);
		for (int round = 0; round < 3; round++) {
			makers[i].ready(&k);
			expect(f, i, k.fd, EPOLLIN);
			expect(f, i, k.fd, 0);
			drain(&k);
		}
		drop(&k);
	}
}

static void t_oneshot(struct fix *f)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct kind k;

		make(i, &k);
		set_add(f->ep, k.fd, EPOLLIN | EPOLLONESHOT);
		for (int round = 0; round < 3; round++) {
			makers[i].ready(&k);
			expect(f, i, k.fd, EPOLLIN);
			expect(f, i, k.fd, 0);
			drain(&k);
			makers[i].ready(&k);
			expect(f, i, k.fd, 0);
			set_mod(f->ep, k.fd, EPOLLIN | EPOLLONESHOT);
			expect(f, i, k.fd, EPOLLIN);
			drain(&k);
			set_mod(f->ep, k.fd, EPOLLIN | EPOLLONESHOT);
		}
		drop(&k);
	}
}

/* A process that ends. */
static void t_pidfd(struct fix *f)
{
	pid_t pid = MUST(fork());
	int fd;

	if (!pid)
		for (;;)
			pause();
	fd = MUST((int)syscall(SYS_pidfd_open, pid, 0));
	set_add(f->ep, fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, fd, 0), 0);
	MUST(kill(pid, SIGKILL));
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	child_status(pid);
	CHECK(set_next(f->ep, fd, 0) & EPOLLIN);
	MUST(close(fd));
}

/* A listening unix socket is no listener of ours. */
static void t_unix_listener(struct fix *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int lfd = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	int peer = MUST(socket(AF_UNIX, SOCK_STREAM, 0)), fd;
	socklen_t len = sizeof(sa);
	char byte;

	/* An abstract name that the kernel chooses. */
	MUST(bind(lfd, (struct sockaddr *)&sa, sizeof(sa.sun_family)));
	MUST(getsockname(lfd, (struct sockaddr *)&sa, &len));
	MUST(listen(lfd, 4));
	set_add(f->ep, lfd, EPOLLIN);
	CHECK_EV(set_next(f->ep, lfd, 0), 0);
	MUST(connect(peer, (struct sockaddr *)&sa, len));
	CHECK_EV(set_next(f->ep, lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f->ep, fd, EPOLLIN | EPOLLRDHUP);
	CHECK_EQ(write(peer, "u", 1), 1);
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(read(fd, &byte, 1), 1);
	MUST(close(peer));
	CHECK_EV(set_next(f->ep, fd, WAIT_MS),
		 EPOLLIN | EPOLLRDHUP | EPOLLHUP);
	MUST(close(fd));
	MUST(close(lfd));
}

/*
 * All kinds are ready and nobody reads them (an eventfd for ever), one
 * connection echoes: each gets its turn within a few waits, whatever
 * maxevents is.
 */
static void fair(struct fix *f, int max)
{
	struct epoll_event ev[16];
	struct kind k[KINDS];
	int seen[KINDS] = { 0 }, echoes = 0, waits = 0;
	char byte;

	for (size_t i = 0; i < KINDS; i++) {
		make(i, &k[i]);
		set_add(f->ep, k[i].fd, EPOLLIN);
		makers[i].ready(&k[i]);
	}
	peer_write(f->peer, "x", 1);
	for (; waits < 400 && echoes < 20; waits++) {
		int n = MUST(epoll_wait(f->ep, ev, max, WAIT_MS));

		CHECK(n >= 1 && n <= max);
		for (int e = 0; e < n; e++) {
			for (size_t i = 0; i < KINDS; i++)
				seen[i] += ev[e].data.fd == k[i].fd;
			if (ev[e].data.fd != f->fd)
				continue;
			CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
			CHECK_EQ(send(f->fd, &byte, 1, 0), 1);
			/* As a turn of the loop, for the echo to go out. */
			set_next(f->ep, -1, 0);
			peer_read(f->peer, &byte, 1);
			peer_write(f->peer, &byte, 1);
			echoes++;
		}
	}
	CHECK_EQ(echoes, 20);
	for (size_t i = 0; i < KINDS; i++) {
		if (seen[i] < 2)
			tap_fail(__FILE__, __LINE__,
				 "%s: seen %d times in %d waits",
				 makers[i].name, seen[i], waits);
		drain(&k[i]);
		drop(&k[i]);
	}
}

static void t_fair(struct fix *f)
{
	fair(f, 1);
}

static void t_fair_three(struct fix *f)
{
	fair(f, 3);
}

/* The other way round: a connection full of unread bytes, and kinds that
 * get ready one by one. */
static void t_fair_to_them(struct fix *f)
{
	static const char much[20000];

	peer_write(f->peer, much, sizeof(much));
	for (size_t i = 0; i < KINDS; i++) {
		struct epoll_event ev;
		struct kind k;
		int waits = 0;

		make(i, &k);
		set_add(f->ep, k.fd, EPOLLIN);
		makers[i].ready(&k);
		do {
			CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, WAIT_MS)),
				 1);
		} while (ev.data.fd != k.fd && ++waits < 10);
		if (ev.data.fd != k.fd)
			tap_fail(__FILE__, __LINE__, "%s: starved",
				 makers[i].name);
		drain(&k);
		drop(&k);
	}
}

static const struct net_case cases[] = {
	{ "level-triggered, of each kind", t_level, BOTH },
	{ "edge-triggered, of each kind", t_edge, BOTH },
	{ "one-shot, of each kind", t_oneshot, BOTH },
	{ "a pidfd", t_pidfd, BOTH },
	{ "a unix listener", t_unix_listener, BOTH },
	{ "fair to a connection, maxevents 1", t_fair, BOTH },
	{ "fair to a connection, maxevents 3", t_fair_three, BOTH },
	{ "fair to each kind, maxevents 1", t_fair_to_them, BOTH },
};

NET_MAIN(cases)
