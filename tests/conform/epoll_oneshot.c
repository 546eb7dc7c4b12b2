/* SPDX-License-Identifier: MIT */
/*
 * Description: EPOLLONESHOT disarms after one report until MOD.
 */
#include "../lib/net.h"

#include <unistd.h>

#define SHOT (EPOLLIN | EPOLLONESHOT)

static void t_once(struct fix *f)
{
	char byte;

	set_mod(f->ep, f->fd, SHOT);
	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	peer_write(f->peer, "b", 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	/* Disarmed is silent for HUP and ERR as well. */
	MUST(shutdown(f->peer, SHUT_WR));
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, 20), 0);
}

static void t_rearm(struct fix *f)
{
	char byte;

	set_mod(f->ep, f->fd, SHOT);
	peer_write(f->peer, "ab", 2);
	for (int i = 0; i < 2; i++) {
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
		set_mod(f->ep, f->fd, SHOT);
	}
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "c", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_edge(struct fix *f)
{
	set_mod(f->ep, f->fd, SHOT | EPOLLET);
	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	peer_write(f->peer, "b", 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, SHOT | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_out_then_in(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLOUT | EPOLLONESHOT);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_mod(f->ep, f->fd, SHOT | EPOLLOUT);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLOUT);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

static void t_disarmed_is_member(struct fix *f)
{
	struct epoll_event ev = { .events = SHOT };

	set_mod(f->ep, f->fd, SHOT);
	peer_write(f->peer, "a", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, &ev), EEXIST);
	set_del(f->ep, f->fd);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, &ev), ENOENT);
}

static const struct net_case cases[] = {
	{ "one report, then silence", t_once, BOTH },
	{ "MOD arms it again for what is unread", t_rearm, BOTH },
	{ "with EPOLLET", t_edge, BOTH },
	{ "OUT, then IN and OUT", t_out_then_in, BOTH },
	{ "disarmed is still a member", t_disarmed_is_member, BOTH },
};

NET_MAIN(cases)
