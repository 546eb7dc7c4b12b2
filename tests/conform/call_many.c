/* SPDX-License-Identifier: MIT */
/*
 * Description: thousands of calls in a row without a turn of the loop.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than any queue of completions holds. */
#define CALLS 5000

/* Each is large enough to go straight from the program's memory. */
#define PART 20000

static char part[PART];

/* Another connection has something to be told the while. */
static void leave_something(struct fix *f, int *fd, int *peer)
{
	*fd = server_accept(f, peer, EPOLLIN);
	peer_write(*peer, "waits", 5);
}

static void take_it(struct fix *f, int fd, int peer)
{
	char buf[5];

	server_read(f->ep, fd, buf, 5);
	CHECK_MEM(buf, "waits", 5);
	MUST(close(fd));
	MUST(close(peer));
}

static void t_send(struct fix *f)
{
	struct peer_reader r;
	size_t sent = 0;
	int fd, peer, i;
	ssize_t n;

	leave_something(f, &fd, &peer);
	peer_reader_start(&r, f->peer, false);
	for (i = 0; i < CALLS; i++) {
		bytes_fill(part, PART, sent);
		n = send(f->fd, part, PART, 0);
		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			set_mod(f->ep, f->fd, EPOLLOUT);
			set_wait(f->ep, f->fd, EPOLLOUT);
			continue;
		}
		sent += (size_t)n;
	}
	MUST(shutdown(f->fd, SHUT_WR));
	peer_reader_turn(&r, f->ep);
	peer_reader_expect(&r, sent);
	take_it(f, fd, peer);
}

/* A peer that keeps the socket full: the program reads on and on. */
static void *write_all(void *arg)
{
	static char buf[PART];
	int fd = *(int *)arg;

	for (size_t at = 0; at < (size_t)CALLS * 1000; at += 1000) {
		bytes_fill(buf, 1000, at);
		peer_write(fd, buf, 1000);
	}
	return NULL;
}

static void t_receive(struct fix *f)
{
	uint64_t hash = HASH_START;
	size_t got = 0;
	pthread_t writer;
	int fd, peer;

	leave_something(f, &fd, &peer);
	writer = thread_start(write_all, &f->peer);
	while (got < (size_t)CALLS * 1000) {
		ssize_t n = recv(f->fd, part, 700, 0);

		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			set_wait(f->ep, f->fd, EPOLLIN);
			continue;
		}
		CHECK(n > 0);
		hash = bytes_hash(hash, part, (size_t)n);
		got += (size_t)n;
	}
	thread_join(writer);
	CHECK(hash == bytes_stream_hash(got));
	take_it(f, fd, peer);
}

/* Calls that are answered at once and bring nothing. */
static void t_options(struct fix *f)
{
	int i, value = 0;

	for (i = 0; i < CALLS; i++) {
		socklen_t len = sizeof(value);

		MUST(getsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &value, &len));
		CHECK(value > 0);
	}
	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, part, 1);
}

static const struct net_case cases[] = {
	{ "sends", t_send, BOTH },
	{ "receives", t_receive, BOTH },
	{ "options", t_options, BOTH },
};

NET_MAIN(cases)
