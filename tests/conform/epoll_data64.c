/* SPDX-License-Identifier: MIT */
/*
 * Description: epoll_data comes back bit for bit.
 */
#include "../lib/net.h"

#include <unistd.h>

static const uint64_t values[] = {
	0, 1, UINT64_MAX, 1ull << 63, 0x00000000ffffffffull,
	0xffffffff00000000ull, 0x0123456789abcdefull, 0xdeadbeefcafef00dull,
};

static void set_data(struct fix *f, int op, int fd, uint64_t value)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = value };

	MUST(epoll_ctl(f->ep, op, fd, &ev));
}

static void expect(struct fix *f, uint64_t value)
{
	struct epoll_event ev = { .data.u64 = ~value };

	CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, WAIT_MS)), 1);
	CHECK_EQ(ev.data.u64, value);
	CHECK_EV(ev.events, EPOLLIN);
}

static void t_mod(struct fix *f)
{
	peer_write(f->peer, "x", 1);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		set_data(f, EPOLL_CTL_MOD, f->fd, values[i]);
		expect(f, values[i]);
	}
}

static void t_add(struct fix *f)
{
	peer_write(f->peer, "x", 1);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		set_del(f->ep, f->fd);
		set_data(f, EPOLL_CTL_ADD, f->fd, values[i]);
		expect(f, values[i]);
	}
}

static void t_listener(struct fix *f)
{
	f->peer = net_client(&f->addr);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		set_data(f, EPOLL_CTL_MOD, f->lfd, values[i]);
		expect(f, values[i]);
	}
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
}

static void t_foreign(struct fix *f)
{
	int ends[2];

	MUST(pipe(ends));
	CHECK_EQ(write(ends[1], "x", 1), 1);
	set_data(f, EPOLL_CTL_ADD, ends[0], 0);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		set_data(f, EPOLL_CTL_MOD, ends[0], values[i]);
		expect(f, values[i]);
	}
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static const struct net_case cases[] = {
	{ "a connection, by MOD", t_mod, BOTH },
	{ "a connection, by ADD", t_add, BOTH },
	{ "a listener", t_listener, BOTH | NOCONN },
	{ "a pipe beside a connection", t_foreign, BOTH },
};

NET_MAIN(cases)
