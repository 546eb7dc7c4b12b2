/* SPDX-License-Identifier: MIT */
/*
 * Description: how late waits end, beside those of a set of the kernel's own.
 */
/* alone */
#include "../lib/net.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 15

static int by_number(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

static long long wait_once(int ep, int ms, bool raw)
{
	struct epoll_event ev;
	long long start = tap_now_us(), took;
	int n;

	/* By its number: nobody but the kernel has to do with it. */
	if (raw)
		n = (int)syscall(SYS_epoll_pwait, ep, &ev, 1, ms, NULL, 8);
	else
		n = epoll_wait(ep, &ev, 1, ms);
	took = tap_now_us() - start;
	CHECK_EQ(n, 0);
	CHECK(took >= ms * 1000LL);
	return took - ms * 1000LL;
}

/* The median lateness of ours and of a plain set, turn by turn. */
static void compare(struct fix *f, int ms)
{
	long long ours[ROUNDS], plain[ROUNDS];
	int ends[2], kernel = MUST((int)syscall(SYS_epoll_create1, 0));

	MUST(pipe(ends));
	struct epoll_event ev = { .events = EPOLLIN };

	MUST((int)syscall(SYS_epoll_ctl, kernel, EPOLL_CTL_ADD, ends[0],
			  &ev));
	for (int i = 0; i < ROUNDS; i++) {
		ours[i] = wait_once(f->ep, ms, false);
		plain[i] = wait_once(kernel, ms, true);
	}
	qsort(ours, ROUNDS, sizeof(*ours), by_number);
	qsort(plain, ROUNDS, sizeof(*plain), by_number);
	if (ours[ROUNDS / 2] > plain[ROUNDS / 2] * 2 + 300)
		tap_fail(__FILE__, __LINE__,
			 "%d ms: %lld us late, the kernel %lld us", ms,
			 ours[ROUNDS / 2], plain[ROUNDS / 2]);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	MUST(close(kernel));
}

static void t_zero(struct fix *f)
{
	compare(f, 0);
}

static void t_one(struct fix *f)
{
	compare(f, 1);
}

static void t_seven(struct fix *f)
{
	compare(f, 7);
}

static void t_thirty(struct fix *f)
{
	compare(f, 30);
}

/* Events of others do not prolong it: a byte now and then, not asked for. */
static void *disturb(void *arg)
{
	struct fix *f = arg;
	long long end = tap_now_ms() + 60;

	while (tap_now_ms() < end) {
		peer_write(f->peer, "x", 1);
		usleep(2000);
	}
	return NULL;
}

static void t_disturbed(struct fix *f)
{
	pthread_t thread;
	long long late;

	set_mod(f->ep, f->fd, EPOLLPRI);
	thread = thread_start(disturb, f);
	late = wait_once(f->ep, 40, false);
	CHECK(late < 15000);
	thread_join(thread);
}

static const struct net_case cases[] = {
	{ "0", t_zero, BOTH },
	{ "1 ms", t_one, BOTH },
	{ "7 ms", t_seven, BOTH },
	{ "30 ms", t_thirty, WARM },
	{ "40 ms while bytes come that nobody asked for", t_disturbed,
	  BOTH },
};

NET_MAIN(cases)
