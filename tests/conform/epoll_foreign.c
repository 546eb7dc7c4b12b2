/* SPDX-License-Identifier: MIT */
/*
 * Description: pipes, eventfds, timers, unix and UDP sockets in the same set.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void t_pipe(struct fix *f)
{
	int ends[2];
	char buf[8];

	MUST(pipe2(ends, O_NONBLOCK));
	set_add(f->ep, ends[0], EPOLLIN);
	set_add(f->ep, ends[1], EPOLLOUT);
	CHECK_EV(set_next(f->ep, ends[1], 0), EPOLLOUT);
	CHECK_EV(set_next(f->ep, ends[0], 0), 0);
	CHECK_EQ(write(ends[1], "ab", 2), 2);
	CHECK_EV(set_next(f->ep, ends[0], 0), EPOLLIN);
	CHECK_EV(set_next(f->ep, ends[0], 0), EPOLLIN);
	CHECK_EQ(read(ends[0], buf, 8), 2);
	CHECK_EV(set_next(f->ep, ends[0], 0), 0);
	MUST(close(ends[1]));
	CHECK_EV(set_next(f->ep, ends[0], 0), EPOLLHUP);
	MUST(close(ends[0]));
	CHECK_EV(set_next(f->ep, ends[0], 0), 0);
}

/* nginx never reads its eventfd: each write must be one edge. */
static void t_eventfd_edge(struct fix *f)
{
	int fd = MUST(eventfd(0, EFD_NONBLOCK));
	uint64_t one = 1;

	set_add(f->ep, fd, EPOLLIN | EPOLLET);
	CHECK_EV(set_next(f->ep, fd, 0), 0);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(write(fd, &one, 8), 8);
		CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
		CHECK_EV(set_next(f->ep, fd, 0), 0);
	}
	MUST(close(fd));
}

static void t_timer(struct fix *f)
{
	int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	struct itimerspec when = { .it_value.tv_nsec = 20 * 1000000 };
	long long start = tap_now_us();
	uint64_t count;

	set_add(f->ep, fd, EPOLLIN);
	MUST(timerfd_settime(fd, 0, &when, NULL));
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	CHECK(tap_now_us() - start >= 20000);
	CHECK_EQ(read(fd, &count, 8), 8);
	CHECK_EV(set_next(f->ep, fd, 0), 0);
	MUST(close(fd));
}

static void t_unix(struct fix *f)
{
	int ends[2];
	char buf[8];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
	set_add(f->ep, ends[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, ends[0], 0), EPOLLOUT);
	CHECK_EQ(send(ends[1], "hi", 2, 0), 2);
	CHECK_EV(set_next(f->ep, ends[0], 0), EPOLLIN | EPOLLOUT);
	CHECK_EQ(recv(ends[0], buf, 8, 0), 2);
	MUST(close(ends[1]));
	CHECK_EV(set_next(f->ep, ends[0], 0),
		 EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	MUST(close(ends[0]));
}

static void t_udp(struct fix *f)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa);
	int fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	char buf[8];

	MUST(bind(fd, (struct sockaddr *)&sa, len));
	MUST(getsockname(fd, (struct sockaddr *)&sa, &len));
	set_add(f->ep, fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, fd, 0), 0);
	MUST(sendto(fd, "abc", 3, 0, (struct sockaddr *)&sa, len));
	MUST(sendto(fd, "d", 1, 0, (struct sockaddr *)&sa, len));
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	/* Datagrams keep their bounds. */
	CHECK_EQ(recv(fd, buf, 8, 0), 3);
	CHECK_EQ(recv(fd, buf, 8, 0), 1);
	CHECK_ERRNO(recv(fd, buf, 8, 0), EAGAIN);
	MUST(close(fd));
}

/* Everything is ready for ever; maxevents must not starve either kind. */
static void fair(struct fix *f, int max)
{
	struct epoll_event ev[4];
	int event = MUST(eventfd(1, 0)), ends[2];
	int conns[3] = { f->fd }, peers[3] = { f->peer };
	int fds[5], seen[5] = { 0 };

	for (int i = 1; i < 3; i++)
		conns[i] = server_accept(f, &peers[i], EPOLLIN);
	MUST(pipe(ends));
	CHECK_EQ(write(ends[1], "x", 1), 1);
	set_add(f->ep, event, EPOLLIN);
	set_add(f->ep, ends[0], EPOLLIN);
	for (int i = 0; i < 3; i++)
		peer_write(peers[i], "x", 1);
	memcpy(fds, (int[]){ event, ends[0], conns[0], conns[1], conns[2] },
	       sizeof(fds));
	for (int c = 0; c < 60; c++) {
		int n = MUST(epoll_wait(f->ep, ev, max, WAIT_MS));

		CHECK(n >= 1 && n <= max);
		for (int i = 0; i < n; i++)
			for (int k = 0; k < 5; k++)
				seen[k] += ev[i].data.fd == fds[k];
	}
	for (int k = 0; k < 5; k++)
		if (seen[k] < 3)
			tap_fail(__FILE__, __LINE__,
				 "number %d of 5 seen %d times of 60", k,
				 seen[k]);
	for (int i = 1; i < 3; i++) {
		MUST(close(conns[i]));
		MUST(close(peers[i]));
	}
	MUST(close(event));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static void t_fair_one(struct fix *f)
{
	fair(f, 1);
}

static void t_fair_two(struct fix *f)
{
	fair(f, 2);
}

/* One wait returns both kinds when there is room. */
static void t_together(struct fix *f)
{
	int event = MUST(eventfd(1, 0));
	struct epoll_event ev[8];

	set_add(f->ep, event, EPOLLIN);
	peer_write(f->peer, "x", 1);
	UNTIL(MUST(epoll_wait(f->ep, ev, 8, 10)) == 2);
	CHECK_EQ(MUST(epoll_wait(f->ep, ev, 8, 0)), 2);
	CHECK_EQ(ev[0].data.fd + ev[1].data.fd, event + f->fd);
	MUST(close(event));
}

static const struct net_case cases[] = {
	{ "a pipe", t_pipe, BOTH },
	{ "an eventfd by edge, never read", t_eventfd_edge, BOTH },
	{ "a timerfd", t_timer, BOTH },
	{ "a unix socket", t_unix, BOTH },
	{ "a UDP socket", t_udp, BOTH },
	{ "fair with maxevents 1", t_fair_one, BOTH },
	{ "fair with maxevents 2", t_fair_two, BOTH },
	{ "both kinds in one wait", t_together, BOTH },
};

NET_MAIN(cases)
