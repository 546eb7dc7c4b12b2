/* SPDX-License-Identifier: MIT */
/*
 * Description: socket options of an accepted connection, values and errno.
 */
#include "../lib/net.h"

#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static int get(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	MUST(getsockopt(fd, level, option, &value, &len));
	CHECK_EQ(len, sizeof(value));
	return value;
}

static void set(int fd, int level, int option, int value)
{
	MUST(setsockopt(fd, level, option, &value, sizeof(value)));
}

static void t_kind(struct fix *f)
{
	CHECK_EQ(get(f->fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	CHECK_EQ(get(f->fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
	CHECK_EQ(get(f->fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	CHECK_EQ(get(f->fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
	CHECK_EQ(get(f->lfd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	CHECK_EQ(get(f->fd, SOL_SOCKET, SO_ERROR), 0);
}

static void t_set_get(struct fix *f)
{
	static const int table[][3] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ SOL_SOCKET, SO_REUSEADDR, 1 },
		{ SOL_SOCKET, SO_OOBINLINE, 1 },
		{ SOL_SOCKET, SO_PRIORITY, 3 },
		{ SOL_SOCKET, SO_RCVLOWAT, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 77 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 11 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 5 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 4321 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384 },
		{ IPPROTO_IP, IP_TOS, 0x10 },
		{ IPPROTO_IP, IP_TTL, 33 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const int *t = table[i];

		set(f->fd, t[0], t[1], t[2]);
		CHECK_EQ(get(f->fd, t[0], t[1]), t[2]);
	}
	/* The connection works as before. */
	char byte;

	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
}

/* The kernel doubles what is asked for. */
static void t_buffers(struct fix *f)
{
	CHECK(get(f->fd, SOL_SOCKET, SO_SNDBUF) > 0);
	CHECK(get(f->fd, SOL_SOCKET, SO_RCVBUF) > 0);
	set(f->fd, SOL_SOCKET, SO_SNDBUF, 30000);
	set(f->fd, SOL_SOCKET, SO_RCVBUF, 40000);
	CHECK_EQ(get(f->fd, SOL_SOCKET, SO_SNDBUF), 60000);
	CHECK_EQ(get(f->fd, SOL_SOCKET, SO_RCVBUF), 80000);
}

static void t_inherited(struct fix *f)
{
	set(f->lfd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(f->lfd, SOL_SOCKET, SO_SNDBUF, 50000);
	set(f->lfd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(f->lfd, IPPROTO_TCP, TCP_KEEPIDLE, 55);
	for (int i = 0; i < 3; i++) {
		int peer, fd = server_accept(f, &peer, EPOLLIN);

		CHECK_EQ(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		CHECK_EQ(get(fd, SOL_SOCKET, SO_SNDBUF), 100000);
		CHECK_EQ(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
		CHECK_EQ(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 55);
		MUST(close(fd));
		peer_eof(peer);
		MUST(close(peer));
	}
}

/* Timeouts are kept, and mean nothing to a non-blocking call. */
static void t_timeouts(struct fix *f)
{
	struct timeval tv = { .tv_sec = 3, .tv_usec = 500000 }, got;
	socklen_t len = sizeof(got);
	char byte;

	MUST(setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	MUST(setsockopt(f->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	MUST(getsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
	CHECK_EQ(len, sizeof(got));
	CHECK_EQ(got.tv_sec, 3);
	CHECK_EQ(got.tv_usec, 500000);
	MUST(getsockopt(f->fd, SOL_SOCKET, SO_SNDTIMEO, &got, &len));
	CHECK_EQ(got.tv_sec, 3);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EAGAIN);
}

static int tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	CHECK(len > 0 && len <= sizeof(info));
	return info.tcpi_state;
}

static void t_info(struct fix *f)
{
	CHECK_EQ(tcp_state(f->lfd), TCP_LISTEN);
	CHECK_EQ(tcp_state(f->fd), TCP_ESTABLISHED);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	CHECK_EQ(tcp_state(f->fd), TCP_CLOSE_WAIT);
	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLHUP);
	CHECK_EQ(tcp_state(f->fd), TCP_CLOSE);
}

static void t_errno(struct fix *f)
{
	socklen_t len = sizeof(int), negative = -1;
	int value = 0;

	CHECK_ERRNO(getsockopt(f->fd, SOL_SOCKET, 9999, &value, &len),
		    ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(f->fd, SOL_SOCKET, 9999, &value, 4),
		    ENOPROTOOPT);
	CHECK_ERRNO(getsockopt(f->fd, IPPROTO_TCP, 9999, &value, &len),
		    ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(f->fd, SOL_SOCKET, SO_ERROR, &value, 4),
		    ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(f->fd, SOL_SOCKET, SO_KEEPALIVE, &value, 1),
		    EINVAL);
	CHECK_ERRNO(setsockopt(f->fd, IPPROTO_TCP, TCP_KEEPIDLE, &value,
			       4), EINVAL);
	CHECK_ERRNO(getsockopt(f->fd, SOL_SOCKET, SO_TYPE, &value,
			       &negative), EINVAL);
	CHECK_ERRNO(getsockopt(f->fd, SOL_SOCKET, SO_TYPE, &value, NULL),
		    EFAULT);
	CHECK_ERRNO(setsockopt(f->fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4),
		    EFAULT);
	CHECK_ERRNO(setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, NULL, 4),
		    EFAULT);
	CHECK_ERRNO(getsockopt(-1, SOL_SOCKET, SO_TYPE, &value, &len),
		    EBADF);
}

/* A short buffer gets what fits. */
static void t_short(struct fix *f)
{
	unsigned char value[4] = { 0x5a, 0x5a, 0x5a, 0x5a };
	socklen_t len = 2;

	MUST(getsockopt(f->fd, SOL_SOCKET, SO_TYPE, value, &len));
	CHECK_EQ(len, 2);
	CHECK_EQ(value[0], SOCK_STREAM);
	CHECK_EQ(value[2], 0x5a);
}

static const struct net_case cases[] = {
	{ "SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN", t_kind, BOTH },
	{ "set and read back", t_set_get, BOTH },
	{ "SO_SNDBUF and SO_RCVBUF", t_buffers, BOTH },
	{ "inherited from the listener", t_inherited, BOTH | NOCONN },
	{ "SO_RCVTIMEO and SO_SNDTIMEO", t_timeouts, BOTH },
	{ "the state in TCP_INFO", t_info, BOTH },
	{ "errno", t_errno, BOTH },
	{ "a short buffer", t_short, BOTH },
};

NET_MAIN(cases)
