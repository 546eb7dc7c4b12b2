/* SPDX-License-Identifier: MIT */
/*
 * Description: the write family and its flags on an accepted connection.
 */
#include "../lib/net.h"

#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static void t_calls(struct fix *f)
{
	struct iovec iov[] = { { "he", 2 }, { NULL, 0 }, { "llo", 3 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	for (int i = 0; i < 7; i++) {
		ssize_t n = -2;

		switch (i) {
		case 0: n = write(f->fd, "hello", 5); break;
		case 1: n = send(f->fd, "hello", 5, 0); break;
		case 2: n = writev(f->fd, iov, 3); break;
		case 3: n = sendto(f->fd, "hello", 5, 0, NULL, 0); break;
		case 4: n = sendmsg(f->fd, &msg, 0); break;
		case 5: n = send(f->fd, "hello", 5, MSG_NOSIGNAL |
				 MSG_DONTWAIT); break;
		case 6: n = pwritev2(f->fd, iov, 3, -1, 0); break;
		}
		CHECK_EQ(n, 5);
		peer_expect(f->peer, "hello");
	}
}

static void t_zero(struct fix *f)
{
	struct iovec none = { 0 };
	struct msghdr msg = { .msg_iov = &none, .msg_iovlen = 1 };
	struct msghdr no_iov = { 0 };

	CHECK_EQ(write(f->fd, "", 0), 0);
	CHECK_EQ(send(f->fd, NULL, 0, 0), 0);
	CHECK_EQ(writev(f->fd, &none, 1), 0);
	CHECK_EQ(writev(f->fd, NULL, 0), 0);
	CHECK_EQ(sendto(f->fd, NULL, 0, 0, NULL, 0), 0);
	CHECK_EQ(sendmsg(f->fd, &msg, 0), 0);
	CHECK_EQ(sendmsg(f->fd, &no_iov, 0), 0);
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	peer_expect(f->peer, "x");
	/* Nothing is not an end of file. */
	CHECK_ERRNO(recv(f->peer, &none, 1, MSG_DONTWAIT), EAGAIN);
}

static void t_iov_max(struct fix *f)
{
	static struct iovec iov[IOV_MAX + 1];
	static char buf[IOV_MAX + 1], got[IOV_MAX];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = IOV_MAX + 1 };

	bytes_fill(buf, sizeof(buf), 0);
	for (int i = 0; i <= IOV_MAX; i++)
		iov[i] = (struct iovec){ .iov_base = buf + i, .iov_len = 1 };
	CHECK_EQ(writev(f->fd, iov, IOV_MAX), IOV_MAX);
	peer_read(f->peer, got, IOV_MAX);
	CHECK_MEM(got, buf, IOV_MAX);
	CHECK_ERRNO(writev(f->fd, iov, IOV_MAX + 1), EINVAL);
	CHECK_ERRNO(sendmsg(f->fd, &msg, 0), EMSGSIZE);
	msg.msg_iovlen = IOV_MAX;
	CHECK_EQ(sendmsg(f->fd, &msg, 0), IOV_MAX);
	peer_read(f->peer, got, IOV_MAX);
	CHECK_MEM(got, buf, IOV_MAX);
}

static void t_more(struct fix *f)
{
	CHECK_EQ(send(f->fd, "a", 1, MSG_MORE), 1);
	CHECK_EQ(send(f->fd, "b", 1, MSG_MORE), 1);
	CHECK_EQ(send(f->fd, "c", 1, 0), 1);
	peer_expect(f->peer, "abc");
	/* Alone it goes out after 200 ms at the latest. */
	CHECK_EQ(send(f->fd, "d", 1, MSG_MORE), 1);
	peer_expect(f->peer, "d");
}

/* Many small writes in one turn: order and bytes are kept. */
static void t_many_small(struct fix *f)
{
	char buf[64], got[4096];
	size_t sum = 0;

	for (int i = 0; i < 100; i++) {
		size_t len = i % 40 + 1;

		bytes_fill(buf, len, sum);
		CHECK_EQ(i & 1 ? write(f->fd, buf, len)
			       : send(f->fd, buf, len, 0), len);
		sum += len;
	}
	peer_read(f->peer, got, sum);
	char want[4096];

	bytes_fill(want, sum, 0);
	CHECK_MEM(got, want, sum);
}

/* The bytes are taken at the call: the buffer is free afterwards. */
static void t_buffer_reuse(struct fix *f)
{
	char buf[256];

	for (int i = 0; i < 20; i++) {
		memset(buf, 'a' + i, sizeof(buf));
		CHECK_EQ(send(f->fd, buf, sizeof(buf), 0), sizeof(buf));
		memset(buf, 0, sizeof(buf));
	}
	for (int i = 0; i < 20; i++) {
		peer_read(f->peer, buf, sizeof(buf));
		CHECK_EQ(buf[0], 'a' + i);
		CHECK_EQ(buf[sizeof(buf) - 1], 'a' + i);
	}
}

static void t_large_buffer_reuse(struct fix *f)
{
	static char buf[256 * 1024];
	size_t taken, left;
	char got[1024];

	memset(buf, 'z', sizeof(buf));
	taken = MUST(send(f->fd, buf, sizeof(buf), 0));
	CHECK(taken > 0 && taken <= sizeof(buf));
	memset(buf, 0, sizeof(buf));
	for (left = taken; left;) {
		size_t len = left < sizeof(got) ? left : sizeof(got);

		peer_read(f->peer, got, len);
		for (size_t i = 0; i < len; i++)
			CHECK(got[i] == 'z');
		left -= len;
	}
}

static void t_errno(struct fix *f)
{
	struct sockaddr_in sa = f->addr;
	volatile int negative = -1;
	struct iovec iov = { "x", 1 };

	CHECK_ERRNO(writev(f->fd, &iov, negative), EINVAL);
	CHECK_ERRNO(pwrite(f->fd, "x", 1, 0), ESPIPE);
	CHECK_ERRNO(send(f->lfd, "x", 1, MSG_NOSIGNAL), EPIPE);
	/* An address on a connected stream is passed over. */
	CHECK_EQ(sendto(f->fd, "x", 1, 0, (struct sockaddr *)&sa,
			sizeof(sa)), 1);
	peer_expect(f->peer, "x");
}

/* SIOCOUTQ counts what the peer has not acknowledged. */
static void t_outq(struct fix *f)
{
	int n = -1;

	MUST(ioctl(f->fd, TIOCOUTQ, &n));
	CHECK_EQ(n, 0);
	server_write(f->ep, f->fd, "hello", 5);
	peer_expect(f->peer, "hello");
	UNTIL(!MUST(ioctl(f->fd, TIOCOUTQ, &n)) && n == 0);
}

static const struct net_case cases[] = {
	{ "write send writev sendto sendmsg pwritev2", t_calls, BOTH },
	{ "zero length", t_zero, BOTH },
	{ "IOV_MAX parts and one more", t_iov_max, BOTH },
	{ "MSG_MORE", t_more, BOTH },
	{ "100 small writes keep their order", t_many_small, BOTH },
	{ "the buffer may be reused at once", t_buffer_reuse, BOTH },
	{ "a large buffer as well", t_large_buffer_reuse, BOTH },
	{ "errno", t_errno, BOTH },
	{ "SIOCOUTQ", t_outq, BOTH },
};

NET_MAIN(cases)
