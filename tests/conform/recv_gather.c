/* SPDX-License-Identifier: MIT */
/*
 * Description: one recv() takes all that many small sends brought.
 */
#include "../lib/net.h"

#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define SENDS 200

static int readable(int fd)
{
	int n = -1;

	MUST(ioctl(fd, FIONREAD, &n));
	return n;
}

/* Send pieces of 1, 2, ... bytes; returns the sum. */
static size_t send_pieces(struct fix *f)
{
	char buf[SENDS];
	size_t sum = 0;

	for (int i = 1; i <= SENDS; i++) {
		size_t len = i % 37 + 1;

		bytes_fill(buf, len, sum);
		peer_write(f->peer, buf, len);
		sum += len;
	}
	return sum;
}

static void expect_stream(const char *buf, size_t len, size_t offset)
{
	char want[16384];

	CHECK(len <= sizeof(want));
	bytes_fill(want, len, offset);
	CHECK_MEM(buf, want, len);
}

/* nginx: a short read means drained, so one recv() must gather all. */
static void t_one_recv(struct fix *f)
{
	char buf[16384];
	size_t sum = send_pieces(f);

	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	UNTIL(readable(f->fd) == (int)sum);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), sum);
	expect_stream(buf, sum, 0);
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
	CHECK_EQ(readable(f->fd), 0);
}

static void t_exact_recv(struct fix *f)
{
	char buf[16384];
	size_t sum = send_pieces(f), part = sum / 3;

	UNTIL(readable(f->fd) == (int)sum);
	CHECK_EQ(recv(f->fd, buf, part, 0), part);
	expect_stream(buf, part, 0);
	CHECK_EQ(readable(f->fd), sum - part);
	CHECK_EQ(recv(f->fd, buf, sum - part, 0), sum - part);
	expect_stream(buf, sum - part, part);
	CHECK_EQ(readable(f->fd), 0);
}

static void t_readv(struct fix *f)
{
	char buf[16384];
	struct iovec iov[] = {
		{ buf, 7 }, { buf + 7, 1000 }, { buf + 1007, 15000 },
	};
	size_t sum = send_pieces(f);

	UNTIL(readable(f->fd) == (int)sum);
	CHECK_EQ(readv(f->fd, iov, 3), sum);
	expect_stream(buf, sum, 0);
}

static void t_peek_all(struct fix *f)
{
	char buf[16384];
	size_t sum = send_pieces(f);

	UNTIL(readable(f->fd) == (int)sum);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(recv(f->fd, buf, sizeof(buf), MSG_PEEK), sum);
		expect_stream(buf, sum, 0);
	}
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), sum);
}

static void t_pieces_and_waits(struct fix *f)
{
	char buf[16384];
	size_t sum = 0;

	/* Waits between the pieces, so that each arrives on its own. */
	for (int i = 0; i < 50; i++) {
		bytes_fill(buf, 10, sum);
		peer_write(f->peer, buf, 10);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		sum += 10;
	}
	UNTIL(readable(f->fd) == (int)sum);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), sum);
	expect_stream(buf, sum, 0);
}

/* More than any read-ahead at once, read in large portions. */
static void t_large(struct fix *f)
{
	static char buf[1 << 20], want[1 << 20];
	size_t len = 100 * 1000, done = 0;

	bytes_fill(want, len, 0);
	peer_write(f->peer, want, len);
	while (done < len) {
		ssize_t n = recv(f->fd, buf + done, sizeof(buf) - done, 0);

		if (n > 0)
			done += n;
		else
			set_wait(f->ep, f->fd, EPOLLIN);
	}
	CHECK_EQ(done, len);
	CHECK_MEM(buf, want, len);
	CHECK_ERRNO(recv(f->fd, buf, 1, 0), EAGAIN);
}

static void t_byte_by_byte(struct fix *f)
{
	size_t sum = send_pieces(f);
	unsigned char byte, want;

	UNTIL(readable(f->fd) == (int)sum);
	for (size_t i = 0; i < sum; i++) {
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
		bytes_fill(&want, 1, i);
		CHECK_EQ(byte, want);
	}
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EAGAIN);
}

static const struct net_case cases[] = {
	{ "200 sends, one recv()", t_one_recv, BOTH },
	{ "recv() of exactly a part, then the rest", t_exact_recv, BOTH },
	{ "readv() over the pieces", t_readv, BOTH },
	{ "MSG_PEEK over the pieces", t_peek_all, BOTH },
	{ "an epoll_wait between the pieces", t_pieces_and_waits, BOTH },
	{ "100 kB at once", t_large, BOTH },
	{ "byte by byte", t_byte_by_byte, BOTH },
};

NET_MAIN(cases)
