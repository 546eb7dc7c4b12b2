/* SPDX-License-Identifier: MIT */
/*
 * Description: the shim's lock, between threads and under signal handlers.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "../../shim/lock.h"
#include "unit.h"

#define SIGNALS 20000
#define TURNS 200000

__thread int lock_self_id __attribute__((tls_model("initial-exec")));

static struct lock lock;
static long counted;
static atomic_long interrupted, taken;
static atomic_bool enough;

static void again(void)
{
	CHECK(lock_take(&lock));
	CHECK(lock_is_mine(&lock));
	CHECK(!lock_take(&lock));
	lock_give(&lock);
	CHECK(!lock_is_mine(&lock));
	CHECK_EQ(lock.word, 0);
}

static void *count(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		while (!lock_take(&lock))
			;
		counted++;
		lock_give(&lock);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t other[3];

	counted = 0;
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		CHECK_EQ(pthread_create(&other[i], NULL, count, NULL), 0);
	count(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		pthread_join(other[i], NULL);
	CHECK_EQ(counted, (ARRAY_SIZE(other) + 1) * TURNS);
	CHECK_EQ(lock.word, 0);
}

/* At any instruction of lock_take() and lock_give(): it must not wait. */
static void handler(int sig)
{
	if (lock_take(&lock)) {
		atomic_fetch_add(&taken, 1);
		lock_give(&lock);
	} else {
		atomic_fetch_add(&interrupted, 1);
	}
}

static void *take_and_give(void *arg)
{
	while (!atomic_load(&enough))
		if (lock_take(&lock))
			lock_give(&lock);
	return NULL;
}

static void handlers(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pthread_t busy;
	long before;

	sigaction(SIGUSR1, &sa, NULL);
	CHECK_EQ(pthread_create(&busy, NULL, take_and_give, NULL), 0);
	for (int i = 0; i < SIGNALS; i++) {
		before = taken + interrupted;
		pthread_kill(busy, SIGUSR1);
		while (taken + interrupted == before)
			sched_yield();
	}
	atomic_store(&enough, true);
	pthread_join(busy, NULL);
	CHECK_EQ(taken + interrupted, SIGNALS);
	CHECK(interrupted > 0);
}

static const struct unit_case cases[] = {
	{ "who has it is known, and is refused it again", again },
	{ "four threads never are in it together", threads },
	{ "a handler never waits for the thread it interrupts", handlers },
};

UNIT_MAIN(cases)
