/* SPDX-License-Identifier: MIT */
/*
 * Description: accept, read, write, disconnect, close of connections, with
 * the errors of each.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "native.h"

#define BIG (8u << 20)

static char cookie_a, cookie_b;

static void ping_pong(void)
{
	char buf[16];
	int peer, i;
	struct mp_handle *h = native_accept(&peer, &cookie_a);

	for (i = 0; i < 5; i++) {
		struct mp_completion c;

		CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
		peer_write(peer, "ping", 4);
		c = native_expect(h, MP_OP_READ);
		CHECK_EQ(c.result, 4);
		CHECK(c.cookie == &cookie_a);
		CHECK_MEM(buf, "ping", 4);
		CHECK_EQ(mp_write(h, "pong", 4), 0);
		CHECK_EQ(native_result(h, MP_OP_WRITE), 4);
		peer_expect(peer, "pong");
	}
	close(peer);
	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	native_quiet();
}

static void who_connected(void)
{
	struct mp_completion c;
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	int peer = net_client(&addr);

	MUST(getsockname(peer, (struct sockaddr *)&name, &len));
	CHECK_EQ(mp_accept(listener, 1, lw), 0);
	c = native_expect(listener, MP_OP_ACCEPT);
	CHECK_EQ(c.peer_len, sizeof(name));
	CHECK_EQ(c.peer.in.sin_port, name.sin_port);
	CHECK_EQ(c.peer.in.sin_addr.s_addr, name.sin_addr.s_addr);
	CHECK_EQ(c.more, 0);
	CHECK_EQ(c.pending, 0);
	if (!lw)
		close(c.result);
	close(peer);
}

static void how_many_wait(void)
{
	int peers[5], i;

	for (i = 0; i < 5; i++)
		peers[i] = net_client(&addr);
	for (i = 4; i >= 0; i--) {
		struct mp_completion c;

		CHECK_EQ(mp_accept(listener, 1, lw), 0);
		c = native_expect(listener, MP_OP_ACCEPT);
		CHECK_EQ(c.pending, i);
		if (!lw)
			close(c.result);
	}
	for (i = 0; i < 5; i++)
		close(peers[i]);
}

/* More than wait in the kernel at a time, and not one too many. */
static void accept_count(void)
{
	int peers[41], i;

	CHECK_EQ(mp_accept(listener, 40, lw), 0);
	for (i = 0; i < 41; i++)
		peers[i] = net_client(&addr);
	for (i = 0; i < 40; i++) {
		struct mp_completion c = native_expect(listener, MP_OP_ACCEPT);

		CHECK(c.result >= 0);
		if (!lw)
			close(c.result);
	}
	native_quiet();
	for (i = 0; i < 41; i++)
		close(peers[i]);
}

static void accept_forever(void)
{
	int i;

	CHECK_EQ(mp_accept(listener, MP_FOREVER, lw), 0);
	for (i = 0; i < 100; i++) {
		struct mp_completion c;
		int peer = net_client(&addr);
		struct mp_handle *h;

		c = native_expect(listener, MP_OP_ACCEPT);
		CHECK_EQ(c.more, 1);
		CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &h), 0);
		CHECK_EQ(mp_write(h, "x", 1), 0);
		CHECK_EQ(mp_close(h), 0);
		CHECK_EQ(native_result(h, MP_OP_WRITE), 1);
		CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
		peer_expect(peer, "x");
		peer_eof(peer);
		close(peer);
	}
}

static void accept_errors(void)
{
	struct mp_handle *h;
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	int ends[2], peer;

	CHECK_EQ(mp_accept(listener, 0, lw), -EINVAL);
	CHECK_EQ(mp_register(ch, fd, NULL, NULL, &h), 0);
	CHECK_EQ(mp_accept(h, 1, lw), -EINVAL);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	h = native_accept(&peer, NULL);
	CHECK_EQ(mp_accept(h, 1, lw), -EINVAL);
	close(peer);
	MUST(pipe(ends));
	CHECK_EQ(mp_register(ch, ends[0], NULL, NULL, &h), 0);
	CHECK_EQ(mp_accept(h, 1, lw), -ENOTSOCK);
	CHECK_EQ(mp_unregister(h), 0);
	close(ends[0]);
	close(ends[1]);
}

static void *drain(void *arg)
{
	static char buf[65536];
	size_t n, sum = 0;
	ssize_t got;

	for (n = 0; (got = read(*(int *)arg, buf, sizeof(buf))) > 0; n += got)
		for (ssize_t i = 0; i < got; i++)
			sum += (unsigned char)buf[i] ==
			       (unsigned char)((n + (size_t)i) % 251);
	CHECK_EQ(n, sum);
	return (void *)n;
}

static char *pattern(size_t len)
{
	char *p = malloc(len);

	for (size_t i = 0; i < len; i++)
		p[i] = (char)(i % 251);
	return p;
}

