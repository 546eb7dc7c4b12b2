/* SPDX-License-Identifier: MIT */
/*
 * Description: a peer that does not read stops the writer; reading starts it.
 */
#include "../lib/net.h"

#include <sys/ioctl.h>
#include <unistd.h>

/*
 * Linux takes up to tcp_wmem[2] + tcp_rmem[2] (about 10 MiB by default)
 * before it says EAGAIN; a library may add its own queue, bounded.
 */
#define SANE_LIMIT (32 << 20)

static void t_eagain(struct fix *f)
{
	size_t taken;
	char byte = 0;
	int n = 0;

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLOUT);
	taken = server_fill(f->fd, SANE_LIMIT);
	CHECK(taken > 0);
	CHECK_EV(set_until(f->ep, f->fd, 0), 0);
	CHECK_ERRNO(send(f->fd, &byte, 1, 0), EAGAIN);
	CHECK_ERRNO(write(f->fd, &byte, 1), EAGAIN);
	CHECK_ERRNO(send(f->fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	MUST(ioctl(f->fd, TIOCOUTQ, &n));
	CHECK(n > 0);
	/* Nothing at all may still be written. */
	CHECK_EQ(write(f->fd, &byte, 0), 0);
	CHECK_EV(set_next(f->ep, f->fd, 20), 0);
}

static void t_restart(struct fix *f)
{
	struct peer_reader r;
	static char buf[32 * 1024];
	size_t taken, end;

	taken = server_fill(f->fd, SANE_LIMIT);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLOUT);
	CHECK_EV(set_until(f->ep, f->fd, 0), 0);
	peer_reader_start(&r, f->peer, false);
	CHECK_EV(set_wait(f->ep, f->fd, EPOLLOUT), EPOLLOUT);
	set_mod(f->ep, f->fd, EPOLLIN);
	for (end = taken + (4 << 20); taken < end; taken += sizeof(buf)) {
		bytes_fill(buf, sizeof(buf), taken);
		server_write(f->ep, f->fd, buf, sizeof(buf));
	}
	MUST(close(f->fd));
	f->fd = -1;
	peer_reader_expect(&r, taken);
}

/* Filled and drained again and again, by edge. */
static void t_cycles(struct fix *f)
{
	static char buf[1 << 16];
	size_t taken, done;
	int small = 16384;

	MUST(setsockopt(f->fd, SOL_SOCKET, SO_SNDBUF, &small,
			sizeof(small)));
	MUST(setsockopt(f->peer, SOL_SOCKET, SO_RCVBUF, &small,
			sizeof(small)));
	set_mod(f->ep, f->fd, EPOLLOUT | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	for (int i = 0; i < 5; i++) {
		taken = server_fill(f->fd, SANE_LIMIT);
		for (done = 0; done < taken;)
			done += MUST(recv(f->peer, buf, sizeof(buf), 0));
		CHECK_EQ(done, taken);
		CHECK_EV(set_wait(f->ep, f->fd, EPOLLOUT), EPOLLOUT);
	}
}

/* A blocked writer still reads, and the other connections go on. */
static void t_others_go_on(struct fix *f)
{
	int peer, fd = server_accept(f, &peer, EPOLLIN);
	char buf[8];

	server_fill(f->fd, SANE_LIMIT);
	for (int i = 0; i < 20; i++) {
		peer_write(f->peer, "in", 2);
		server_read(f->ep, f->fd, buf, 2);
		peer_write(peer, "ping", 4);
		server_read(f->ep, fd, buf, 4);
		server_write(f->ep, fd, "pong", 4);
		peer_expect(peer, "pong");
	}
	MUST(close(fd));
	MUST(close(peer));
}

static void t_slow_reader(struct fix *f)
{
	struct peer_reader r;
	static char buf[100 * 1000];
	size_t sent = 0;

	peer_reader_start(&r, f->peer, true);
	while (sent < 12000000) {
		bytes_fill(buf, sizeof(buf), sent);
		server_write(f->ep, f->fd, buf, sizeof(buf));
		sent += sizeof(buf);
	}
	MUST(shutdown(f->fd, SHUT_WR));
	peer_reader_expect(&r, sent);
}

static const struct net_case cases[] = {
	{ "EAGAIN within a sane bound, no OUT", t_eagain, BOTH },
	{ "OUT when the peer reads, and no byte is lost", t_restart, BOTH },
	{ "filled and drained five times, by edge", t_cycles, BOTH },
	{ "the others go on meanwhile", t_others_go_on, BOTH },
	{ "12 MB to a slow reader", t_slow_reader, BOTH },
};

NET_MAIN(cases)
