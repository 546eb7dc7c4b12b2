/* SPDX-License-Identifier: MIT */
/*
 * Description: connections that are refused, that nobody answers, and what is
 * given up: by close, or by unregister where close would wait.
 */
#include <fcntl.h>
#include <netinet/tcp.h>

#include "native.h"

#define BIG (16u << 20)

/* Nobody answers: the queue of a listener is full, and the SYN is dropped. */
static struct sockaddr_in silent;
static int silent_fd, filling[4];

static void silence(void)
{
	size_t i;

	silent_fd = net_listen(&silent, 0);
	for (i = 0; i < ARRAY_SIZE(filling); i++) {
		filling[i] = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK,
					 0));
		connect(filling[i], (struct sockaddr *)&silent, sizeof(silent));
	}
}

static void silence_over(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(filling); i++)
		close(filling[i]);
	close(silent_fd);
}

static struct mp_handle *client(int *fd)
{
	struct mp_handle *h;

	*fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	CHECK_EQ(mp_register(ch, *fd, NULL, NULL, &h), 0);
	return h;
}

/* Is the handshake still going on? */
static bool waits_for_answer(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state == TCP_SYN_SENT;
}

static struct mp_handle *connecting(int *fd)
{
	struct mp_handle *h = client(fd);

	CHECK_EQ(mp_connect(h, (struct sockaddr *)&silent, sizeof(silent)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	native_quiet();
	CHECK(waits_for_answer(*fd));
	return h;
}

/* Who closes has no use for a connection that nothing is to be written to. */
static void closed_before_an_answer(void)
{
	struct mp_handle *h;
	char buf[8];
	int fd;

	silence();
	h = connecting(&fd);
	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_disconnect(h, SHUT_RDWR), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_READ), -ECANCELED);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), -ECANCELED);
	CHECK(native_next().op == MP_OP_DISCONNECT);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
	native_quiet();
	silence_over();
}

/* Bytes are to be written first, so close waits; unregister does not. */
static void given_up(void)
{
	struct mp_handle *h;
	int fd;

	silence();
	h = connecting(&fd);
	CHECK_EQ(mp_write(h, "x", 1), 0);
	CHECK_EQ(mp_flush(ch), 0);
	CHECK_EQ(mp_unregister(h), 0);
	native_quiet();
	CHECK_EQ(mp_register(ch, fd, NULL, NULL, &h), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
	silence_over();
}

/* Close may be asked for with the connection: what is written arrives. */
static void all_at_once(void)
{
	struct mp_handle *h;
	int fd, peer;

	h = client(&fd);
	CHECK_EQ(mp_connect(h, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(mp_write(h, "hi", 2), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 2);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	net_nonblock(lfd, false);
	peer = MUST(accept(lfd, NULL, NULL));
	peer_expect(peer, "hi");
	peer_eof(peer);
	close(peer);
}

/* As recv(2) and send(2) have it on such a socket: an end, and EPIPE. */
static void refused_with_requests(void)
{
	struct mp_handle *h;
	char buf[8];
	int fd;

	close(lfd);
	lfd = -1;
	h = client(&fd);
	CHECK_EQ(mp_connect(h, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(mp_read(h, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_write(h, "x", 1), 0);
	for (int left = 3; left; left--) {
		struct mp_completion c = native_next();

		CHECK(c.handle == h);
		CHECK_EQ(c.result, c.op == MP_OP_CONNECT ? -ECONNREFUSED :
				   c.op == MP_OP_READ ? 0 : -EPIPE);
	}
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
}

static void wrong_addresses(void)
{
	const struct sockaddr *to = (struct sockaddr *)&addr;
	struct mp_handle *h;
	int fd;

	h = client(&fd);
	CHECK_EQ(mp_connect(h, NULL, sizeof(addr)), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), -EFAULT);
	CHECK_EQ(mp_connect(h, to, 3), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), -EINVAL);
	CHECK_EQ(mp_connect(h, to, 4096), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), -EINVAL);
	/* None of it was the end of the socket. */
	CHECK_EQ(mp_connect(h, to, sizeof(addr)), 0);
	CHECK_EQ(native_result(h, MP_OP_CONNECT), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
}

/* A peer that does not read: close waits for it, and can be gone round. */
static void peer_does_not_read(void)
{
	static char big[BIG];
	struct mp_completion c;
	struct mp_handle *h;
	int peer = net_client(&addr);

	CHECK_EQ(mp_accept(listener, 1, lw), 0);
	c = native_expect(listener, MP_OP_ACCEPT);
	CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &h), 0);
	CHECK_EQ(mp_write(h, big, sizeof(big)), 0);
	CHECK_EQ(mp_disconnect(h, SHUT_WR), 0);
	CHECK_EQ(mp_flush(ch), 0);
	native_quiet();
	CHECK_EQ(mp_unregister(h), 0);
	native_quiet();
	CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &h), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	close(peer);
}

static const struct native_case cases[] = {
	{ "close ends a connection that nobody answers",
	  closed_before_an_answer },
	{ "unregister, with bytes to be written", given_up },
	{ "connect, write and close at once", all_at_once },
	{ "refused, with a read and a write behind it",
	  refused_with_requests },
	{ "addresses that can't be", wrong_addresses },
	{ "a peer that does not read is given up", peer_does_not_read },
};

NATIVE_MAIN(cases)
