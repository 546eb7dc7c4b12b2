/* SPDX-License-Identifier: MIT */
/*
 * Description: the read family and its flags on an accepted connection.
 */
#include "../lib/net.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* What _FORTIFY_SOURCE makes of read(), recv() and recvfrom(). */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size,
		       int flags, struct sockaddr *sa, socklen_t *sa_len);

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

static void empty(struct fix *f)
{
	char buf[64];

	CHECK_EQ(readable(f->fd), 0);
	CHECK_ERRNO(read(f->fd, buf, sizeof(buf)), EAGAIN);
}

static void t_calls(struct fix *f)
{
	char buf[64];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	for (int i = 0; i < 8; i++) {
		ssize_t n = -2;

		memset(buf, 0, sizeof(buf));
		arrive(f, "hello");
		switch (i) {
		case 0: n = read(f->fd, buf, 64); break;
		case 1: n = recv(f->fd, buf, 64, 0); break;
		case 2: n = readv(f->fd, &iov, 1); break;
		case 3: n = recvfrom(f->fd, buf, 64, 0, NULL, NULL); break;
		case 4: n = recvmsg(f->fd, &msg, 0); break;
		case 5: n = __read_chk(f->fd, buf, 64, 64); break;
		case 6: n = __recv_chk(f->fd, buf, 64, 64, 0); break;
		case 7: n = __recvfrom_chk(f->fd, buf, 64, 64, 0, NULL,
					   NULL); break;
		}
		CHECK_EQ(n, 5);
		CHECK_MEM(buf, "hello", 5);
		empty(f);
	}
}

static void t_eagain(struct fix *f)
{
	char buf[8];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	CHECK_ERRNO(read(f->fd, buf, 8), EAGAIN);
	CHECK_ERRNO(recv(f->fd, buf, 8, 0), EAGAIN);
	CHECK_ERRNO(recv(f->fd, buf, 8, MSG_PEEK), EAGAIN);
	CHECK_ERRNO(recv(f->fd, buf, 8, MSG_WAITALL), EAGAIN);
	CHECK_ERRNO(readv(f->fd, &iov, 1), EAGAIN);
	CHECK_ERRNO(recvfrom(f->fd, buf, 8, 0, NULL, NULL), EAGAIN);
	CHECK_ERRNO(recvmsg(f->fd, &msg, 0), EAGAIN);
	CHECK_ERRNO(__read_chk(f->fd, buf, 8, 8), EAGAIN);
	CHECK_ERRNO(__recv_chk(f->fd, buf, 8, 8, 0), EAGAIN);
	/* MSG_OOB with no urgent byte is an error of its own. */
	CHECK_ERRNO(recv(f->fd, buf, 8, MSG_OOB), EINVAL);
}

/*
 * Linux: read() and readv() of nothing say 0 without asking the socket,
 * recv() and its kin ask it and say EAGAIN when it is empty.
 */
static void t_zero(struct fix *f)
{
	struct iovec none = { 0 };
	struct msghdr msg = { 0 };
	char byte;

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(read(f->fd, &byte, 0), 0);
		CHECK_EQ(readv(f->fd, &none, 1), 0);
		CHECK_EQ(readv(f->fd, NULL, 0), 0);
		CHECK_EQ(recv(f->fd, &byte, 0, 0), i ? 0 : -1);
		CHECK_EQ(recvfrom(f->fd, NULL, 0, 0, NULL, NULL),
			 i ? 0 : -1);
		CHECK_EQ(recvmsg(f->fd, &msg, 0), i ? 0 : -1);
		if (!i)
			arrive(f, "x");
	}
	CHECK_EQ(readable(f->fd), 1);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	empty(f);
}

static void t_iov(struct fix *f)
{
	char a[2], b[3], c[16];
	struct iovec iov[] = {
		{ NULL, 0 }, { a, 2 }, { NULL, 0 }, { b, 3 }, { c, 16 },
		{ NULL, 0 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 6 };
	/* Volatile: the compiler warns of plain wrong counts. */
	volatile int negative = -1, many = 1025;

	for (int i = 0; i < 2; i++) {
		arrive(f, "0123456789");
		CHECK_EQ(i ? recvmsg(f->fd, &msg, 0)
			   : readv(f->fd, iov, 6), 10);
		CHECK_MEM(a, "01", 2);
		CHECK_MEM(b, "234", 3);
		CHECK_MEM(c, "56789", 5);
		empty(f);
	}
	/* It ends in the middle of a part. */
	arrive(f, "abc");
	CHECK_EQ(readv(f->fd, iov, 6), 3);
	CHECK_MEM(a, "ab", 2);
	CHECK_MEM(b, "c34", 3);
	CHECK_ERRNO(readv(f->fd, iov, negative), EINVAL);
	CHECK_ERRNO(readv(f->fd, iov, many), EINVAL);
}

static void t_peek(struct fix *f)
{
	char buf[16];
	struct iovec iov = { .iov_base = buf, .iov_len = 4 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	arrive(f, "peekaboo");
	CHECK_EQ(recv(f->fd, buf, 16, MSG_PEEK), 8);
	CHECK_EQ(recv(f->fd, buf, 3, MSG_PEEK), 3);
	CHECK_MEM(buf, "pee", 3);
	CHECK_EQ(recvmsg(f->fd, &msg, MSG_PEEK), 4);
	CHECK_EQ(readable(f->fd), 8);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, 2, 0), 2);
	CHECK_EQ(recv(f->fd, buf, 16, MSG_PEEK), 6);
	CHECK_MEM(buf, "ekaboo", 6);
	CHECK_EQ(recv(f->fd, buf, 16, MSG_PEEK | MSG_TRUNC), 6);
	CHECK_EQ(recv(f->fd, buf, 16, 0), 6);
	CHECK_MEM(buf, "ekaboo", 6);
	empty(f);
}

