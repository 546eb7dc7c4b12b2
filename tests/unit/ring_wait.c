/* SPDX-License-Identifier: MIT */
/* alone */
/*
 * Description: how a wait of a real ring ends: by time, by a completion, by a
 * signal, as epoll_pwait(2) would, with requests submitted along or not.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "real_ring.h"

/* What a loaded machine may oversleep. */
#define LATE_US 200000

#define RECV 1

static volatile sig_atomic_t signals;
static int ends[2];

static void on_signal(int sig)
{
	signals++;
}

static void catch_signal(int flags)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = flags };

	MUST(sigaction(SIGUSR1, &act, NULL));
	signals = 0;
}

/* Each wait: with nothing to submit, and with a request that will wait. */
static void arm(bool submit)
{
	if (submit)
		ring_recv(ring, RECV, real_fd(ends[0]), REAL_GROUP, false);
}

static void disarm(bool submit)
{
	if (submit)
		real_end(RECV);
}

static void timed(int64_t ns, bool submit)
{
	long long start, took;

	arm(submit);
	start = tap_now_us();
	CHECK_EQ(ring_wait(ring, 1, ns, NULL), 0);
	took = tap_now_us() - start;
	CHECK(took >= ns / 1000);
	CHECK(took < ns / 1000 + LATE_US);
	CHECK(!ring_ready(ring));
	disarm(submit);
}

static void timeouts(void)
{
	static const int64_t ns[] = {
		0, 1, 1000, 500000, 1000000, 20000000, 120000000,
	};

	real_pair(ends);
	for (size_t i = 0; i < ARRAY_SIZE(ns); i++) {
		timed(ns[i], false);
		timed(ns[i], true);
	}
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* The median of twenty is as accurate as the kernel's own, not rounded up. */
static void accuracy(void)
{
	unsigned int close_ones = 0;

	for (int i = 0; i < 20; i++) {
		long long start = tap_now_us();

		CHECK_EQ(ring_wait(ring, 1, 2000000, NULL), 0);
		close_ones += tap_now_us() - start < 2900;
	}
	CHECK(close_ones >= 5);
}

static void completion_ends_it(void)
{
	struct ring_event ev;

	real_pair(ends);
	arm(true);
	CHECK_EQ(MUST(write(ends[1], "x", 1)), 1);
	CHECK_EQ(ring_wait(ring, 1, -1, NULL), 0);
	CHECK(ring_next(ring, &ev));
	CHECK_EQ(ev.res, 1);
	bufring_take(&buffers);
	bufring_put(&buffers, ev.buffer);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

struct shot {
	pthread_t target;
	int ms;
};

static void *shoot(void *arg)
{
	struct shot *shot = arg;
	struct timespec nap = { .tv_nsec = shot->ms * 1000000 };

	nanosleep(&nap, NULL);
	pthread_kill(shot->target, SIGUSR1);
	return NULL;
}

/* A wait that a signal interrupts after some time: its result. */
static int wait_shot(int64_t ns, const sigset_t *mask, bool submit)
{
	struct shot shot = { pthread_self(), 50 };
	pthread_t thread;
	int ret;

	CHECK_EQ(pthread_create(&thread, NULL, shoot, &shot), 0);
	arm(submit);
	ret = ring_wait(ring, 1, ns, mask);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	disarm(submit);
	return ret;
}

/* EINTR, never restarted, SA_RESTART or not. */
static void a_signal(void)
{
	static const int flags[] = { 0, SA_RESTART };

	real_pair(ends);
	for (int i = 0; i < 8; i++) {
		catch_signal(flags[i % 2]);
		CHECK_EQ(wait_shot(i & 4 ? -1 : 5000000000ll, NULL, i & 2),
			 -EINTR);
		CHECK_EQ(signals, 1);
	}
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* Blocked by the mask of the wait it comes afterwards. */
static void blocked(void)
{
	sigset_t mask;

	real_pair(ends);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	for (int i = 0; i < 2; i++) {
		long long start = tap_now_ms();

		catch_signal(0);
		CHECK_EQ(wait_shot(150000000, &mask, i), 0);
		CHECK(tap_now_ms() - start >= 150);
		CHECK_EQ(signals, 1);
	}
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* Pending before, let in by the mask of the wait: EINTR at once. */
static void let_in(void)
{
	sigset_t block, none, old;

	real_pair(ends);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &block, &old), 0);
	for (int i = 0; i < 2; i++) {
		catch_signal(0);
		raise(SIGUSR1);
		CHECK_EQ(signals, 0);
		arm(i);
		CHECK_EQ(ring_wait(ring, 1, 5000000000ll, &none), -EINTR);
		disarm(i);
		CHECK_EQ(signals, 1);
	}
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static const struct unit_case cases[] = {
	{ "a time-out, never early", timeouts },
	{ "a time-out as accurate as the kernel's", accuracy },
	{ "a completion", completion_ends_it },
	{ "a signal: EINTR, whatever SA_RESTART says", a_signal },
	{ "a signal that the mask blocks", blocked },
	{ "a signal that the mask lets in", let_in },
};

REAL_MAIN(cases)
