/* SPDX-License-Identifier: MIT */
/*
 * Description: recvmmsg() and sendmmsg(): counts, flags, time, errno.
 */
#include "../lib/net.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COUNT 4

struct batch {
	struct mmsghdr msgs[COUNT];
	struct iovec iov[COUNT];
	char buf[COUNT][8];
};

static void batch_init(struct batch *b, size_t len)
{
	memset(b, 0, sizeof(*b));
	for (int i = 0; i < COUNT; i++) {
		b->iov[i] = (struct iovec){ b->buf[i], len };
		b->msgs[i].msg_hdr.msg_iov = &b->iov[i];
		b->msgs[i].msg_hdr.msg_iovlen = 1;
		b->msgs[i].msg_len = 77;
	}
}

static void arrive(struct fix *f, const char *text)
{
	int n = -1;

	peer_write(f->peer, text, strlen(text));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	UNTIL(!ioctl(f->fd, FIONREAD, &n) && n == (int)strlen(text));
}

/* A stream: each takes its size, the last what is left. */
static void t_recv(struct fix *f)
{
	struct batch b;

	batch_init(&b, 4);
	arrive(f, "aaaabbbbcc");
	CHECK_EQ(recvmmsg(f->fd, b.msgs, COUNT, 0, NULL), 3);
	CHECK_EQ(b.msgs[0].msg_len, 4);
	CHECK_EQ(b.msgs[2].msg_len, 2);
	CHECK_EQ(b.msgs[3].msg_len, 77);
	CHECK_MEM(b.buf[1], "bbbb", 4);
	CHECK_MEM(b.buf[2], "cc", 2);
	CHECK_ERRNO(recvmmsg(f->fd, b.msgs, COUNT, 0, NULL), EAGAIN);
}

static void t_recv_flags(struct fix *f)
{
	struct batch b;

	batch_init(&b, 4);
	arrive(f, "aaaabb");
	/* Peeked: each sees the same bytes. */
	CHECK_EQ(recvmmsg(f->fd, b.msgs, 2, MSG_PEEK, NULL), 2);
	CHECK_MEM(b.buf[1], "aaaa", 4);
	CHECK_EQ(recvmmsg(f->fd, b.msgs, COUNT,
			  MSG_WAITFORONE | MSG_DONTWAIT, NULL), 2);
	CHECK_MEM(b.buf[1], "bb", 2);
	CHECK_ERRNO(recvmmsg(f->fd, b.msgs, COUNT, MSG_WAITFORONE, NULL),
		    EAGAIN);
	CHECK_EQ(recvmmsg(f->fd, b.msgs, 0, 0, NULL), 0);
}

static void t_recv_time(struct fix *f)
{
	struct timespec bad = { 0, 1000000000 }, none = { 0, 0 };
	struct timespec some = { 1, 0 };
	struct batch b;

	batch_init(&b, 4);
	CHECK_ERRNO(recvmmsg(f->fd, b.msgs, 1, 0, &bad), EINVAL);
	CHECK_ERRNO(recvmmsg(f->fd, b.msgs, 1, 0, &none), EAGAIN);
	arrive(f, "aaaabbbb");
	/* The time is looked at after the first. */
	CHECK_EQ(recvmmsg(f->fd, b.msgs, COUNT, 0, &none), 1);
	CHECK_EQ(recvmmsg(f->fd, b.msgs, COUNT, 0, &some), 1);
	CHECK_MEM(b.buf[0], "bbbb", 4);
	CHECK(some.tv_sec == 0 || !some.tv_nsec);
}

/* At the end each of them gets nothing, and that is no error. */
static void t_recv_eof(struct fix *f)
{
	struct batch b;

	batch_init(&b, 4);
	peer_write(f->peer, "aa", 2);
	MUST(shutdown(f->peer, SHUT_WR));
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	set_wait(f->ep, f->fd, EPOLLRDHUP);
	CHECK_EQ(recvmmsg(f->fd, b.msgs, COUNT, 0, NULL), COUNT);
	CHECK_EQ(b.msgs[0].msg_len, 2);
	CHECK_EQ(b.msgs[3].msg_len, 0);
	CHECK_EQ(recvmmsg(f->fd, b.msgs, COUNT, 0, NULL), COUNT);
}

