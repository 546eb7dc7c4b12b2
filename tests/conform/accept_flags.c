/* SPDX-License-Identifier: MIT */
/*
 * Description: flags, addresses and errno of accept() and accept4().
 */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A client that waits in the queue, seen by the loop. */
static void one_waiting(struct fix *f)
{
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
}

static void expect_flags(int fd, bool nonblock, bool cloexec)
{
	int flags = MUST(fcntl(fd, F_GETFL));

	CHECK_EQ(flags & O_ACCMODE, O_RDWR);
	CHECK_EQ(!!(flags & O_NONBLOCK), nonblock);
	CHECK_EQ(MUST(fcntl(fd, F_GETFD)), cloexec ? FD_CLOEXEC : 0);
}

static void t_flags(struct fix *f)
{
	static const int flags[] = {
		0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC,
	};
	int fd, peer;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		one_waiting(f);
		fd = MUST(accept4(f->lfd, NULL, NULL, flags[i]));
		expect_flags(fd, flags[i] & SOCK_NONBLOCK,
			     flags[i] & SOCK_CLOEXEC);
		peer = f->peer;
		f->peer = -1;
		MUST(close(fd));
		peer_eof(peer);
		MUST(close(peer));
	}
}

/* The listener's O_NONBLOCK is not inherited: this recv must sleep. */
static void t_plain_accept(struct fix *f)
{
	char byte;

	one_waiting(f);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	expect_flags(f->fd, false, false);
	net_timeouts(f->fd);
	peer_write(f->peer, "x", 1);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EQ(send(f->fd, "y", 1, 0), 1);
	peer_expect(f->peer, "y");
}

static void t_late_nonblock(struct fix *f)
{
	char byte;

	one_waiting(f);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	net_nonblock(f->fd, true);
	expect_flags(f->fd, true, false);
	MUST(fcntl(f->fd, F_SETFD, FD_CLOEXEC));
	expect_flags(f->fd, true, true);
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EAGAIN);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
}

static void t_address(struct fix *f)
{
	struct sockaddr_storage got;
	struct sockaddr_in mine;
	socklen_t len = sizeof(got), mine_len = sizeof(mine);

	one_waiting(f);
	memset(&got, 0x5a, sizeof(got));
	f->fd = MUST(accept4(f->lfd, (struct sockaddr *)&got, &len,
			     SOCK_NONBLOCK));
	MUST(getsockname(f->peer, (struct sockaddr *)&mine, &mine_len));
	CHECK_EQ(len, sizeof(mine));
	CHECK_MEM(&got, &mine, sizeof(mine));
	/* Nothing behind the address is written. */
	CHECK_EQ(((unsigned char *)&got)[sizeof(mine)], 0x5a);
}

static void t_short_address(struct fix *f)
{
	unsigned char got[16];
	struct sockaddr_in mine;
	socklen_t len = 4, mine_len = sizeof(mine);

	one_waiting(f);
	memset(got, 0x5a, sizeof(got));
	f->fd = MUST(accept4(f->lfd, (struct sockaddr *)got, &len,
			     SOCK_NONBLOCK));
	MUST(getsockname(f->peer, (struct sockaddr *)&mine, &mine_len));
	CHECK_EQ(len, sizeof(mine));
	CHECK_MEM(got, &mine, 4);
	CHECK_EQ(got[4], 0x5a);
}

static void t_zero_address(struct fix *f)
{
	unsigned char got[4] = { 0x5a };
	socklen_t len = 0;

	one_waiting(f);
	f->fd = MUST(accept(f->lfd, (struct sockaddr *)got, &len));
	CHECK_EQ(len, sizeof(struct sockaddr_in));
	CHECK_EQ(got[0], 0x5a);
}

static void t_errno(struct fix *f)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int ends[2], fd;

	CHECK_ERRNO(accept(-1, NULL, NULL), EBADF);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, 1), EINVAL);
	CHECK_ERRNO(accept(f->fd, NULL, NULL), EINVAL);
	CHECK_ERRNO(accept4(f->fd, (struct sockaddr *)&sa, &len, 0), EINVAL);
	MUST(pipe(ends));
	CHECK_ERRNO(accept(ends[0], NULL, NULL), ENOTSOCK);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
	MUST(close(fd));
	fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK_ERRNO(accept(fd, NULL, NULL), EOPNOTSUPP);
	MUST(close(fd));
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EAGAIN);
}

static const struct net_case cases[] = {
	{ "SOCK_NONBLOCK and SOCK_CLOEXEC show", t_flags, BOTH | NOCONN },
	{ "accept() gives a blocking socket", t_plain_accept,
	  BOTH | NOCONN },
	{ "O_NONBLOCK set after accept()", t_late_nonblock, BOTH | NOCONN },
	{ "the address is the peer's", t_address, BOTH | NOCONN },
	{ "a short length cuts, the full one comes back", t_short_address,
	  BOTH | NOCONN },
	{ "a length of 0", t_zero_address, BOTH | NOCONN },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
