/* SPDX-License-Identifier: MIT */
/*
 * Description: numbers for lightweight sockets: the lowest first, held in
 * the kernel, and of no use to whoever does not know them.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../shim/fdtable.h"
#include "unit.h"

/* thread.c's, of which nothing else is needed here. */
__attribute__((weak)) __thread int lock_self_id;

#define COUNT 40

static char object[] = { OBJ_SOCK };

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The lowest number that the kernel would give out. */
static int lowest(void)
{
	int fd = MUST(open("/dev/null", O_RDONLY));

	MUST(close(fd));
	return fd;
}

static void reserve_all(int *fds)
{
	for (int i = 0; i < COUNT; i++) {
		fds[i] = fd_reserve();
		CHECK(fds[i] >= 0);
	}
}

static void release_all(const int *fds)
{
	for (int i = 0; i < COUNT; i++)
		fd_release(fds[i]);
}

static void fresh(void)
{
	int fds[COUNT], first;

	/* The first one brings the anchor with it. */
	fd_release(fd_reserve());
	fd_trim();
	first = lowest();
	reserve_all(fds);
	CHECK_EQ(fds[0], first);
	for (int i = 0; i < COUNT; i++) {
		CHECK(is_open(fds[i]));
		CHECK_EQ(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		CHECK(!fd_object(fds[i]));
		if (i)
			CHECK(fds[i] > fds[i - 1]);
	}
	release_all(fds);
	CHECK_EQ(fd_trim(), COUNT);
}

static void lowest_first(void)
{
	static const int order[] = { 17, 3, 38, 0, 21, 4 };
	static const int sorted[] = { 0, 3, 4, 17, 21, 38 };
	int fds[COUNT];

	fd_trim();
	reserve_all(fds);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		fd_release(fds[order[i]]);
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		CHECK_EQ(fd_reserve(), fds[sorted[i]]);
	CHECK(fd_reserve() > fds[COUNT - 1]);
	release_all(fds);
	fd_trim();
}

/* A released number is ours still: the kernel must not give it to another. */
static void held(void)
{
	int fd = fd_reserve(), other;

	CHECK(fd >= 0);
	fd_release(fd);
	CHECK(is_open(fd));
	CHECK(fd_lookup(fd, OBJ_HELD));
	other = lowest();
	CHECK(other != fd);
	CHECK_EQ(fd_reserve(), fd);
	CHECK(!fd_object(fd));
	fd_release(fd);
	CHECK(fd_trim() >= 1);
	CHECK(!is_open(fd));
	CHECK(!fd_object(fd));
	CHECK_EQ(fd_trim(), 0);
}

static void no_system_call_needed(void)
{
	int fds[COUNT];

	fd_trim();
	reserve_all(fds);
	release_all(fds);
	for (int round = 0; round < 1000; round++) {
		int fd = fd_reserve();

		CHECK_EQ(fd, fds[0]);
		fd_release(fd);
	}
	CHECK_EQ(fd_trim(), COUNT);
}

/* dup2() onto a held number takes it from us. */
static void unhold(void)
{
	int a, b;

	fd_trim();
	a = fd_reserve();
	b = fd_reserve();
	CHECK(!fd_unhold(a));
	fd_release(a);
	fd_release(b);
	CHECK(fd_unhold(a));
	CHECK(!fd_object(a));
	CHECK(is_open(a));
	CHECK(!fd_unhold(a));
	CHECK(!fd_unhold(1 << 19));
	CHECK_EQ(fd_reserve(), b);
	MUST(close(a));
	fd_release(b);
	CHECK_EQ(fd_trim(), 1);
}

/* Every call that is not ours fails on it loudly. */
static void calls_fail(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = fd_reserve(), ep = MUST(epoll_create1(0));
	char c;

	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	CHECK_ERRNO(write(fd, "x", 1), EBADF);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), EBADF);
	CHECK(recv(fd, &c, 1, 0) < 0);
	MUST(close(ep));
	fd_release(fd);
}

/* A number that carries a real descriptor: that is closed, the number held. */
static void release_real(void)
{
	int ends[2], fd = fd_reserve();
	struct pollfd p;

	CHECK(fd >= 0);
	MUST(pipe(ends));
	CHECK_EQ(MUST(dup2(ends[1], fd)), fd);
	MUST(close(ends[1]));
	fd_release_real(fd);
	p = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	CHECK_EQ(MUST(poll(&p, 1, 0)), 1);
	CHECK(p.revents & POLLHUP);
	CHECK(is_open(fd));
	CHECK_EQ(fd_reserve(), fd);
	fd_release(fd);
	MUST(close(ends[0]));
}

static void look_up(void)
{
	int fd = fd_reserve();

	fd_set_object(fd, object);
	CHECK(fd_object(fd) == object);
	CHECK(fd_lookup(fd, OBJ_SOCK) == object);
	CHECK(!fd_lookup(fd, OBJ_SET));
	fd_set_object(fd, NULL);
	CHECK(!fd_lookup(fd, OBJ_SOCK));
	CHECK(!fd_object(-1));
	CHECK(!fd_object(FD_TABLE_MAX));
	CHECK(!fd_object(0x7fffffff));
	fd_release(fd);
}

static void forked(void)
{
	int fd = fd_reserve();

	fd_release(fd);
	fd_table_forked();
	CHECK(!is_open(fd));
	CHECK_EQ(fd_reserve(), fd);
	fd_release(fd);
}

static const struct unit_case cases[] = {
	{ "new numbers: in order, open, close-on-exec", fresh },
	{ "released ones: the lowest first", lowest_first },
	{ "a released number is held until it is trimmed", held },
	{ "a steady state takes the same number", no_system_call_needed },
	{ "a held number can be taken from us once", unhold },
	{ "other calls on a reserved number fail", calls_fail },
	{ "releasing a number with a descriptor closes that", release_real },
	{ "what a number stands for", look_up },
	{ "a forked child gives held numbers back", forked },
};

UNIT_MAIN(cases)
