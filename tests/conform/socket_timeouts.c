/* SPDX-License-Identifier: MIT */
/*
 * Description: SO_RCVTIMEO and SO_SNDTIMEO once a socket blocks.
 */
#include "../lib/net.h"

#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define TIME_MS 30

static void set_time(int fd, int name)
{
	struct timeval tv = { .tv_usec = TIME_MS * 1000 };

	MUST(setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv)));
}

static void took_time(long long start)
{
	long long took = tap_now_ms() - start;

	CHECK(took >= TIME_MS - 5 && took < WAIT_MS);
}

/* The time is set first, or the mode. */
static void t_recv(struct fix *f)
{
	long long start;
	char buf[8];

	for (int i = 0; i < 2; i++) {
		if (!i)
			set_time(f->fd, SO_RCVTIMEO);
		net_nonblock(f->fd, false);
		set_time(f->fd, SO_RCVTIMEO);
		start = tap_now_ms();
		CHECK_ERRNO(recv(f->fd, buf, 8, 0), EAGAIN);
		took_time(start);
		peer_write(f->peer, "x", 1);
		/* All or the time: what there is. */
		start = tap_now_ms();
		CHECK_EQ(recv(f->fd, buf, 8, MSG_WAITALL), 1);
		took_time(start);
		net_nonblock(f->fd, true);
		CHECK_ERRNO(recv(f->fd, buf, 8, 0), EAGAIN);
	}
}

static void t_send(struct fix *f)
{
	static char buf[16 << 20];
	long long start;
	ssize_t n, more;

	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	net_nonblock(f->fd, false);
	set_time(f->fd, SO_SNDTIMEO);
	start = tap_now_ms();
	n = send(f->fd, buf, sizeof(buf), 0);
	took_time(start);
	CHECK(n > 0 && n < (ssize_t)sizeof(buf));
	/* The peer's kernel may find a little more room. */
	do {
		start = tap_now_ms();
		more = send(f->fd, buf, sizeof(buf), 0);
		n += more > 0 ? more : 0;
	} while (more > 0);
	CHECK_EQ(errno, EAGAIN);
	took_time(start);
	for (n++; n > 0; n -= more)
		more = MUST(recv(f->peer, buf, sizeof(buf), 0));
}

static void t_accept(struct fix *f)
{
	long long start;

	net_nonblock(f->lfd, false);
	set_time(f->lfd, SO_RCVTIMEO);
	start = tap_now_ms();
	CHECK_ERRNO(accept(f->lfd, NULL, NULL), EAGAIN);
	took_time(start);
}

/* A connection inherits the times, not the mode. */
static void t_inherited(struct fix *f)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);
	int peer, fd;

	set_time(f->lfd, SO_RCVTIMEO);
	fd = server_accept(f, &peer, EPOLLIN);
	MUST(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
	CHECK_EQ(tv.tv_sec, 0);
	CHECK(tv.tv_usec >= TIME_MS * 1000 && tv.tv_usec < 2 * TIME_MS * 1000);
	MUST(close(fd));
	MUST(close(peer));
}

static void t_errno(struct fix *f)
{
	struct timeval bad = { .tv_usec = 1000000 }, negative = { -1, 0 };

	CHECK_ERRNO(setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &bad,
			       sizeof(bad)), EDOM);
	CHECK_ERRNO(setsockopt(f->fd, SOL_SOCKET, SO_SNDTIMEO, &bad, 4),
		    EINVAL);
	CHECK_EQ(setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &negative,
			    sizeof(negative)), 0);
	server_write(f->ep, f->fd, "x", 1);
	peer_expect(f->peer, "x");
}

static const struct net_case cases[] = {
	{ "recv()", t_recv, BOTH },
	{ "send()", t_send, BOTH },
	{ "accept()", t_accept, BOTH | NOCONN },
	{ "inherited from the listener", t_inherited, BOTH | NOCONN },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
