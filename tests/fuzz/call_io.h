/* SPDX-License-Identifier: MIT */
/*
 * Description: calls of call_fuzz.c on one connection of the server.
 */
#ifndef CALL_IO_H
#define CALL_IO_H

#include "call_conn.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define SETTLE_TRIES 1000	/* of a millisecond */

/* --- receiving ------------------------------------------------------- */

/* *how*: drawn before, so that a second try draws nothing. */
static ssize_t receive(int fd, char *buf, size_t n, int flags, unsigned int how)
{
	struct iovec part[2] = { { buf, n / 3 }, { buf + n / 3, n - n / 3 } };
	struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2 };
	ssize_t got;

	switch (how) {
	case 0:
		got = recv(fd, buf, n, flags);
		break;
	case 1:
		got = recvmsg(fd, &msg, flags);
		break;
	case 2:
		got = recvfrom(fd, buf, n, flags, NULL, NULL);
		break;
	case 3:
		got = readv(fd, part, 2);
		break;
	default:
		got = read(fd, buf, n);
	}
	return got < 0 ? -errno : got;
}

static void took(struct conn *c, const char *buf, ssize_t got, int flags)
{
	if (got == -ECONNRESET)
		c->error = false;
	if (got <= 0)
		return;
	if (flags & MSG_TRUNC) {
		c->read[0] += flags & MSG_PEEK ? 0 : (size_t)got;
		return;
	}
	if (flags & MSG_PEEK)
		peek_stream(c, 0, buf, (size_t)got);
	else
		check_stream(c, 0, buf, (size_t)got);
}

static void op_recv(struct conn *c)
{
	static const int some[] = { MSG_PEEK, MSG_PEEK | MSG_WAITALL,
				    MSG_WAITALL, MSG_DONTWAIT, MSG_TRUNC,
				    MSG_PEEK | MSG_TRUNC };
	int flags = draw(4) ? 0 : some[draw(6)], tries = 0;
	char buf[16384];
	size_t n = draw_size(sizeof(buf));
	unsigned int how = draw(flags ? 3 : 5);
	ssize_t want = want_recv(c, n), got;

	do {
		got = receive(number_of(c), buf, n, flags, how);
		/* Loopback may deliver a little later; rarely. */
		if (got != -EAGAIN || want == got)
			break;
		odd.late += !tries;
		usleep(1000);
	} while (++tries < SETTLE_TRIES);
	TRACE("recv(conn %d, %zu, %x) = %zd", index_of(&w, c), n, flags, got);
	/* What came after the program was last told may be left for the next
	 * call: it will be told again. Not what it was told of. */
	if (got > 0 && got < want && c->read[0] + (size_t)got >= c->visible)
		odd.cut++;
	else
		CHECK(got == want, "recv of %zu: got %zd, want %zd", n, got,
		      want);
	took(c, buf, got, flags);
}

/* A descriptor that waits, for a while. */
static void op_blocking(struct conn *c)
{
	int fd = number_of(c), flags = MUST(fcntl(fd, F_GETFL));
	char buf[4096];
	ssize_t want = want_recv(c, sizeof(buf)), got;

	CHECK(flags & O_NONBLOCK, "F_GETFL: %x", flags);
	if (draw(8) || want == -EAGAIN)
		return;
	MUST(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK));
	got = receive(fd, buf, sizeof(buf), 0, draw(5));
	TRACE("recv(conn %d, %zu, blocking) = %zd", index_of(&w, c),
	      sizeof(buf), got);
	CHECK(got == want, "blocking recv: got %zd, want %zd", got, want);
	took(c, buf, got, 0);
	MUST(fcntl(fd, F_SETFL, flags));
}

/* --- sending --------------------------------------------------------- */

/* The kernel sends the file's own pages: each time others. */
static ssize_t send_file(int fd, const char *buf, size_t n)
{
	static off_t from;
	off_t at;
	ssize_t got;

	at = from = (from + 20480) % (4 << 20);
	CHECK(pwrite(w.file, buf, n, at) == (ssize_t)n, "pwrite");
	got = sendfile(fd, w.file, &at, n);
	CHECK(got < 0 || at == from + got, "sendfile: offset %d", (int)at);
	return got;
}

static void empty_pipe(void)
{
	char buf[16384];

	while (read(w.pipe[0], buf, sizeof(buf)) > 0)
		;
}

static ssize_t splice_out(int fd, const char *buf, size_t n)
{
	ssize_t done = 0, got = 0;

	CHECK(write(w.pipe[1], buf, n) == (ssize_t)n, "pipe");
	while (done < (ssize_t)n &&
	       (got = splice(w.pipe[0], NULL, fd, NULL, n - (size_t)done,
			     0)) > 0)
		done += got;
	got = got < 0 ? -errno : got;
	empty_pipe();
	errno = got < 0 ? (int)-got : 0;
	return done ? done : got < 0 ? -1 : 0;
}

