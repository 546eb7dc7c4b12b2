/* SPDX-License-Identifier: MIT */
/*
 * Description: RLIMIT_NOFILE down and up: EMFILE, and all that still works.
 */
/* no-asan: setrlimit() is not taken over there */
/* no-tsan: setrlimit() is not taken over there */
#include "../lib/net.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct rlimit before;

static void set_limit(rlim_t soft)
{
	struct rlimit lim = before;

	lim.rlim_cur = soft;
	MUST(setrlimit(RLIMIT_NOFILE, &lim));
}

/* So that nothing below it is free, and that is as many as it was. */
static int fill(int *fds, int max)
{
	int n = 0;

	while (n < max && (fds[n] = dup(STDIN_FILENO)) >= 0)
		n++;
	CHECK(n < max);
	CHECK_EQ(errno, EMFILE);
	return n;
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		MUST(close(fds[i]));
}

static void works(struct fix *f)
{
	char byte;

	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
}

/* Down to little more than what is open, and up again. */
static void t_down(struct fix *f)
{
	int fds[64], n;

	set_limit(40);
	n = fill(fds, 64);
	works(f);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
	works(f);
	close_all(fds, n);
	set_limit(before.rlim_cur);
	works(f);
}

static void t_accept(struct fix *f)
{
	int fds[64], n, peer = MUST(socket(AF_INET, SOCK_STREAM, 0)), fd;

	net_timeouts(peer);
	set_limit(40);
	n = fill(fds, 64);
	MUST(connect(peer, (struct sockaddr *)&f->addr, sizeof(f->addr)));
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EMFILE);
	/* It waits, and is told again. */
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EMFILE);
	works(f);
	MUST(close(fds[0]));
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	CHECK_EQ(fd, fds[0]);
	set_add(f->ep, fd, EPOLLIN);
	server_write(f->ep, fd, "z", 1);
	peer_expect(peer, "z");
	close_all(fds, n);
	MUST(close(peer));
	set_limit(before.rlim_cur);
}

/* Every call that makes one says EMFILE, and none when there is room. */
static void call_all(bool room)
{
	int ends[2];
	FILE *file;
	DIR *dir;

#define TRY(call) \
	do { \
		int fd_; \
		if (room) { \
			fd_ = MUST(call); \
			MUST(close(fd_)); \
		} else { \
			CHECK_ERRNO(call, EMFILE); \
		} \
	} while (0)

	TRY(dup(0));
	TRY(fcntl(0, F_DUPFD, 0));
	TRY(fcntl(0, F_DUPFD_CLOEXEC, 5));
	TRY(open("/dev/null", O_RDONLY));
	TRY(openat(AT_FDCWD, "/dev/null", O_RDONLY));
	TRY(socket(AF_INET, SOCK_STREAM, 0));
	TRY(eventfd(0, 0));
	TRY(timerfd_create(CLOCK_MONOTONIC, 0));
	TRY(epoll_create1(0));
	TRY(epoll_create(1));
	file = fopen("/dev/null", "r");
	CHECK_EQ(!!file, room);
	CHECK(room || errno == EMFILE);
	if (file)
		fclose(file);
	dir = opendir("/");
	CHECK_EQ(!!dir, room);
	CHECK(room || errno == EMFILE);
	if (dir)
		closedir(dir);
	if (!room) {
		CHECK_ERRNO(pipe(ends), EMFILE);
		CHECK_ERRNO(pipe2(ends, O_CLOEXEC), EMFILE);
		CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends),
			    EMFILE);
	}
}

static void t_all_calls(struct fix *f)
{
	int fds[64], n;

	set_limit(40);
	n = fill(fds, 64);
	call_all(false);
	MUST(close(fds[--n]));
	call_all(true);
	CHECK_ERRNO(fcntl(f->fd, F_DUPFD, 40), EINVAL);
	CHECK_ERRNO(dup2(f->fd, 40), EBADF);
	CHECK_ERRNO(dup3(f->fd, 40, 0), EBADF);
	works(f);
	close_all(fds, n);
	set_limit(before.rlim_cur);
}

/* The numbers of connections that are closed are the program's again. */
static void t_closed_ones(struct fix *f)
{
	int fds[64], conns[8], peers[8], n;

	for (int i = 0; i < 8; i++) {
		conns[i] = server_accept(f, &peers[i], EPOLLIN);
		CHECK_EV(set_next(f->ep, conns[i], 0), 0);
	}
	set_limit(50);
	n = fill(fds, 64);
	close_all(conns, 8);
	set_next(f->ep, -1, 0);
	for (int i = 0; i < 8; i++)
		peer_eof(peers[i]);
	/* As many as were closed, whatever the kind, and no more. */
	conns[0] = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	MUST(pipe(conns + 1));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, conns + 3));
	conns[5] = MUST(open("/dev/null", O_RDONLY));
	conns[6] = MUST(eventfd(0, 0));
	conns[7] = MUST(dup(0));
	call_all(false);
	works(f);
	close_all(conns, 8);
	close_all(peers, 8);
	close_all(fds, n);
	set_limit(before.rlim_cur);
}

/* Lowered below the numbers in use: those stay open and work. */
static void t_below(struct fix *f)
{
	int high = MUST(fcntl(f->fd, F_DUPFD, 60)), fds[64], n;

	set_limit(20);
	n = fill(fds, 64);
	MUST(close(f->fd));
	f->fd = high;
	CHECK_EQ(send(high, "a", 1, 0), 1);
	peer_expect(f->peer, "a");
	peer_write(f->peer, "b", 1);
	char byte;

	UNTIL(recv(high, &byte, 1, 0) == 1);
	fds[n++] = MUST(dup(high));
	CHECK_ERRNO(dup(high), EMFILE);
	close_all(fds, n);
	CHECK_EQ(MUST(epoll_wait(f->ep, &(struct epoll_event){ 0 }, 1, 0)),
		 0);
	set_limit(before.rlim_cur);
	server_warm(f);
}

static const struct net_case cases[] = {
	{ "a full table", t_down, BOTH },
	{ "accept(): EMFILE, and the connection waits", t_accept, BOTH },
	{ "EMFILE of every call", t_all_calls, BOTH },
	{ "closed connections leave room for any call", t_closed_ones, BOTH },
	{ "a limit below the numbers in use", t_below, BOTH },
};

int main(void)
{
	MUST(getrlimit(RLIMIT_NOFILE, &before));
	return net_main(cases, ARRAY_SIZE(cases));
}
