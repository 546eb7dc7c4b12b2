/* SPDX-License-Identifier: MIT */
/*
 * Description: select() with numbers above FD_SETSIZE, from any thread, errno.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#define HIGH 1500
#define LARGE 4096
#define WORD (8 * sizeof(long))

/* What programs with many descriptors do: a set of their own size. */
struct large {
	unsigned long bits[LARGE / WORD];
};

static void set_bit(struct large *set, int fd)
{
	set->bits[fd / WORD] |= 1ul << fd % WORD;
}

static bool has_bit(const struct large *set, int fd)
{
	return set->bits[fd / WORD] >> fd % WORD & 1;
}

static int count_bits(const struct large *set)
{
	int n = 0;

	for (int i = 0; i < LARGE; i++)
		n += has_bit(set, i);
	return n;
}

static int select_in(struct large *set, int count, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return select(count, (fd_set *)set->bits, NULL, NULL, &tv);
}

static void need_numbers(void)
{
	struct rlimit lim;

	MUST(getrlimit(RLIMIT_NOFILE, &lim));
	if (lim.rlim_cur >= LARGE)
		return;
	lim.rlim_cur = LARGE;
	if (lim.rlim_max < LARGE || setrlimit(RLIMIT_NOFILE, &lim))
		tap_skip("not so many descriptors are allowed");
}

/*
 * A count of all numbers there may be, libc's short set, and nothing behind
 * it: the kernel looks no farther than the descriptor table reaches.
 */
static void t_short_set(struct fix *f)
{
	struct timeval tv = { WAIT_MS / 1000, 0 };
	long page = sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd_set *set = (fd_set *)(map + page - sizeof(fd_set));

	need_numbers();
	CHECK(map != MAP_FAILED);
	MUST(mprotect(map + page, page, PROT_NONE));
	FD_SET(f->lfd, set);
	peer_write(f->peer, "x", 1);
	for (int i = 0; i < 2; i++) {
		FD_SET(f->fd, set);
		CHECK_EQ(MUST(select(getdtablesize(), set, NULL, NULL, &tv)),
			 1);
		CHECK(FD_ISSET(f->fd, set) && !FD_ISSET(f->lfd, set));
	}
	MUST(munmap(map, 2 * page));
}

/* The connection has a small number, the count is large. */
static void t_large_count(struct fix *f)
{
	struct large set = { 0 };
	char byte;

	set_bit(&set, f->fd);
	CHECK_EQ(MUST(select_in(&set, LARGE, 5)), 0);
	CHECK_EQ(count_bits(&set), 0);
	peer_write(f->peer, "x", 1);
	set_bit(&set, f->fd);
	CHECK_EQ(MUST(select_in(&set, LARGE, WAIT_MS)), 1);
	CHECK(has_bit(&set, f->fd) && count_bits(&set) == 1);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EQ(MUST(select_in(&set, LARGE, 0)), 0);
}

/* Bytes were read ahead: they are answered from memory. */
static void t_unread(struct fix *f)
{
	struct large set = { 0 };

	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_bit(&set, f->fd);
	set_bit(&set, f->lfd);
	CHECK_EQ(MUST(select_in(&set, LARGE, WAIT_MS)), 1);
	CHECK(has_bit(&set, f->fd) && count_bits(&set) == 1);
}

