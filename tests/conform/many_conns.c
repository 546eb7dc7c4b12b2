/* SPDX-License-Identifier: MIT */
/*
 * Description: 200 connections echo, close at random and come again.
 */
#include "../lib/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNS 200
#define ROUNDS 8
#define MAX_MESSAGE 3000
#define MAX_FD 4096

struct conn {
	int fd, peer;
	size_t owed;		/* bytes of this round still to echo */
	uint64_t sent;		/* bytes of the stream written by the peer */
	size_t message;
};

static struct conn conns[CONNS];
static struct conn *by_fd[MAX_FD];
static unsigned int seed = 1;

static void open_conn(struct fix *f, struct conn *c)
{
	memset(c, 0, sizeof(*c));
	c->fd = server_accept(f, &c->peer, EPOLLIN);
	CHECK(c->fd < MAX_FD);
	CHECK(by_fd[c->fd] == NULL);
	by_fd[c->fd] = c;
}

/* Either side first; the peer may also reset. */
static void close_conn(struct fix *f, struct conn *c)
{
	int how = rand_r(&seed) % 3;

	by_fd[c->fd] = NULL;
	if (how == 0) {
		MUST(close(c->fd));
		peer_eof(c->peer);
		MUST(close(c->peer));
		return;
	}
	if (how == 1) {
		MUST(close(c->peer));
		CHECK_EQ(server_drain_eof(f->ep, c->fd), 0);
	} else {
		net_reset(c->peer);
		set_wait(f->ep, c->fd, EPOLLERR);
	}
	MUST(close(c->fd));
}

static size_t peers_write(void)
{
	char buf[MAX_MESSAGE];
	size_t total = 0;

	for (int i = 0; i < CONNS; i++) {
		struct conn *c = &conns[i];

		c->message = rand_r(&seed) % MAX_MESSAGE + 1;
		c->owed = c->message;
		bytes_fill(buf, c->message, c->sent);
		peer_write(c->peer, buf, c->message);
		total += c->message;
	}
	return total;
}

static size_t echo_one(struct conn *c)
{
	char buf[2048];
	ssize_t n = MUST(recv(c->fd, buf, sizeof(buf), 0));

	CHECK(n > 0 && (size_t)n <= c->owed);
	/* Small enough for any send buffer. */
	CHECK_EQ(send(c->fd, buf, n, 0), n);
	c->owed -= n;
	return n;
}

static void serve(struct fix *f, size_t total)
{
	struct epoll_event ev[64];

	while (total) {
		int n = MUST(epoll_wait(f->ep, ev, 64, WAIT_MS));

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			CHECK(fd >= 0 && fd < MAX_FD && by_fd[fd]);
			CHECK_EV(ev[i].events, EPOLLIN);
			total -= echo_one(by_fd[fd]);
		}
	}
	CHECK_EQ(MUST(epoll_wait(f->ep, ev, 64, 0)), 0);
}

static void peers_check(void)
{
	char got[MAX_MESSAGE], want[MAX_MESSAGE];

	for (int i = 0; i < CONNS; i++) {
		struct conn *c = &conns[i];

		CHECK_EQ(c->owed, 0);
		peer_read(c->peer, got, c->message);
		bytes_fill(want, c->message, c->sent);
		CHECK_MEM(got, want, c->message);
		c->sent += c->message;
	}
}

static void t_rounds(struct fix *f)
{
	memset(by_fd, 0, sizeof(by_fd));
	for (int i = 0; i < CONNS; i++)
		open_conn(f, &conns[i]);
	for (int r = 0; r < ROUNDS; r++) {
		serve(f, peers_write());
		peers_check();
		for (int i = 0; i < CONNS / 4; i++) {
			struct conn *c = &conns[rand_r(&seed) % CONNS];

			close_conn(f, c);
			open_conn(f, c);
		}
	}
	for (int i = 0; i < CONNS; i++)
		close_conn(f, &conns[i]);
}

/* All come at once, before the server accepts the first. */
static void t_burst(struct fix *f)
{
	int peers[100], left = 100;
	char byte;

	for (int i = 0; i < 100; i++) {
		peers[i] = net_client(&f->addr);
		peer_write(peers[i], "x", 1);
	}
	while (left) {
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
		for (;;) {
			int fd = accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK);

			if (fd < 0)
				break;
			set_add(f->ep, fd, EPOLLIN);
			server_read(f->ep, fd, &byte, 1);
			CHECK_EQ(send(fd, "y", 1, 0), 1);
			MUST(close(fd));
			left--;
		}
		CHECK_EQ(errno, EAGAIN);
	}
	for (int i = 0; i < 100; i++) {
		peer_expect(peers[i], "y");
		peer_eof(peers[i]);
		MUST(close(peers[i]));
	}
}

static const struct net_case cases[] = {
	{ "200 connections, 8 rounds, a quarter replaced in each",
	  t_rounds, BOTH | NOCONN },
	{ "100 clients at once, accepted until EAGAIN", t_burst,
	  BOTH | NOCONN },
};

int main(void)
{
	net_fd_slack = CONNS + 64;
	return net_main(cases, ARRAY_SIZE(cases));
}
