/* SPDX-License-Identifier: MIT */
/*
 * Description: a ring of the real kernel, or the reason why there is none.
 */
#ifndef MP_TEST_REAL_RING_H
#define MP_TEST_REAL_RING_H

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../core/bufring.h"
#include "../../core/ring.h"
#include "unit.h"

#define REAL_GROUP 1

static struct ring *ring;
static struct bufring buffers;

/* Called by main, before the plan. */
static inline void real_or_skip(void)
{
	int ret = ring_open(32, 16, &ring);

	if (ret == -EPERM || ret == -EACCES)
		tap_skip_all("io_uring is not permitted here");
	if (ret == -ENOSYS)
		tap_skip_all("this kernel has no io_uring");
	if (ret == -EINVAL)
		tap_skip_all("this kernel's io_uring is too old");
	if (ret == -ENOMEM)
		tap_skip_all("too little locked memory (ulimit -l)");
	if (ret < 0)
		tap_bail_out("no ring");
	if (bufring_open(&buffers, ring, REAL_GROUP, 8, 4096) < 0)
		tap_bail_out("no buffer ring");
}

static inline void real_close(void)
{
	ring_close(ring);
	bufring_close(&buffers);
}

#define REAL_MAIN(cases) \
	int main(void) \
	{ \
		int ret; \
		real_or_skip(); \
		ret = unit_main(cases, ARRAY_SIZE(cases)); \
		real_close(); \
		return ret; \
	}

/* Waits for this completion; those of other requests are dropped. */
static inline struct ring_event real_wait(uint64_t cookie)
{
	long long end = tap_now_ms() + WAIT_MS;
	struct ring_event ev;

	for (;;) {
		while (ring_next(ring, &ev))
			if (ev.cookie == cookie)
				return ev;
		if (tap_now_ms() > end)
			tap_fail(__FILE__, __LINE__, "no completion of %llu",
				 (unsigned long long)cookie);
		ring_wait(ring, 1, 50 * 1000000ll, NULL);
	}
}

/* Reads away what is there. */
static inline void real_drop(void)
{
	struct ring_event ev;

	CHECK(ring_reap(ring) >= 0);
	while (ring_next(ring, &ev))
		;
}

/* Ends a request; neither it nor the cancel is seen later. */
static inline void real_end(uint64_t cookie)
{
	ring_cancel(ring, UINT64_MAX, cookie);
	real_drop();
}

/* No completion is there or on its way. */
static inline void real_quiet(void)
{
	struct ring_event ev;

	CHECK_EQ(ring_wait(ring, 1, 20 * 1000000ll, NULL), 0);
	CHECK(!ring_next(ring, &ev));
}

static inline int real_listen(struct sockaddr_in *addr)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	socklen_t len = sizeof(*addr);

	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(fd, (struct sockaddr *)addr, sizeof(*addr)));
	MUST(listen(fd, 16));
	MUST(getsockname(fd, (struct sockaddr *)addr, &len));
	return fd;
}

/* A blocking client with time-outs. */
static inline int real_connect(const struct sockaddr_in *addr)
{
	const struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	MUST(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)));
	return fd;
}

/* A connected pair on loopback: [0] non-blocking, ours, [1] the peer. */
static inline void real_pair(int ends[2])
{
	struct sockaddr_in addr;
	int lfd = real_listen(&addr);

	ends[1] = real_connect(&addr);
	ends[0] = MUST(accept4(lfd, NULL, NULL, SOCK_NONBLOCK));
	MUST(close(lfd));
}

static inline struct chan_file real_fd(int fd)
{
	return (struct chan_file){ .fd = fd };
}

#endif