static ssize_t transmit(int fd, char *buf, size_t n)
{
	struct iovec part[2] = { { buf, n / 2 }, { buf + n / 2, n - n / 2 } };
	struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2 };
	ssize_t got;

	switch (draw(14)) {
	case 0:
		got = send_file(fd, buf, n);
		break;
	case 1:
		got = splice_out(fd, buf, n);
		break;
	case 2:
	case 3:
	case 4:
		got = send(fd, buf, n, MSG_NOSIGNAL);
		break;
	case 5:
	case 6:
	case 7:
		got = writev(fd, part, 2);
		break;
	case 8:
	case 9:
	case 10:
		got = sendmsg(fd, &msg, MSG_NOSIGNAL);
		break;
	default:
		got = write(fd, buf, n);
	}
	return got < 0 ? -errno : got;
}

static void op_send(struct conn *c)
{
	char buf[16384];
	size_t n = draw_size(sizeof(buf));
	ssize_t want = (ssize_t)n, got;

	if (!fits(c, 1, n))
		return;
	fill_stream(c, 1, buf, n);
	if (c->shut_wr || c->peer_reset)
		want = c->error ? -ECONNRESET : -EPIPE;
	got = transmit(number_of(c), buf, n);
	TRACE("send(conn %d, %zu) = %zd", index_of(&w, c), n, got);
	/* LIMIT: what is sent before the library has looked is lost. */
	if (c->peer_reset && got == (ssize_t)n && !c->shut_wr)
		odd.unknown++;
	else
		CHECK(got == want, "send of %zu: got %zd, want %zd", n, got,
		      want);
	if (got == -ECONNRESET)
		c->error = false;
	if (got > 0)
		c->sent[1] += n;
}

/* --- the rest -------------------------------------------------------- */

static void op_shutdown(struct conn *c)
{
	int how = draw(3) ? SHUT_WR : SHUT_RD;

	/* Both ends are done: it is closed, ENOTCONN. */
	if (c->peer_reset || (c->peer_fin && c->shut_wr) ||
	    (how == SHUT_WR ? c->shut_wr : c->shut_rd) || draw(3))
		return;
	TRACE("shutdown(conn %d, %d)", index_of(&w, c), how);
	CHECK(!shutdown(number_of(c), how), "shutdown: errno %d", errno);
	if (how == SHUT_WR)
		c->shut_wr = true;
	else
		c->shut_rd = true;
	/* It wakes the waiters, for nothing new but a hang-up or an end. */
	if (c->peer_fin || c->shut_rd)
		arrived(c, 0);
}

static void op_splice(struct conn *c)
{
	char buf[16384];
	size_t n = draw_size(sizeof(buf));
	ssize_t want = want_recv(c, n), got;

	if (draw(4))
		return;
	got = splice(number_of(c), NULL, w.pipe[1], NULL, n,
		     SPLICE_F_NONBLOCK);
	got = got < 0 ? -errno : got;
	TRACE("splice(conn %d, %zu) = %zd", index_of(&w, c), n, got);
	/* A pipe takes so many pieces, whatever their size. */
	CHECK(got == want || (got > 0 && got < want),
	      "splice of %zu: got %zd, want %zd", n, got, want);
	if (got > 0)
		CHECK(read(w.pipe[0], buf, sizeof(buf)) == got, "the pipe");
	took(c, buf, got, 0);
}

static void op_error(struct conn *c)
{
	int err = -1, want = c->error ? ECONNRESET : 0;
	socklen_t len = sizeof(err);

	MUST(getsockopt(number_of(c), SOL_SOCKET, SO_ERROR, &err, &len));
	TRACE("SO_ERROR(conn %d) = %d", index_of(&w, c), err);
	if (!err && want) {
		odd.unknown++;
		return;
	}
	CHECK(err == want, "SO_ERROR: got %d, want %d", err, want);
	c->error = false;
}

static void op_names(struct conn *c)
{
	struct sockaddr_in theirs = { 0 }, own = { 0 };
	socklen_t len = sizeof(own);

	MUST(getsockname(number_of(c), (struct sockaddr *)&own, &len));
	CHECK(!memcmp(&own, &w.addr, sizeof(own)), "getsockname");
	if (c->peer_reset || (c->peer_fin && c->shut_wr))
		return;
	MUST(getsockname(c->peer, (struct sockaddr *)&theirs, &len));
	MUST(getpeername(number_of(c), (struct sockaddr *)&own, &len));
	CHECK(!memcmp(&own, &theirs, sizeof(own)), "getpeername");
}

static void op_inq(struct conn *c)
{
	int n = -1, want = (int)unread(c), tries = 0, fd = number_of(c);

	while (MUST(ioctl(fd, FIONREAD, &n)) < 1 && n != want &&
	       ++tries < 100) {
		odd.late += tries == 1;
		usleep(1000);
	}
	CHECK(n == want, "FIONREAD %d, want %d", n, want);
	c->visible = c->sent[0];
}

#endif
