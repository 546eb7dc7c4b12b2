/* SPDX-License-Identifier: MIT */
/*
 * Description: EPOLL_CTL_MOD: re-arming, interest changes, data changes.
 */
#include "../lib/net.h"

#include <unistd.h>

static void t_edge_rearm(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	/* The same interest again: what is unread is reported again. */
	for (int i = 0; i < 3; i++) {
		set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	}
}

static void t_to_zero(struct fix *f)
{
	char byte;

	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_mod(f->ep, f->fd, 0);
	for (int i = 0; i < 3; i++)
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	/* The bytes are there all the same. */
	CHECK_EQ(recv(f->fd, &byte, 1, MSG_PEEK), 1);
	set_mod(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_zero_while_data_comes(struct fix *f)
{
	char buf[16];

	set_mod(f->ep, f->fd, 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "abc", 3);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLOUT);
	CHECK_EV(set_wait(f->ep, f->fd, EPOLLIN), EPOLLIN | EPOLLOUT);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 3);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT);
}

static void t_in_out_in(struct fix *f)
{
	for (int i = 0; i < 5; i++) {
		set_mod(f->ep, f->fd, EPOLLIN | EPOLLOUT);
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT);
		set_mod(f->ep, f->fd, EPOLLOUT);
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT);
		set_mod(f->ep, f->fd, EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	}
}

static void t_level_to_edge(struct fix *f)
{
	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
}

static void t_data_changes(struct fix *f)
{
	struct epoll_event ev = { .events = EPOLLIN };

	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	for (uint64_t i = 1; i < 4; i++) {
		ev.events = EPOLLIN;
		ev.data.u64 = i << 40;
		MUST(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, &ev));
		ev.data.u64 = 0;
		CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, WAIT_MS)), 1);
		CHECK_EQ(ev.data.u64, i << 40);
	}
}

/* A MOD between the arrival and the wait must not lose the arrival. */
static void t_mod_keeps_edge(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	peer_write(f->peer, "a", 1);
	set_mod(f->ep, f->fd, EPOLLOUT | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static const struct net_case cases[] = {
	{ "MOD re-arms an edge", t_edge_rearm, BOTH },
	{ "MOD to no interest and back", t_to_zero, BOTH },
	{ "data that comes under no interest", t_zero_while_data_comes,
	  BOTH },
	{ "interest IN, OUT, both, in turn", t_in_out_in, BOTH },
	{ "level to edge to level", t_level_to_edge, BOTH },
	{ "MOD changes data.u64", t_data_changes, BOTH },
	{ "MOD keeps an edge that was not reported", t_mod_keeps_edge, BOTH },
};

NET_MAIN(cases)
