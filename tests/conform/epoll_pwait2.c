/* SPDX-License-Identifier: MIT */
/*
 * Description: epoll_pwait2: nanoseconds, no time, bad times, masks, errno.
 */
#include "../lib/net.h"

#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static int wait2(struct fix *f, long long ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };
	struct epoll_event ev[4];

	return epoll_pwait2(f->ep, ev, 4, ns < 0 ? NULL : &ts, NULL);
}

/* Below a millisecond as well: never early, and not a whole one late. */
static void t_fine(struct fix *f)
{
	static const long times[] = { 0, 1, 1000, 50000, 300000, 1500000 };
	long long best, start, took;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		best = INT64_MAX;
		for (int round = 0; round < 10; round++) {
			start = tap_now_us();
			CHECK_EQ(wait2(f, times[i]), 0);
			took = tap_now_us() - start;
			CHECK(took >= times[i] / 1000);
			best = took < best ? took : best;
		}
		CHECK(best < times[i] / 1000 + 900);
	}
}

static void t_events(struct fix *f)
{
	static const long long times[] = { -1, 0, 1000, 5000000000 };
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		peer_write(f->peer, "x", 1);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(wait2(f, times[i]), 1);
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
		CHECK_EQ(wait2(f, 0), 0);
	}
}

static void t_errno(struct fix *f)
{
	struct epoll_event ev;
	struct timespec bad[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000000 } };
	struct timespec zero = { 0 };
	volatile int negative = -1;
	int ends[2];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_ERRNO(epoll_pwait2(f->ep, &ev, 1, &bad[i], NULL),
			    EINVAL);
	CHECK_ERRNO(epoll_pwait2(f->ep, &ev, 0, &zero, NULL), EINVAL);
	CHECK_ERRNO(epoll_pwait2(f->ep, &ev, negative, &zero, NULL), EINVAL);
	CHECK_ERRNO(epoll_pwait2(-1, &ev, 1, &zero, NULL), EBADF);
	MUST(pipe(ends));
	CHECK_ERRNO(epoll_pwait2(ends[0], &ev, 1, &zero, NULL), EINVAL);
	CHECK_ERRNO(epoll_pwait2(f->fd, &ev, 1, &zero, NULL), EINVAL);
	CHECK_ERRNO(epoll_wait(f->fd, &ev, 1, 0), EINVAL);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	/* A bad time is found before a bad set. */
	CHECK_ERRNO(epoll_pwait2(-1, &ev, 1, &bad[0], NULL), EINVAL);
}

static void t_mask(struct fix *f)
{
	struct timespec ts = { .tv_sec = WAIT_MS / 1000 };
	struct sigaction sa = { .sa_handler = on_signal };
	struct epoll_event ev;
	sigset_t usr1, none;

	handled = 0;
	MUST(sigaction(SIGUSR1, &sa, NULL));
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
	raise(SIGUSR1);
	CHECK_EQ(wait2(f, 1000000), 0);
	CHECK_ERRNO(epoll_pwait2(f->ep, &ev, 1, &ts, &none), EINTR);
	CHECK_EQ(handled, 1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &none), 0);
	CHECK_EQ(sigismember(&none, SIGUSR1), 1);
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL), 0);
}

/* The longest there is does not end at once. */
static void *poke(void *arg)
{
	usleep(20000);
	peer_write(*(int *)arg, "x", 1);
	return NULL;
}

static void t_longest(struct fix *f)
{
	struct timespec ts = { INT64_MAX, 999999999 };
	pthread_t thread = thread_start(poke, &f->peer);
	struct epoll_event ev;

	CHECK_EQ(MUST(epoll_pwait2(f->ep, &ev, 1, &ts, NULL)), 1);
	CHECK_EQ(ev.data.fd, f->fd);
	thread_join(thread);
}

static const struct net_case cases[] = {
	{ "times below a millisecond", t_fine, BOTH },
	{ "events at any time", t_events, BOTH },
	{ "errno", t_errno, BOTH },
	{ "a mask", t_mask, BOTH },
	{ "the longest time", t_longest, BOTH },
};

NET_MAIN(cases)