/* An error behind data is kept for the next call. */
static void t_recv_reset(struct fix *f)
{
	struct batch b;

	batch_init(&b, 4);
	arrive(f, "aa");
	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLHUP);
	CHECK_ERRNO(recvmmsg(f->fd, b.msgs, COUNT, 0, NULL), ECONNRESET);
	CHECK_EQ(recvmmsg(f->fd, b.msgs, 1, 0, NULL), 1);
}

static void t_send(struct fix *f)
{
	struct batch b;

	batch_init(&b, 2);
	for (int i = 0; i < COUNT; i++)
		memset(b.buf[i], 'a' + i, 2);
	CHECK_EQ(send(f->fd, "<", 1, 0), 1);
	CHECK_EQ(sendmmsg(f->fd, b.msgs, COUNT, 0), COUNT);
	CHECK_EQ(b.msgs[3].msg_len, 2);
	CHECK_EQ(send(f->fd, ">", 1, 0), 1);
	peer_expect(f->peer, "<aabbccdd>");
	CHECK_EQ(sendmmsg(f->fd, b.msgs, 0, 0), 0);
	CHECK_EQ(sendmmsg(f->fd, b.msgs, COUNT, MSG_MORE), COUNT);
	CHECK_EQ(send(f->fd, ">", 1, 0), 1);
	peer_expect(f->peer, "aabbccdd>");
}

/* It ends at the first short one; all that was counted arrives. */
static void t_send_full(struct fix *f)
{
	static char big[1 << 20];
	struct mmsghdr msgs[16] = { 0 };
	struct iovec iov = { big, sizeof(big) };
	struct peer_reader r;
	size_t sum = 0;
	int n;

	bytes_fill(big, sizeof(big), 0);
	for (int i = 0; i < 16; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	n = MUST(sendmmsg(f->fd, msgs, 16, 0));
	CHECK(n > 0 && n < 16);
	for (int i = 0; i < n; i++) {
		CHECK(i == n - 1 || msgs[i].msg_len == sizeof(big));
		sum += msgs[i].msg_len;
	}
	MUST(shutdown(f->fd, SHUT_WR));
	peer_reader_start(&r, f->peer, false);
	peer_reader_turn(&r, f->ep);
	thread_join(r.thread);
	CHECK_EQ(r.count, sum);
}

static void t_errno(struct fix *f)
{
	struct batch b;
	int ends[2];

	MUST(pipe(ends));
	batch_init(&b, 2);
	CHECK_ERRNO(sendmmsg(ends[1], b.msgs, 1, 0), ENOTSOCK);
	CHECK_ERRNO(recvmmsg(ends[0], b.msgs, 1, 0, NULL), ENOTSOCK);
	CHECK_ERRNO(sendmmsg(-1, b.msgs, 1, 0), EBADF);
	CHECK_ERRNO(recvmmsg(-1, b.msgs, 1, 0, NULL), EBADF);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	/* The second is bad: the first counts. */
	b.msgs[1].msg_hdr.msg_iovlen = 1025;
	CHECK_EQ(sendmmsg(f->fd, b.msgs, 2, 0), 1);
	CHECK_ERRNO(sendmmsg(f->fd, b.msgs + 1, 1, 0), EMSGSIZE);
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_ERRNO(sendmmsg(f->fd, b.msgs, 2, MSG_NOSIGNAL), EPIPE);
}

static const struct net_case cases[] = {
	{ "recvmmsg()", t_recv, BOTH },
	{ "recvmmsg(): flags", t_recv_flags, BOTH },
	{ "recvmmsg(): time", t_recv_time, BOTH },
	{ "recvmmsg(): EOF", t_recv_eof, BOTH },
	{ "recvmmsg(): a reset", t_recv_reset, BOTH },
	{ "sendmmsg()", t_send, BOTH },
	{ "sendmmsg(): a full buffer", t_send_full, BOTH },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