/* Many requests, large and small, are one stream in the order of the calls,
 * and close comes after all of it. */
static void writes_keep_order(void)
{
	char *p = pattern(BIG);
	struct iovec iov[20];
	size_t at = 0, n = 1;
	pthread_t thread;
	void *got;
	int peer, requests = 0, i;
	struct mp_handle *h = native_accept(&peer, NULL);

	thread = thread_start(drain, &peer);
	while (at < BIG) {
		n = n * 7 % 200003 + 1;
		if (n > BIG - at)
			n = BIG - at;
		if (requests++ % 3 || n < 40) {
			CHECK_EQ(mp_write(h, p + at, n), 0);
			at += n;
			continue;
		}
		/* iovecs must stay: the last one of each kind is awaited. */
		for (i = 0; i < 20; i++) {
			iov[i].iov_base = p + at;
			iov[i].iov_len = i < 19 ? n / 20 : n - n / 20 * 19;
			at += iov[i].iov_len;
		}
		CHECK_EQ(mp_writev(h, iov, 20), 0);
		while (requests) {
			CHECK(native_result(h, MP_OP_WRITE) > 0);
			requests--;
		}
	}
	CHECK_EQ(mp_close(h), 0);
	while (requests--)
		CHECK(native_result(h, MP_OP_WRITE) > 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	pthread_join(thread, &got);
	CHECK_EQ((size_t)got, BIG);
	close(peer);
	free(p);
}

static void one_large_write(void)
{
	char *p = pattern(BIG);
	pthread_t thread;
	void *got;
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	thread = thread_start(drain, &peer);
	CHECK_EQ(mp_write(h, p, BIG), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), BIG);
	CHECK_EQ(mp_disconnect(h, SHUT_WR), 0);
	CHECK_EQ(native_result(h, MP_OP_DISCONNECT), 0);
	pthread_join(thread, &got);
	CHECK_EQ((size_t)got, BIG);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	close(peer);
	free(p);
}

static void reads_keep_order(void)
{
	char a[2], b[2], c[2];
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read(h, a, 2), 0);
	CHECK_EQ(mp_read(h, b, 2), 0);
	CHECK_EQ(mp_read(h, c, 2), 0);
	peer_write(peer, "1122", 4);
	CHECK_EQ(native_result(h, MP_OP_READ), 2);
	CHECK_EQ(native_result(h, MP_OP_READ), 2);
	peer_write(peer, "33", 2);
	CHECK_EQ(native_result(h, MP_OP_READ), 2);
	CHECK_MEM(a, "11", 2);
	CHECK_MEM(b, "22", 2);
	CHECK_MEM(c, "33", 2);
	close(peer);
}

/* Both halves, one after the other; the handle goes on. */
static void half_close(void)
{
	char buf[8];
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_write(h, "last", 4), 0);
	CHECK_EQ(mp_disconnect(h, SHUT_WR), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 4);
	CHECK_EQ(native_result(h, MP_OP_DISCONNECT), 0);
	peer_expect(peer, "last");
	peer_eof(peer);
	peer_write(peer, "more", 4);
	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), 4);
	CHECK_EQ(mp_write(h, "no", 2), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), -EPIPE);
	CHECK_EQ(mp_disconnect(h, SHUT_RDWR), 0);
	CHECK_EQ(native_result(h, MP_OP_DISCONNECT), 0);
	CHECK_EQ(mp_disconnect(h, 9), -EINVAL);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	close(peer);
}

/* The paper's: a read that waits ends with 0. */
static void disconnect_ends_reads(void)
{
	char buf[8];
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(mp_disconnect(h, SHUT_RDWR), 0);
	CHECK_EQ(native_result(h, MP_OP_DISCONNECT), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), 0);
	peer_eof(peer);
	close(peer);
}

static void reset_by_peer(void)
{
	char buf[8];
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	net_reset(peer);
	CHECK_EQ(native_result(h, MP_OP_READ), -ECONNRESET);
	CHECK_EQ(mp_write(h, "x", 1), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), -EPIPE);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
}

/* What waits is cancelled, in order, before the close is told. */
static void close_cancels_reads(void)
{
	char buf[8];
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(mp_close(h), -EBADF);
	CHECK_EQ(mp_read(h, buf, 1), -EBADF);
	CHECK_EQ(mp_write(h, buf, 1), -EBADF);
	CHECK_EQ(mp_unregister(h), -EBADF);
	CHECK_EQ(native_result(h, MP_OP_READ), -ECANCELED);
	CHECK_EQ(native_result(h, MP_OP_READ), -ECANCELED);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	peer_eof(peer);
	native_quiet();
	close(peer);
}