/* On a stream MSG_TRUNC throws bytes away instead of copying them. */
static void t_trunc(struct fix *f)
{
	char buf[16] = "untouched";

	arrive(f, "discard");
	CHECK_EQ(recv(f->fd, buf, 4, MSG_TRUNC), 4);
	CHECK_MEM(buf, "untouched", 9);
	CHECK_EQ(readable(f->fd), 3);
	CHECK_EQ(recv(f->fd, NULL, 1, MSG_TRUNC), 1);
	CHECK_EQ(recv(f->fd, buf, 16, 0), 2);
	CHECK_MEM(buf, "rd", 2);
	empty(f);
}

static void t_waitall(struct fix *f)
{
	char buf[16];

	/* Non-blocking: MSG_WAITALL gives what there is. */
	arrive(f, "abc");
	CHECK_EQ(recv(f->fd, buf, 16, MSG_WAITALL), 3);
	CHECK_MEM(buf, "abc", 3);
	arrive(f, "abc");
	CHECK_EQ(recv(f->fd, buf, 2, MSG_WAITALL), 2);
	CHECK_EQ(recv(f->fd, buf, 2, MSG_DONTWAIT), 1);
	CHECK_ERRNO(recv(f->fd, buf, 2, MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(recv(f->fd, buf, 2, MSG_DONTWAIT | MSG_WAITALL),
		    EAGAIN);
}

static void t_fionread(struct fix *f)
{
	char buf[16];

	CHECK_EQ(readable(f->fd), 0);
	arrive(f, "12345");
	CHECK_EQ(readable(f->fd), 5);
	CHECK_EQ(recv(f->fd, buf, 2, 0), 2);
	CHECK_EQ(readable(f->fd), 3);
	peer_write(f->peer, "678", 3);
	UNTIL(readable(f->fd) == 6);
	CHECK_EQ(recv(f->fd, buf, 16, 0), 6);
	CHECK_EQ(readable(f->fd), 0);
	/* EOF is not a byte, and a listener cannot say. */
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(readable(f->fd), 0);
	CHECK_ERRNO(ioctl(f->lfd, FIONREAD, buf), EINVAL);
}

/* A stream gives no address, and says so in the length. */
static void t_outputs(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char buf[16], control[64];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_name = &sa, .msg_namelen = sizeof(sa),
		.msg_control = control, .msg_controllen = sizeof(control),
		.msg_flags = -1,
	};

	memset(&sa, 0x5a, sizeof(sa));
	arrive(f, "abc");
	CHECK_EQ(recvfrom(f->fd, buf, 1, 0, (struct sockaddr *)&sa, &len),
		 1);
	CHECK_EQ(len, 0);
	CHECK_EQ(sa.sin_family, 0x5a5a);
	CHECK_EQ(recvmsg(f->fd, &msg, 0), 2);
	CHECK_EQ(msg.msg_namelen, 0);
	CHECK_EQ(msg.msg_controllen, 0);
	CHECK_EQ(msg.msg_flags, 0);
}

static void t_offset_calls(struct fix *f)
{
	char buf[8];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };

	arrive(f, "ab");
	CHECK_ERRNO(pread(f->fd, buf, 8, 0), ESPIPE);
	CHECK_ERRNO(preadv(f->fd, &iov, 1, 0), ESPIPE);
	CHECK_ERRNO(lseek(f->fd, 0, SEEK_CUR), ESPIPE);
	/* Offset -1 means the file's own position: a plain readv(). */
	CHECK_EQ(preadv2(f->fd, &iov, 1, -1, 0), 2);
	CHECK_MEM(buf, "ab", 2);
}

static const struct net_case cases[] = {
	{ "read readv recv recvfrom recvmsg and the _chk ones", t_calls,
	  BOTH },
	{ "EAGAIN of each", t_eagain, BOTH },
	{ "zero length", t_zero, BOTH },
	{ "vectors with empty parts", t_iov, BOTH },
	{ "MSG_PEEK", t_peek, BOTH },
	{ "MSG_TRUNC", t_trunc, BOTH },
	{ "MSG_WAITALL and MSG_DONTWAIT", t_waitall, BOTH },
	{ "FIONREAD is exact", t_fionread, BOTH },
	{ "address, control and flags that come back", t_outputs, BOTH },
	{ "pread: ESPIPE; preadv2 at -1", t_offset_calls, BOTH },
};

NET_MAIN(cases)
