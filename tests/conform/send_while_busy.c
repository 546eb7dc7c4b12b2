/* SPDX-License-Identifier: MIT */
/*
 * Description: an answer is out while a loop that has one event a turn computes.
 */
#include "../lib/net.h"

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/*
 * A library may hold an answer back until the loop waits again, but not for
 * ever in a loop that takes its time and has nothing else to send: after so
 * many turns it must know.
 */
#define TURNS 400
#define KNOWN 300
#define BUSY_NS 100000ll
#define LONGEST_NS 300000000ll

static atomic_int answered;

static void *ask(void *arg)
{
	int peer = *(int *)arg, i;
	char c;

	for (i = 1; i <= TURNS; i++) {
		peer_write(peer, "q", 1);
		peer_read(peer, &c, 1);
		atomic_store(&answered, i);
	}
	return NULL;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* Computes for a while; then, in a turn that counts, until the answer has come
 * or much too late. */
static bool came(int turn)
{
	int64_t start = now_ns();

	while (now_ns() < start + BUSY_NS)
		;
	while (turn > KNOWN && atomic_load(&answered) < turn &&
	       now_ns() < start + LONGEST_NS)
		;
	return atomic_load(&answered) >= turn;
}

static void t_one(struct fix *f)
{
	pthread_t thread;
	int i, late = 0;
	char c;

	atomic_store(&answered, 0);
	thread = thread_start(ask, &f->peer);
	for (i = 1; i <= TURNS; i++) {
		set_wait(f->ep, f->fd, EPOLLIN);
		server_read(f->ep, f->fd, &c, 1);
		server_write(f->ep, f->fd, "a", 1);
		late += !came(i) && i > KNOWN;
	}
	CHECK_EQ(late, 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	thread_join(thread);
}

static const struct net_case cases[] = {
	{ "one write a turn", t_one, BOTH },
};

NET_MAIN(cases)