static void close_of_a_listener(void)
{
	CHECK_EQ(mp_accept(listener, 100, lw), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(mp_close(listener), 0);
	CHECK_EQ(native_result(listener, MP_OP_CLOSE), 0);
	CHECK_ERRNO(fcntl(lfd, F_GETFL), EBADF);
	lfd = -1;
	native_quiet();
}

static void sizes(void)
{
	struct iovec none = { NULL, 0 };
	char c;
	int peer;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read(h, &c, 0), -EINVAL);
	CHECK_EQ(mp_write(h, &c, 0), -EINVAL);
	CHECK_EQ(mp_write(h, &c, 1ul << 31), -EINVAL);
	CHECK_EQ(mp_writev(h, &none, 1), -EINVAL);
	CHECK_EQ(mp_writev(h, &none, 0), -EINVAL);
	CHECK_EQ(mp_read(h, (void *)8, 1), 0);
	peer_write(peer, "x", 1);
	CHECK_EQ(native_result(h, MP_OP_READ), -EFAULT);
	close(peer);
}

static void descriptor_of_it(void)
{
	char buf[8];
	int peer, fd, flags;
	struct mp_handle *h = native_accept(&peer, NULL);

	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	fd = mp_to_fd(h);
	CHECK(fd >= 0 && !(fd & MP_LWSOCKET));
	CHECK_EQ(mp_to_fd(h), fd);
	flags = MUST(fcntl(fd, F_GETFD));
	CHECK(flags & FD_CLOEXEC);
	/* What waited goes on, and new requests use the same socket. */
	peer_write(peer, "one", 3);
	CHECK_EQ(native_result(h, MP_OP_READ), 3);
	CHECK_EQ(mp_write(h, "two", 3), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 3);
	peer_expect(peer, "two");
	CHECK_EQ(MUST(write(fd, "3", 1)), 1);
	peer_expect(peer, "3");
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	peer_eof(peer);
	CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
	close(peer);
}

static void two_handles_two_cookies(void)
{
	char a[4], b[4];
	int peer[2];
	struct mp_handle *h1 = native_accept(&peer[0], &cookie_a);
	struct mp_handle *h2 = native_accept(&peer[1], &cookie_b);
	struct mp_completion c[4];
	int n = 0;

	CHECK_EQ(mp_read(h1, a, 4), 0);
	CHECK_EQ(mp_read(h2, b, 4), 0);
	peer_write(peer[1], "b", 1);
	peer_write(peer[0], "a", 1);
	while (n < 2)
		n += MUST(mp_dispatch_many(ch, c + n, 4 - n, WAIT_MS));
	CHECK_EQ(n, 2);
	for (n = 0; n < 2; n++)
		CHECK(c[n].cookie == (c[n].handle == h1 ? &cookie_a :
							  &cookie_b));
	CHECK(c[0].handle != c[1].handle);
	CHECK_EQ(*a, 'a');
	CHECK_EQ(*b, 'b');
	close(peer[0]);
	close(peer[1]);
}

static void connects(void)
{
	struct mp_handle *h;
	char buf[8];
	int peer, fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	CHECK_EQ(mp_register(ch, fd, NULL, NULL, &h), 0);
	CHECK_EQ(mp_connect(h, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(mp_write(h, "hi", 2), 0);
	/* A read waits for the connection too. */
	CHECK_EQ(mp_read(h, buf, 8), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 2);
	peer = MUST(accept(lfd, NULL, NULL));
	peer_expect(peer, "hi");
	CHECK_EQ(MUST(write(peer, "ho", 2)), 2);
	CHECK_EQ(native_result(h, MP_OP_READ), 2);
	CHECK_EQ(mp_connect(h, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), -EISCONN);
	CHECK_EQ(mp_read(h, buf, 8), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), -ECANCELED);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	close(peer);
	/* Nobody listens where a listener has gone. */
	close(lfd);
	lfd = -1;
	fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(mp_register(ch, fd, NULL, NULL, &h), 0);
	CHECK_EQ(mp_connect(h, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), -ECONNREFUSED);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
}

static const struct native_case cases[] = {
	{ "ping-pong, then the peer's end", ping_pong },
	{ "accept says who has connected", who_connected },
	{ "accept says how many wait", how_many_wait },
	{ "accept of 40 takes 40", accept_count },
	{ "accept for ever, one answer a connection", accept_forever },
	{ "accept of what does not listen", accept_errors },
	{ "writes are one stream in the order of the calls",
	  writes_keep_order },
	{ "a large write is written whole", one_large_write },
	{ "reads are filled in the order of the calls", reads_keep_order },
	{ "disconnect of one half", half_close },
	{ "disconnect ends a read that waits", disconnect_ends_reads },
	{ "a reset is told", reset_by_peer },
	{ "close cancels reads and is the last", close_cancels_reads },
	{ "close of a listener that waits", close_of_a_listener },
	{ "sizes and addresses that can't be", sizes },
	{ "a descriptor for it", descriptor_of_it },
	{ "cookies are those of the handles", two_handles_two_cookies },
	{ "connect, and who refuses", connects },
};

NATIVE_MAIN(cases)