/* The connection itself has a large number. */
static void t_large_number(struct fix *f)
{
	struct large in = { 0 }, out = { 0 };
	int high, ends[2];
	char byte;

	need_numbers();
	high = MUST(fcntl(f->fd, F_DUPFD, HIGH));
	MUST(pipe(ends));
	set_bit(&in, high);
	set_bit(&in, ends[0]);
	set_bit(&out, high);
	CHECK_EQ(MUST(select(high + 1, (fd_set *)in.bits, (fd_set *)out.bits,
			     NULL, NULL)), 1);
	CHECK(has_bit(&out, high) && !count_bits(&in));
	CHECK_EQ(write(ends[1], "x", 1), 1);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_bit(&in, high);
	set_bit(&in, ends[0]);
	CHECK_EQ(MUST(select_in(&in, high + 1, WAIT_MS)), 2);
	CHECK(has_bit(&in, high) && has_bit(&in, ends[0]));
	CHECK_EQ(recv(high, &byte, 1, 0), 1);
	CHECK_EQ(byte, 'x');
	MUST(close(high));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* Numbers at or above the count are not looked at. */
static void t_count_ends(struct fix *f)
{
	struct large set = { 0 };

	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_bit(&set, f->fd);
	CHECK_EQ(MUST(select_in(&set, f->fd, 0)), 0);
	CHECK_EQ(MUST(select_in(&set, 0, 0)), 0);
}

/* A thread that never waited on a set. */
static void *select_elsewhere(void *arg)
{
	struct fix *f = arg;
	struct timeval tv = { WAIT_MS / 1000, 0 };
	fd_set in, out;
	char byte;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(f->fd, &in);
	FD_SET(f->fd, &out);
	CHECK_EQ(MUST(select(f->fd + 1, &in, &out, NULL, &tv)), 2);
	CHECK(FD_ISSET(f->fd, &in) && FD_ISSET(f->fd, &out));
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	FD_SET(f->fd, &in);
	tv = (struct timeval){ 0, 1000 };
	CHECK_EQ(MUST(select(f->fd + 1, &in, NULL, NULL, &tv)), 0);
	return NULL;
}

static void t_other_thread(struct fix *f)
{
	for (int i = 0; i < 2; i++) {
		peer_write(f->peer, "x", 1);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		thread_join(thread_start(select_elsewhere, f));
	}
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
}

/* One bad number spoils it, also when something is ready. */
static void t_errno(struct fix *f)
{
	struct timeval tv = { 0 }, negative = { -1, 0 };
	volatile int bad = -1;
	struct large set = { 0 };
	int fd = MUST(dup(STDIN_FILENO));

	MUST(close(fd));
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_bit(&set, f->fd);
	set_bit(&set, fd);
	CHECK_ERRNO(select_in(&set, 64, 0), EBADF);
	CHECK_ERRNO(select(bad, NULL, NULL, NULL, &tv), EINVAL);
	memset(&set, 0, sizeof(set));
	set_bit(&set, f->fd);
	CHECK_ERRNO(select(bad, (fd_set *)set.bits, NULL, NULL, &tv), EINVAL);
	CHECK_ERRNO(select(64, (fd_set *)set.bits, NULL, NULL, &negative),
		    EINVAL);
	CHECK_EQ(MUST(select_in(&set, 64, 0)), 1);
}

/* The number of a connection that was closed. */
static void t_closed(struct fix *f)
{
	struct large set = { 0 };

	set_bit(&set, f->fd);
	MUST(close(f->fd));
	CHECK_ERRNO(select_in(&set, f->fd + 1, 0), EBADF);
	CHECK_ERRNO(select_in(&set, LARGE, 0), EBADF);
	f->fd = -1;
}

/* Urgent data is an exception, and only that. */
static void t_exception(struct fix *f)
{
	struct timeval tv = { WAIT_MS / 1000, 0 };
	fd_set ex;

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLPRI);
	FD_ZERO(&ex);
	FD_SET(f->fd, &ex);
	peer_write(f->peer, "x", 1);
	CHECK_EQ(send(f->peer, "!", 1, MSG_OOB), 1);
	CHECK_EQ(MUST(select(f->fd + 1, NULL, NULL, &ex, &tv)), 1);
	CHECK(FD_ISSET(f->fd, &ex));
}

static const struct net_case cases[] = {
	{ "libc's set with a count of all numbers", t_short_set, BOTH },
	{ "a count above FD_SETSIZE", t_large_count, BOTH },
	{ "the same with unread bytes", t_unread, BOTH },
	{ "a number above FD_SETSIZE", t_large_number, BOTH },
	{ "a count that ends before the number", t_count_ends, BOTH },
	{ "from a thread without a loop", t_other_thread, BOTH },
	{ "errno", t_errno, BOTH },
	{ "a closed connection's number: EBADF", t_closed, BOTH },
	{ "the third set: urgent data", t_exception, BOTH },
};

NET_MAIN(cases)
