/* SPDX-License-Identifier: MIT */
/*
 * Description: what is told of a connection on which much arrives at once.
 */
#include "../lib/net.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MESSAGE 20000
#define HALF (MESSAGE / 2)

static char buf[1 << 16];

static void send_message(struct fix *f)
{
	static char message[MESSAGE];

	bytes_fill(message, MESSAGE, 0);
	peer_write(f->peer, message, MESSAGE);
}

/* All of it has come, as the kernel sees it too. */
static void await(struct fix *f, int count)
{
	int n;

	do {
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS) & EPOLLIN, EPOLLIN);
		MUST(ioctl(f->fd, FIONREAD, &n));
	} while (n < count);
	CHECK_EQ(n, count);
}

/* Without a look at the server's side. */
static void await_acknowledged(struct fix *f)
{
	int n;

	do
		MUST(ioctl(f->peer, SIOCOUTQ, &n));
	while (n);
}

static void take(struct fix *f, size_t size, ssize_t expected)
{
	CHECK_EQ(recv(f->fd, buf, size, 0), expected);
}

static void nothing_left(struct fix *f)
{
	CHECK_EV(set_next(f->ep, f->fd, 0) & EPOLLIN, 0);
	CHECK_ERRNO(recv(f->fd, buf, 1, 0), EAGAIN);
	CHECK_EV(set_next(f->ep, f->fd, 0) & EPOLLIN, 0);
}

/* Some messages, each read at once: a server's clients upload. */
static void begin(struct fix *f)
{
	int i;

	for (i = 0; i < 4; i++) {
		send_message(f);
		server_read(f->ep, f->fd, buf, MESSAGE);
		CHECK_EQ(bytes_hash(HASH_START, buf, MESSAGE),
			 bytes_stream_hash(MESSAGE));
	}
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_exactly(struct fix *f)
{
	begin(f);
	send_message(f);
	await(f, MESSAGE);
	take(f, MESSAGE, MESSAGE);
	nothing_left(f);
	send_message(f);
	await(f, MESSAGE);
	take(f, sizeof(buf), MESSAGE);
	nothing_left(f);
}

static void t_level(struct fix *f)
{
	int i;

	begin(f);
	send_message(f);
	await(f, MESSAGE);
	for (i = 0; i < 3; i++)
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	take(f, HALF, HALF);
	for (i = 0; i < 3; i++)
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	take(f, HALF, HALF);
	nothing_left(f);
}

static void t_edge(struct fix *f)
{
	begin(f);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	send_message(f);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	take(f, HALF, HALF);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	take(f, sizeof(buf), HALF + 1);
	nothing_left(f);
	peer_write(f->peer, "y", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	take(f, sizeof(buf), 1);
}

static void t_oneshot(struct fix *f)
{
	begin(f);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLONESHOT);
	send_message(f);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	take(f, HALF, HALF);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLONESHOT);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	take(f, HALF, HALF);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLONESHOT);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* The server does not want to know for a while, and much comes. */
static void t_not_asked(struct fix *f)
{
	int i;

	begin(f);
	send_message(f);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_mod(f->ep, f->fd, 0);
	for (i = 0; i < 8; i++) {
		send_message(f);
		CHECK_EV(set_next(f->ep, f->fd, 1), 0);
	}
	set_mod(f->ep, f->fd, EPOLLIN);
	for (i = 0; i < 9; i++) {
		server_read(f->ep, f->fd, buf, MESSAGE);
		CHECK_EQ(bytes_hash(HASH_START, buf, MESSAGE),
			 bytes_stream_hash(MESSAGE));
	}
	nothing_left(f);
	set_mod(f->ep, f->fd, 0);
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EV(set_next(f->ep, f->fd, 1), 0);
}

static void t_looks(struct fix *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN | POLLOUT };

	begin(f);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EV(p.revents, POLLOUT);
	send_message(f);
	await(f, MESSAGE);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EV(p.revents, POLLIN | POLLOUT);
	CHECK_EQ(recv(f->fd, buf, HALF, MSG_PEEK), HALF);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), MSG_PEEK), MESSAGE);
	CHECK_EQ(bytes_hash(HASH_START, buf, MESSAGE),
		 bytes_stream_hash(MESSAGE));
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	take(f, MESSAGE, MESSAGE);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EV(p.revents, POLLOUT);
	nothing_left(f);
}

static void t_end(struct fix *f)
{
	begin(f);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	send_message(f);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_until(f->ep, f->fd, EPOLLIN | EPOLLRDHUP),
		 EPOLLIN | EPOLLRDHUP);
	take(f, HALF, HALF);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN | EPOLLRDHUP);
	take(f, HALF, HALF);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN | EPOLLRDHUP);
	take(f, 1, 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN | EPOLLRDHUP);
	server_write(f->ep, f->fd, "bye", 3);
	peer_expect(f->peer, "bye");
}

static void t_reset(struct fix *f)
{
	uint32_t all = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	begin(f);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP);
	send_message(f);
	await(f, MESSAGE);
	net_reset(f->peer);
	f->peer = -1;
	CHECK_EV(set_until(f->ep, f->fd, all), all);
	take(f, HALF, HALF);
	CHECK_EV(set_next(f->ep, f->fd, 0), all);
	take(f, sizeof(buf), HALF);
	CHECK_ERRNO(recv(f->fd, buf, 1, 0), ECONNRESET);
	CHECK_EV(set_next(f->ep, f->fd, 0), all & ~EPOLLERR);
	take(f, 1, 0);
}

