/* SPDX-License-Identifier: MIT */
/*
 * Description: regular files, pipes, datagram sockets and event counters as
 * handles.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "native.h"

static int temporary(void)
{
	char name[] = "/tmp/native-XXXXXX";
	int fd = MUST(mkstemp(name));

	unlink(name);
	return fd;
}

static struct mp_handle *handle_of(int fd)
{
	struct mp_handle *h;

	CHECK_EQ(mp_register(ch, fd, NULL, NULL, &h), 0);
	return h;
}

/* At the file's own position, which goes on: a whole file in pieces. */
static void read_a_file(void)
{
	char want[70000], got[70000], buf[4096];
	size_t n = 0;
	int fd = temporary(), ret;
	struct mp_handle *h;

	bytes_fill(want, sizeof(want), 3);
	CHECK_EQ(MUST(write(fd, want, sizeof(want))), sizeof(want));
	MUST(lseek(fd, 0, SEEK_SET));
	h = handle_of(fd);
	for (;;) {
		CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
		ret = native_result(h, MP_OP_READ);
		CHECK(ret >= 0);
		if (!ret)
			break;
		CHECK(n + (size_t)ret <= sizeof(got));
		memcpy(got + n, buf, (size_t)ret);
		n += (size_t)ret;
	}
	CHECK_EQ(n, sizeof(want));
	CHECK_MEM(got, want, n);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
}

static void write_a_file(void)
{
	char want[9000], got[9000];
	struct iovec iov[12];
	int fd = temporary(), i;
	struct mp_handle *h = handle_of(fd);

	bytes_fill(want, sizeof(want), 5);
	CHECK_EQ(mp_write(h, want, 1000), 0);
	CHECK_EQ(mp_write(h, want + 1000, 2000), 0);
	for (i = 0; i < 12; i++)
		iov[i] = (struct iovec){ want + 3000 + i * 500, 500 };
	CHECK_EQ(mp_writev(h, iov, 12), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 1000);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 2000);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 6000);
	CHECK_EQ(mp_unregister(h), 0);
	CHECK_EQ(MUST(pread(fd, got, sizeof(got), 0)), sizeof(got));
	CHECK_MEM(got, want, sizeof(got));
	close(fd);
}

static void rights(void)
{
	char c = 'x';
	int fd = MUST(open("/dev/null", O_RDONLY));
	struct mp_handle *h = handle_of(fd);

	CHECK_EQ(mp_write(h, &c, 1), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), -EBADF);
	CHECK_EQ(mp_read(h, &c, 1), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), 0);
	CHECK_EQ(mp_disconnect(h, SHUT_WR), 0);
	CHECK_EQ(native_result(h, MP_OP_DISCONNECT), -ENOTSOCK);
	CHECK_EQ(mp_to_fd(h), fd);
	CHECK_EQ(mp_unregister(h), 0);
	close(fd);
	/* Registered all the same: the first request tells. */
	h = handle_of(fd);
	CHECK_EQ(mp_read(h, &c, 1), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), -EBADF);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), -EBADF);
	CHECK_EQ(mp_register(ch, -1, NULL, NULL, &h), -EBADF);
}

/* Both ends on one channel: a read waits until the other end writes, also
 * where the descriptor is non-blocking. */
static void pipes(int flags)
{
	char big[200000], got[200000], buf[64];
	struct mp_handle *in, *out;
	struct mp_completion c;
	size_t n = 0;
	int ends[2], written = 0;

	MUST(pipe2(ends, flags));
	in = handle_of(ends[0]);
	out = handle_of(ends[1]);
	CHECK_EQ(mp_read(in, buf, sizeof(buf)), 0);
	native_quiet();
	CHECK_EQ(mp_write(out, "hello", 5), 0);
	CHECK_EQ(native_result(out, MP_OP_WRITE), 5);
	CHECK_EQ(native_result(in, MP_OP_READ), 5);
	CHECK_MEM(buf, "hello", 5);
	/* More than a pipe holds. */
	bytes_fill(big, sizeof(big), 9);
	CHECK_EQ(mp_write(out, big, sizeof(big)), 0);
	while (n < sizeof(big) || !written) {
		if (n < sizeof(big))
			CHECK_EQ(mp_read(in, got + n, sizeof(big) - n), 0);
		do {
			c = native_next();
			if (c.op == MP_OP_WRITE) {
				CHECK_EQ(c.result, sizeof(big));
				written++;
			}
		} while (c.op != MP_OP_READ && n < sizeof(big));
		if (c.op == MP_OP_READ) {
			CHECK(c.result > 0);
			n += (size_t)c.result;
		}
	}
	CHECK_MEM(got, big, sizeof(big));
	CHECK_EQ(mp_close(out), 0);
	CHECK_EQ(native_result(out, MP_OP_CLOSE), 0);
	CHECK_EQ(mp_read(in, buf, 1), 0);
	CHECK_EQ(native_result(in, MP_OP_READ), 0);
	CHECK_EQ(mp_close(in), 0);
	CHECK_EQ(native_result(in, MP_OP_CLOSE), 0);
}

static void blocking_pipes(void)
{
	pipes(0);
}

static void nonblocking_pipes(void)
{
	pipes(O_NONBLOCK);
}

static void pipe_without_reader(void)
{
	struct mp_handle *h;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	MUST(pipe(ends));
	close(ends[0]);
	h = handle_of(ends[1]);
	CHECK_EQ(mp_write(h, "x", 1), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), -EPIPE);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
}

/* LIMIT: as mp_write(3) has it. */
static void datagrams(void)
{
	char got[8];
	struct mp_handle *h;
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
	h = handle_of(ends[0]);
	CHECK_EQ(mp_write(h, "one", 3), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 3);
	CHECK_EQ(mp_write(h, "two", 3), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 3);
	CHECK_EQ(mp_write(h, "a", 1), 0);
	CHECK_EQ(mp_write(h, "b", 1), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 1);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 1);
	CHECK_EQ(MUST(read(ends[1], got, sizeof(got))), 3);
	CHECK_EQ(MUST(read(ends[1], got, sizeof(got))), 3);
	CHECK_EQ(MUST(read(ends[1], got, sizeof(got))), 2);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	close(ends[1]);
}

static void event_counter(void)
{
	uint64_t n = 3;
	int fd = MUST(eventfd(0, EFD_CLOEXEC));
	struct mp_handle *h = handle_of(fd);

	CHECK_EQ(mp_read(h, &n, sizeof(n)), 0);
	native_quiet();
	CHECK_EQ(MUST(eventfd_write(fd, 41)), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), 8);
	CHECK_EQ(n, 41);
	/* A read that waits is ended by unregister, whose memory is free. */
	CHECK_EQ(mp_read(h, &n, sizeof(n)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(mp_unregister(h), 0);
	MUST(eventfd_write(fd, 7));
	native_quiet();
	CHECK_EQ(n, 41);
	close(fd);
}

static const struct native_case cases[] = {
	{ "a file is read at its position", read_a_file },
	{ "a file is written at its position", write_a_file },
	{ "what may not be done is told", rights },
	{ "both ends of a pipe", blocking_pipes },
	{ "both ends of a non-blocking pipe", nonblocking_pipes },
	{ "a pipe that nobody reads", pipe_without_reader },
	{ "datagrams, one at a time and together", datagrams },
	{ "an event counter", event_counter },
};

NATIVE_MAIN(cases)
