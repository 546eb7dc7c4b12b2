/* SPDX-License-Identifier: MIT */
/*
 * Description: a real ring watches an epoll descriptor with one request, so
 * that there is one place to sleep.
 */
#include <sys/epoll.h>

#include "real_ring.h"

#define POLL 1

static int ep, pipes[2][2];

static void add(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
}

static void start(void)
{
	ep = MUST(epoll_create1(0));
	for (int i = 0; i < 2; i++) {
		MUST(pipe(pipes[i]));
		add(pipes[i][0]);
	}
	ring_poll(ring, POLL, real_fd(ep), EPOLLIN, true);
	CHECK_EQ(ring_submit(ring), 1);
}

static void finish(void)
{
	real_end(POLL);
	real_quiet();
	for (int i = 0; i < 4; i++)
		MUST(close(pipes[i / 2][i % 2]));
	MUST(close(ep));
}

/* Takes what the set has and empties the pipe. */
static void drain(int fd)
{
	struct epoll_event ev;
	char c;

	CHECK_EQ(MUST(epoll_wait(ep, &ev, 1, 0)), 1);
	CHECK_EQ(ev.data.fd, fd);
	CHECK_EQ(MUST(read(fd, &c, 1)), 1);
	CHECK_EQ(MUST(epoll_wait(ep, &ev, 1, 0)), 0);
}

static void write_one(int i)
{
	CHECK_EQ(MUST(write(pipes[i][1], "x", 1)), 1);
}

static void each_event(void)
{
	struct ring_event ev;

	start();
	for (int i = 0; i < 20; i++) {
		write_one(i % 2);
		ev = real_wait(POLL);
		CHECK(ev.res > 0 && ev.res & EPOLLIN);
		CHECK(ev.flags & RING_F_MORE);
		drain(pipes[i % 2][0]);
	}
	finish();
}

/* Not taken, the first event must not hide the second. */
static void second_event(void)
{
	struct epoll_event two[2];

	start();
	write_one(0);
	CHECK(real_wait(POLL).res > 0);
	write_one(1);
	CHECK(real_wait(POLL).res > 0);
	CHECK_EQ(MUST(epoll_wait(ep, two, 2, 0)), 2);
	finish();
}

static void ready_before(void)
{
	ep = MUST(epoll_create1(0));
	for (int i = 0; i < 2; i++) {
		MUST(pipe(pipes[i]));
		add(pipes[i][0]);
	}
	write_one(0);
	ring_poll(ring, POLL, real_fd(ep), EPOLLIN, true);
	CHECK(real_wait(POLL).res > 0);
	finish();
}

/* What is added later is watched as well. */
static void added_later(void)
{
	int more[2];

	start();
	MUST(pipe(more));
	add(more[0]);
	real_quiet();
	CHECK_EQ(MUST(write(more[1], "x", 1)), 1);
	CHECK(real_wait(POLL).res > 0);
	drain(more[0]);
	MUST(close(more[0]));
	MUST(close(more[1]));
	finish();
}

/* A wait without a time-out is ended by it. */
static void ends_a_sleep(void)
{
	struct ring_event ev;

	start();
	write_one(0);
	CHECK_EQ(ring_wait(ring, 1, -1, NULL), 0);
	CHECK(ring_next(ring, &ev));
	CHECK_EQ(ev.cookie, POLL);
	finish();
}

static void single(void)
{
	struct ring_event ev;

	start();
	real_end(POLL);
	ring_poll(ring, POLL, real_fd(ep), EPOLLIN, false);
	write_one(0);
	ev = real_wait(POLL);
	CHECK(ev.res > 0);
	CHECK(!(ev.flags & RING_F_MORE));
	write_one(1);
	real_quiet();
	ring_poll(ring, POLL, real_fd(ep), EPOLLIN, true);
	finish();
}

static const struct unit_case cases[] = {
	{ "one request tells of each event", each_event },
	{ "an event while another was not taken", second_event },
	{ "an event that was there before", ready_before },
	{ "a descriptor added later", added_later },
	{ "it ends a sleep", ends_a_sleep },
	{ "a single poll tells once", single },
};

REAL_MAIN(cases)