/* The same by one read after the other, as after an edge. */
static void t_reset_in_parts(struct fix *f)
{
	int i;

	begin(f);
	for (i = 0; i < 3; i++)
		send_message(f);
	await(f, 3 * MESSAGE);
	net_reset(f->peer);
	f->peer = -1;
	CHECK_EV(set_until(f->ep, f->fd, EPOLLIN | EPOLLHUP | EPOLLERR),
		 EPOLLIN | EPOLLHUP | EPOLLERR);
	for (i = 0; i < 3; i++)
		take(f, MESSAGE, MESSAGE);
	CHECK_ERRNO(recv(f->fd, buf, 1, 0), ECONNRESET);
	take(f, 1, 0);
}

static void t_reset_sends(struct fix *f)
{
	begin(f);
	send_message(f);
	await(f, MESSAGE);
	net_reset(f->peer);
	f->peer = -1;
	CHECK_EV(set_until(f->ep, f->fd, EPOLLIN | EPOLLHUP | EPOLLERR),
		 EPOLLIN | EPOLLHUP | EPOLLERR);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), ECONNRESET);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	take(f, sizeof(buf), MESSAGE);
	take(f, 1, 0);
}

static void t_close_unread(struct fix *f)
{
	char byte;

	begin(f);
	send_message(f);
	await(f, MESSAGE);
	take(f, HALF, HALF);
	MUST(close(f->fd));
	f->fd = -1;
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
}

static void t_lowat(struct fix *f)
{
	int lowat = 100;

	begin(f);
	MUST(setsockopt(f->fd, SOL_SOCKET, SO_RCVLOWAT, &lowat,
			sizeof(lowat)));
	peer_write(f->peer, "few", 3);
	CHECK_EV(set_next(f->ep, f->fd, 20), 0);
	send_message(f);
	await(f, MESSAGE + 3);
	take(f, sizeof(buf), MESSAGE + 3);
}

/* Small requests again, and then much once more. */
static void t_small_again(struct fix *f)
{
	int i;

	begin(f);
	for (i = 0; i < 100; i++) {
		peer_write(f->peer, "small", 5);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		take(f, sizeof(buf), 5);
		CHECK_MEM(buf, "small", 5);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	}
	begin(f);
}

/* A read ends before an urgent byte, and there is more behind it. */
static void t_urgent(struct fix *f)
{
	begin(f);
	send_message(f);
	CHECK_EQ(send(f->peer, "!", 1, MSG_OOB), 1);
	send_message(f);
	await_acknowledged(f);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	take(f, sizeof(buf), MESSAGE);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(bytes_hash(HASH_START, buf, MESSAGE),
		 bytes_stream_hash(MESSAGE));
	take(f, sizeof(buf), MESSAGE);
	nothing_left(f);
}

/* The compiler need not know. */
static void *no_address(void)
{
	static void *volatile none;

	return none;
}

/* A read that fails has taken nothing. */
static void t_bad_address(struct fix *f)
{
	begin(f);
	send_message(f);
	await(f, MESSAGE);
	CHECK_ERRNO(recv(f->fd, no_address(), MESSAGE, 0), EFAULT);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	take(f, sizeof(buf), MESSAGE);
	nothing_left(f);
}

static void *takes_half(void *arg)
{
	take(arg, HALF, HALF);
	return NULL;
}

static void *takes_all(void *arg)
{
	take(arg, sizeof(buf), HALF);
	CHECK_ERRNO(recv(((struct fix *)arg)->fd, buf, 1, 0), EAGAIN);
	return NULL;
}

static void t_other_thread(struct fix *f)
{
	int i;

	begin(f);
	for (i = 0; i < 3; i++) {
		send_message(f);
		await(f, MESSAGE);
		thread_join(thread_start(takes_half, f));
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
		thread_join(thread_start(takes_all, f));
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	}
}

static const struct net_case cases[] = {
	{ "exactly what came, and more than that", t_exactly, BOTH },
	{ "level-triggered, a half at a time", t_level, BOTH },
	{ "edge-triggered, a half at a time", t_edge, BOTH },
	{ "one event a time", t_oneshot, BOTH },
	{ "not asked for meanwhile", t_not_asked, BOTH },
	{ "poll, peek and FIONREAD", t_looks, BOTH },
	{ "the peer ends behind it", t_end, BOTH },
	{ "the peer resets behind it", t_reset, BOTH },
	{ "the peer resets, and all is read", t_reset_in_parts, BOTH },
	{ "the peer resets, and a send meets it", t_reset_sends, BOTH },
	{ "closed with a half unread", t_close_unread, BOTH },
	{ "a low-water mark", t_lowat, BOTH },
	{ "small ones in between", t_small_again, BOTH },
	{ "an urgent byte within it", t_urgent, BOTH },
	{ "an address where nothing is", t_bad_address, BOTH },
	{ "another thread reads", t_other_thread, BOTH },
};

NET_MAIN(cases)
