/* SPDX-License-Identifier: MIT */
/*
 * Description: ENFILE, when the system's table of files is full: what waits
 * and what works on.
 *
 * The limit (fs.file-max) is the whole machine's, and does not bind root: only
 * a machine of the test's own is used.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LIMIT_FILE "/proc/sys/fs/file-max"

static char before[32];

static void limit_write(const char *text)
{
	int fd = MUST(open(LIMIT_FILE, O_WRONLY));

	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	MUST(close(fd));
}

static void limit_low(void)
{
	int fd = MUST(open(LIMIT_FILE, O_RDONLY));

	memset(before, 0, sizeof(before));
	CHECK(MUST((int)read(fd, before, sizeof(before) - 1)) > 0);
	MUST(close(fd));
	/* 0: small numbers of files are counted late, one CPU at a time. */
	limit_write("0\n");
	MUST(seteuid(65534));
}

static void limit_restore(void)
{
	MUST(seteuid(0));
	limit_write(before);
}

static void own_machine(void)
{
	const char *machine = getenv("MP_TEST_MACHINE");

	if (!machine || strcmp(machine, "own") != 0)
		tap_skip("fs.file-max is the whole machine's: make check-vm");
	if (geteuid())
		tap_skip("not root");
}

static void works(struct fix *f)
{
	char byte;

	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
}

static void t_accept(struct fix *f)
{
	int peer, fd;

	own_machine();
	peer = MUST(socket(AF_INET, SOCK_STREAM, 0));
	net_timeouts(peer);
	limit_low();
	MUST(connect(peer, (struct sockaddr *)&f->addr, sizeof(f->addr)));
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), ENFILE);
	/* It waits, and is told again. */
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), ENFILE);
	works(f);
	limit_restore();
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f->ep, fd, EPOLLIN);
	server_write(f->ep, fd, "z", 1);
	peer_expect(peer, "z");
	MUST(close(fd));
	peer_eof(peer);
	MUST(close(peer));
}

static void t_others(struct fix *f)
{
	int ends[2], copy;

	own_machine();
	limit_low();
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), ENFILE);
	CHECK_ERRNO(open("/dev/null", O_RDONLY), ENFILE);
	CHECK_ERRNO(epoll_create1(0), ENFILE);
	CHECK_ERRNO(eventfd(0, 0), ENFILE);
	CHECK_ERRNO(pipe(ends), ENFILE);
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ENFILE);
	/* No file is made for a number more. */
	copy = MUST(dup(f->fd));
	CHECK_EQ(send(copy, "d", 1, 0), 1);
	peer_expect(f->peer, "d");
	MUST(close(copy));
	works(f);
	limit_restore();
	works(f);
}

/* Those that were there when the limit was reached end as ever. */
static void t_close(struct fix *f)
{
	own_machine();
	limit_low();
	works(f);
	MUST(close(f->fd));
	f->fd = -1;
	peer_eof(f->peer);
	limit_restore();
	server_warm(f);
}

static const struct net_case cases[] = {
	{ "accept(): the connection waits", t_accept, BOTH },
	{ "other calls", t_others, BOTH },
	{ "what is open works on", t_close, BOTH },
};

NET_MAIN(cases)
