/* SPDX-License-Identifier: MIT */
/*
 * Description: what a real ring says of its kernel agrees with itself and
 * with what the kernel does.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "real_ring.h"

/* Each came to the kernel after the one below it. */
static void releases(void)
{
	const struct ring_caps *caps = ring_caps(ring);

	CHECK(caps->recv_multishot);	/* 6.0, and a ring needs 6.1 */
	if (caps->slot_close)		/* 6.13 */
		CHECK(caps->accept_poll_first);
	if (caps->accept_poll_first)	/* 6.10 */
		CHECK(caps->install);
	if (caps->install)		/* 6.8 */
		CHECK(caps->sockopt);	/* 6.7 */
}

static void slots(void)
{
	const struct ring_caps *caps = ring_caps(ring);

	CHECK_EQ(caps->slots, caps->install && caps->slot_close ? 16 : 0);
}

/* A table larger than the limit of descriptors is made smaller. */
static void too_many_slots(void)
{
	struct rlimit lim, small;
	struct ring *r;
	int ret;

	MUST(getrlimit(RLIMIT_NOFILE, &lim));
	small = lim;
	small.rlim_cur = 64;
	MUST(setrlimit(RLIMIT_NOFILE, &small));
	ret = ring_open(8, 1000, &r);
	MUST(setrlimit(RLIMIT_NOFILE, &lim));
	CHECK_EQ(ret, 0);
	CHECK(ring_caps(r)->slots <= 64);
	CHECK(!ring_caps(r)->slot_close || ring_caps(r)->slots > 0);
	ring_close(r);
}

static void no_slots(void)
{
	struct ring *r;

	CHECK_EQ(ring_open(8, 0, &r), 0);
	CHECK_EQ(ring_caps(r)->slots, 0);
	ring_close(r);
}

/* The capability is the request's, not a number of a version. */
static void sockopt_works(void)
{
	int ends[2], type = 0;

	real_pair(ends);
	ring_getsockopt(ring, 11, real_fd(ends[0]), SOL_SOCKET, SO_TYPE,
			&type, sizeof(type));
	CHECK_EQ(ring_reap(ring), 1);
	if (ring_caps(ring)->sockopt) {
		CHECK_EQ(real_wait(11).res, sizeof(type));
		CHECK_EQ(type, SOCK_STREAM);
	} else {
		CHECK(real_wait(11).res < 0);
	}
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static void queue_sizes(void)
{
	struct ring *r;

	CHECK_EQ(ring_open(8, 0, &r), 0);
	CHECK_EQ(ring_room(r), 8);
	CHECK_EQ(ring_queued(r), 0);
	for (unsigned int i = 1; i <= 8; i++) {
		ring_cancel(r, 0, 999);
		CHECK_EQ(ring_queued(r), i);
		CHECK_EQ(ring_room(r), 8 - i);
	}
	CHECK_EQ(ring_submit(r), 8);
	CHECK_EQ(ring_queued(r), 0);
	CHECK_EQ(ring_room(r), 8);
	ring_close(r);
}

/* No descriptor is left, and the ring can be at another number. */
static void descriptor(void)
{
	struct ring_event ev;
	struct ring *r;
	int before = tap_count_fds(), fd;

	CHECK_EQ(ring_open(8, 4, &r), 0);
	fd = MUST(fcntl(ring_fd(r), F_DUPFD_CLOEXEC, 100));
	MUST(close(ring_fd(r)));
	ring_moved(r, fd);
	CHECK_EQ(ring_fd(r), fd);
	ring_cancel(r, 5, 999);
	CHECK_EQ(ring_reap(r), 1);
	CHECK(ring_next(r, &ev));
	CHECK_EQ(ev.cookie, 5);
	CHECK_EQ(ev.res, -ENOENT);
	ring_close(r);
	CHECK_EQ(tap_count_fds(), before);
}

static const struct unit_case cases[] = {
	{ "capabilities in the order of the releases", releases },
	{ "slots as asked for", slots },
	{ "more slots than descriptors: fewer", too_many_slots },
	{ "no slots", no_slots },
	{ "socket options as said", sockopt_works },
	{ "room and queue are counted", queue_sizes },
	{ "a moved ring works, a closed one leaves nothing", descriptor },
};

REAL_MAIN(cases)
