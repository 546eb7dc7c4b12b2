/* SPDX-License-Identifier: MIT */
/*
 * Description: a real ring that has nothing to do says so, also when the
 * kernel's word that there is work came after the work was done.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "real_ring.h"

#define POLL 1
#define WRITES 4000
#define DRY_MAX 100

static int efd;
static unsigned int asked, writes = WRITES;

/* Writes once whenever it is asked to, on another CPU. */
static void *writer(void *arg)
{
	const uint64_t one = 1;
	unsigned int seen = 0;

	while (seen < writes) {
		while (__atomic_load_n(&asked, __ATOMIC_ACQUIRE) == seen)
			;
		seen++;
		if (write(efd, &one, sizeof(one)) != sizeof(one))
			break;
	}
	return NULL;
}

/* Collects without sleeping: the write meets a ring that is awake. */
static void collect_one(void)
{
	struct ring_event ev;
	uint64_t count;

	while (!ring_next(ring, &ev))
		CHECK(ring_reap(ring) >= 0);
	CHECK_EQ(ev.cookie, POLL);
	CHECK_EQ(MUST(read(efd, &count, sizeof(count))), 8);
}

static void says_when_it_is_done(void)
{
	pthread_t thread;
	unsigned int i, dry;

	/* Where both share a CPU there is nothing to see. */
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		writes = 20;
	efd = MUST(eventfd(0, EFD_NONBLOCK));
	ring_poll(ring, POLL, real_fd(efd), 1 /* POLLIN */, true);
	CHECK_EQ(ring_submit(ring), 1);
	CHECK_EQ(pthread_create(&thread, NULL, writer, NULL), 0);
	for (i = 0; i < writes; i++) {
		__atomic_add_fetch(&asked, 1, __ATOMIC_RELEASE);
		collect_one();
		for (dry = 0; ring_pending_work(ring); dry++) {
			CHECK(dry < DRY_MAX);
			CHECK(ring_reap(ring) >= 0);
			CHECK(!ring_ready(ring));
		}
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	real_end(POLL);
	MUST(close(efd));
}

static const struct unit_case cases[] = {
	{ "no work is pending once all was collected", says_when_it_is_done },
};

REAL_MAIN(cases)
