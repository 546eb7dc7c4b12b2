/* SPDX-License-Identifier: MIT */
/*
 * Description: who does not read stops its peer; small buffers stay small.
 */
#include "../lib/net.h"

#include <string.h>
#include <unistd.h>

/* Until the other side takes no more for 20 ms, while our loop turns. */
static size_t peer_fill(struct fix *f)
{
	static char buf[16384];
	long long last = tap_now_ms();
	size_t sum = 0;

	while (tap_now_ms() - last < 20) {
		ssize_t n = send(f->peer, buf, sizeof(buf),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sum += n;
			last = tap_now_ms();
			CHECK(sum < (256u << 20));
			continue;
		}
		CHECK_EQ(errno, EAGAIN);
		set_next(f->ep, -1, 1);
	}
	return sum;
}

static size_t server_take(struct fix *f, size_t len)
{
	static char buf[16384];
	size_t sum = 0;

	while (sum < len) {
		ssize_t n = recv(f->fd, buf, sizeof(buf), 0);

		if (n > 0) {
			sum += n;
			continue;
		}
		CHECK_EQ(errno, EAGAIN);
		set_wait(f->ep, f->fd, EPOLLIN);
	}
	return sum;
}

/* In the set, told of it, and not read. */
static void t_not_read(struct fix *f)
{
	size_t sum = peer_fill(f), again;

	CHECK(sum > 0 && sum < (16u << 20));
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	CHECK_EQ(server_take(f, sum), sum);
	again = peer_fill(f);
	CHECK(again > 0);
	CHECK_EQ(server_take(f, again), again);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* Not asked for at all. */
static void t_no_interest(struct fix *f)
{
	size_t sum;

	set_mod(f->ep, f->fd, EPOLLOUT);
	sum = peer_fill(f);
	CHECK(sum > 0 && sum < (16u << 20));
	set_mod(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(server_take(f, sum), sum);
}

static void set_size(int fd, int name, int size)
{
	MUST(setsockopt(fd, SOL_SOCKET, name, &size, sizeof(size)));
}

/* A client with a small window, a connection with a small buffer. */
static int small_client(struct fix *f)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	net_timeouts(fd);
	set_size(fd, SO_RCVBUF, 4096);
	set_size(fd, SO_SNDBUF, 4096);
	MUST(connect(fd, (struct sockaddr *)&f->addr, sizeof(f->addr)));
	return fd;
}

static void open_small(struct fix *f)
{
	f->peer = small_client(f);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	set_add(f->ep, f->fd, EPOLLIN);
}

/* SO_SNDBUF bounds what we can write ahead of a peer that does not read. */
static void t_sndbuf(struct fix *f)
{
	struct peer_reader r;
	size_t sum;

	open_small(f);
	set_size(f->fd, SO_SNDBUF, 8192);
	sum = server_fill(f->fd, 16 << 20);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK(sum > 0 && sum < 200000);
	MUST(shutdown(f->fd, SHUT_WR));
	peer_reader_start(&r, f->peer, false);
	peer_reader_turn(&r, f->ep);
	thread_join(r.thread);
	CHECK_EQ(r.count, sum);
}

static void t_sndbuf_inherited(struct fix *f)
{
	set_size(f->lfd, SO_SNDBUF, 8192);
	open_small(f);
	CHECK(server_fill(f->fd, 16 << 20) < 200000);
}

/* SO_RCVBUF bounds what the peer can write ahead of us. */
static void t_rcvbuf_inherited(struct fix *f)
{
	size_t sum;

	set_size(f->lfd, SO_RCVBUF, 8192);
	open_small(f);
	sum = peer_fill(f);
	CHECK(sum > 0 && sum < 80000);
	CHECK_EQ(server_take(f, sum), sum);
}

static const struct net_case cases[] = {
	{ "told and not read: the peer stops", t_not_read, BOTH },
	{ "not in the events: the peer stops", t_no_interest, BOTH },
	{ "SO_SNDBUF bounds us", t_sndbuf, BOTH | NOCONN },
	{ "the listener's SO_SNDBUF too", t_sndbuf_inherited,
	  BOTH | NOCONN },
	{ "the listener's SO_RCVBUF bounds the peer", t_rcvbuf_inherited,
	  BOTH | NOCONN },
};

NET_MAIN(cases)
