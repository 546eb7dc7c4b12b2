/* SPDX-License-Identifier: MIT */
/*
 * Description: MSG_PEEK, WAITALL, TRUNC, DONTWAIT together; rare flags.
 */
#include "../lib/net.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define MUCH (150 << 10)

static int readable(int fd)
{
	int n = -1;

	MUST(ioctl(fd, FIONREAD, &n));
	return n;
}

static void arrive(struct fix *f, const char *text)
{
	peer_write(f->peer, text, strlen(text));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	UNTIL(readable(f->fd) == (int)strlen(text));
}

static void expect(struct fix *f, const char *text)
{
	char buf[64];

	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), strlen(text));
	CHECK_MEM(buf, text, strlen(text));
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
}

static void t_combined(struct fix *f)
{
	static const int flags[] = {
		MSG_PEEK | MSG_WAITALL, MSG_PEEK | MSG_DONTWAIT,
		MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT,
	};
	char buf[16];

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		CHECK_ERRNO(recv(f->fd, buf, 16, flags[i]), EAGAIN);
		arrive(f, "0123456789");
		CHECK_EQ(recv(f->fd, buf, 4, flags[i]), 4);
		CHECK_EQ(recv(f->fd, buf, 10, flags[i]), 10);
		memset(buf, 0, sizeof(buf));
		CHECK_EQ(recv(f->fd, buf, 16, flags[i]), 10);
		CHECK_MEM(buf, "0123456789", 10);
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
		expect(f, "0123456789");
	}
}

/* Peeked and thrown away at once: nothing is copied, nothing is taken. */
static void t_peek_trunc(struct fix *f)
{
	char buf[16] = "untouched";

	arrive(f, "hello");
	CHECK_EQ(recv(f->fd, buf, 3, MSG_PEEK | MSG_TRUNC), 3);
	CHECK_EQ(recv(f->fd, buf, 16, MSG_PEEK | MSG_TRUNC), 5);
	CHECK_MEM(buf, "untouched", 9);
	CHECK_EQ(recv(f->fd, NULL, 2, MSG_TRUNC | MSG_WAITALL), 2);
	expect(f, "llo");
}

static void t_peek_vector(struct fix *f)
{
	char a[3], b[16];
	struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 16 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	arrive(f, "vectored");
	for (int i = 0; i < 2; i++) {
		memset(a, 0, sizeof(a));
		memset(b, 0, sizeof(b));
		CHECK_EQ(recvmsg(f->fd, &msg, i ? 0 : MSG_PEEK), 8);
		CHECK_MEM(a, "vec", 3);
		CHECK_MEM(b, "tored", 5);
	}
	CHECK_ERRNO(recvmsg(f->fd, &msg, MSG_PEEK), EAGAIN);
}

/* Pieces that came one by one are seen as one. */
static void t_peek_grows(struct fix *f)
{
	char buf[64], want[64];

	for (int i = 1; i <= 20; i++) {
		want[i - 1] = 'a' + i;
		peer_write(f->peer, &want[i - 1], 1);
		UNTIL(recv(f->fd, buf, sizeof(buf), MSG_PEEK) == i);
		CHECK_MEM(buf, want, i);
	}
	CHECK_EQ(recv(f->fd, buf, 7, 0), 7);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), MSG_PEEK), 13);
	CHECK_MEM(buf, want + 7, 13);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 13);
}

/* More than any read-ahead: all of it can be seen, thrown away and read. */
static void t_much(struct fix *f)
{
	static char data[MUCH], buf[MUCH + 1];
	int size = 1 << 20, peer, fd;

	MUST(setsockopt(f->lfd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	fd = server_accept(f, &peer, EPOLLIN);
	bytes_fill(data, MUCH, 0);
	peer_write(peer, data, MUCH);
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	UNTIL(readable(fd) == MUCH);
	CHECK_EQ(recv(fd, buf, MUCH + 1, MSG_PEEK), MUCH);
	CHECK_MEM(buf, data, MUCH);
	CHECK_EQ(readable(fd), MUCH);
	CHECK_EQ(recv(fd, NULL, 100000, MSG_TRUNC), 100000);
	CHECK_EQ(readable(fd), MUCH - 100000);
	CHECK_EQ(recv(fd, buf, MUCH, 0), MUCH - 100000);
	CHECK_MEM(buf, data + 100000, MUCH - 100000);
	CHECK_ERRNO(recv(fd, buf, MUCH, 0), EAGAIN);
	MUST(close(fd));
	peer_eof(peer);
	MUST(close(peer));
}

/* The error queue is empty, and asking for it changes nothing. */
static void t_errqueue(struct fix *f)
{
	char buf[16], control[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};

	arrive(f, "data");
	CHECK_ERRNO(recvmsg(f->fd, &msg, MSG_ERRQUEUE), EAGAIN);
	CHECK_ERRNO(recvmsg(f->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT),
		    EAGAIN);
	expect(f, "data");
	server_write(f->ep, f->fd, "x", 1);
	peer_expect(f->peer, "x");
}

/* Flags that mean nothing to a stream are passed over. */
static void t_ignored(struct fix *f)
{
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	arrive(f, "abc");
	CHECK_EQ(recv(f->fd, buf, 1, MSG_NOSIGNAL | MSG_CONFIRM), 1);
	CHECK_EQ(recv(f->fd, buf, 1, MSG_EOR | MSG_CTRUNC), 1);
	CHECK_EQ(recvmsg(f->fd, &msg, MSG_CMSG_CLOEXEC | MSG_EOR), 1);
	CHECK_EQ(msg.msg_flags, MSG_CMSG_CLOEXEC);
	CHECK_EQ(send(f->fd, "x", 1, MSG_CONFIRM | MSG_DONTROUTE), 1);
	CHECK_EQ(send(f->fd, "y", 1, MSG_EOR), 1);
	peer_expect(f->peer, "xy");
}

/* WAITALL in a blocking peer of the same program: it waits for all. */
static void t_waitall_blocks(struct fix *f)
{
	char buf[8];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(send(f->fd, "ab", 2, 0), 2);
	CHECK_EQ(recv(f->peer, buf, 8, MSG_WAITALL), 8);
	CHECK_MEM(buf, "abababab", 8);
}

static const struct net_case cases[] = {
	{ "PEEK with WAITALL and DONTWAIT", t_combined, BOTH },
	{ "PEEK with TRUNC", t_peek_trunc, BOTH },
	{ "PEEK into a vector", t_peek_vector, BOTH },
	{ "PEEK sees what comes piece by piece", t_peek_grows, BOTH },
	{ "150 KiB peeked, dropped, read", t_much, BOTH | NOCONN },
	{ "MSG_ERRQUEUE", t_errqueue, BOTH },
	{ "flags without a meaning", t_ignored, BOTH },
	{ "a peer that waits for all", t_waitall_blocks, BOTH },
};

NET_MAIN(cases)
