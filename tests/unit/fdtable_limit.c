/* SPDX-License-Identifier: MIT */
/*
 * Description: numbers near the limit of descriptors: EMFILE and recovery,
 * what is held below it, and our own descriptors above it.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../shim/fdtable.h"
#include "unit.h"

/* thread.c's, of which nothing else is needed here. */
__attribute__((weak)) __thread int lock_self_id;

#define LIMIT 64

static struct rlimit saved;

static void limit(rlim_t soft)
{
	struct rlimit lim;

	if (!saved.rlim_max)
		MUST(getrlimit(RLIMIT_NOFILE, &saved));
	lim = saved;
	lim.rlim_cur = soft;
	MUST(setrlimit(RLIMIT_NOFILE, &lim));
}

static void unlimited(void)
{
	MUST(setrlimit(RLIMIT_NOFILE, &saved));
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Reserves up to the limit: how many. */
static int reserve_all(int *fds, int max)
{
	int n = 0, fd;

	while (n < max && (fd = fd_reserve()) >= 0)
		fds[n++] = fd;
	CHECK(n < max);
	CHECK_EQ(fd, -EMFILE);
	return n;
}

static void release(const int *fds, int n)
{
	while (n--)
		fd_release(fds[n]);
	fd_trim();
}

static void limit_reached(void)
{
	int fds[2 * LIMIT], n;

	limit(LIMIT);
	fd_trim();
	n = reserve_all(fds, 2 * LIMIT);
	CHECK_EQ(fds[n - 1], LIMIT - 1);
	CHECK_EQ(fd_reserve(), -EMFILE);
	fd_release(fds[4]);
	CHECK_EQ(fd_reserve(), fds[4]);
	CHECK_EQ(fd_reserve(), -EMFILE);
	release(fds, n);
	unlimited();
}

static void raised(void)
{
	int fds[2 * LIMIT], n;

	limit(LIMIT);
	n = reserve_all(fds, 2 * LIMIT);
	/* One of the numbers above may be the anchor's. */
	limit(LIMIT + 2);
	fds[n] = fd_reserve();
	CHECK(fds[n] >= LIMIT);
	CHECK(fds[n] < LIMIT + 2);
	release(fds, n + 1);
	unlimited();
}

/* The upper half of what the program may open is not kept from it.
 The
 * first case: numbers that were held once are held again. */
static void upper_half(void)
{
	int fds[2 * LIMIT], n, i, open = 0, first;

	limit(LIMIT);
	fd_trim();
	n = reserve_all(fds, 2 * LIMIT);
	for (i = 0; i < n; i++)
		fd_release(fds[i]);
	for (i = 0; i < n; i++) {
		CHECK_EQ(is_open(fds[i]), fds[i] < LIMIT / 2);
		open += is_open(fds[i]);
	}
	CHECK(open < n);
	first = MUST(dup(0));
	CHECK(first >= LIMIT / 2);
	MUST(close(first));
	CHECK_EQ(fd_trim(), open);
	unlimited();
}

/* Our own descriptors take no number that the program could get. */
static void hidden(void)
{
	struct rlimit lim;
	int fd, moved;

	limit(LIMIT);
	fd = MUST(open("/dev/null", O_RDONLY));
	if (saved.rlim_max <= LIMIT)
		tap_skip("the hard limit leaves no room");
	moved = fd_hide(fd);
	CHECK(moved >= LIMIT);
	CHECK(!is_open(fd));
	CHECK_EQ(fcntl(moved, F_GETFD), FD_CLOEXEC);
	CHECK(fd_lookup(moved, OBJ_PRIVATE));
	MUST(getrlimit(RLIMIT_NOFILE, &lim));
	CHECK_EQ(lim.rlim_cur, LIMIT);
	CHECK_EQ(lim.rlim_max, saved.rlim_max);
	fd_unhide(moved);
	CHECK(!fd_object(moved));
	MUST(close(moved));
	unlimited();
}

static void hard_limit(rlim_t n)
{
	struct rlimit lim = { n, n };

	MUST(setrlimit(RLIMIT_NOFILE, &lim));
}

/* Where the hard limit is the soft one a hidden descriptor goes into the upper
 * half of it. */
static void hidden_within(void)
{
	int fd, moved;

	if (saved.rlim_max < 512)
		tap_skip("the hard limit is too low");
	hard_limit(512);
	fd = MUST(open("/dev/null", O_RDONLY));
	moved = fd_hide(fd);
	CHECK(moved >= 256 && moved < 512);
	CHECK(!is_open(fd));
	CHECK_EQ(fcntl(moved, F_GETFD), FD_CLOEXEC);
	CHECK(fd_lookup(moved, OBJ_PRIVATE));
	fd_unhide(moved);
	MUST(close(moved));
}

/* Where it is low as well every number counts: it stays. */
static void nowhere_to_hide(void)
{
	int fd, moved;

	hard_limit(LIMIT);
	fd = MUST(open("/dev/null", O_RDONLY));
	moved = fd_hide(fd);
	CHECK_EQ(moved, fd);
	CHECK(is_open(fd));
	CHECK(fd_lookup(fd, OBJ_PRIVATE));
	fd_unhide(fd);
	MUST(close(fd));
}

/* The last two cases lower the hard limit, for good. */
static const struct unit_case cases[] = {
	{ "the upper half is not held", upper_half },
	{ "at the limit EMFILE, and again after a release", limit_reached },
	{ "after the limit is raised", raised },
	{ "hidden descriptors are above the soft limit", hidden },
	{ "with no room above, in the upper half", hidden_within },
	{ "with a low limit they stay", nowhere_to_hide },
};

UNIT_MAIN(cases)
