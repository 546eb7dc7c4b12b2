/* SPDX-License-Identifier: MIT */
/*
 * Description: a listener added with EPOLLEXCLUSIVE, as nginx does.
 */
#include "../lib/net.h"

#include <unistd.h>

static int take(struct fix *f)
{
	return MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
}

static void t_listener(struct fix *f)
{
	set_del(f->ep, f->lfd);
	set_add(f->ep, f->lfd, EPOLLIN | EPOLLEXCLUSIVE);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	/* Level-triggered: it repeats. */
	CHECK_EV(set_next(f->ep, f->lfd, 0), EPOLLIN);
	f->fd = take(f);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
}

static void t_waiting_before_add(struct fix *f)
{
	set_del(f->ep, f->lfd);
	f->peer = net_client(&f->addr);
	set_add(f->ep, f->lfd, EPOLLIN | EPOLLEXCLUSIVE);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = take(f);
}

/* nginx takes its listener out and back in every 16 accepts. */
static void t_reorder(struct fix *f)
{
	char byte;
	int peer, fd;

	for (int i = 0; i < 8; i++) {
		set_del(f->ep, f->lfd);
		set_add(f->ep, f->lfd, EPOLLIN | EPOLLEXCLUSIVE);
		peer = net_client(&f->addr);
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
		fd = take(f);
		set_add(f->ep, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
		peer_write(peer, "x", 1);
		server_read(f->ep, fd, &byte, 1);
		MUST(close(fd));
		peer_eof(peer);
		MUST(close(peer));
	}
}

static void t_errno(struct fix *f)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };

	/* MOD to and of an exclusive entry, and bits that do not mix. */
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->lfd, &ev), EINVAL);
	set_del(f->ep, f->lfd);
	ev.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->lfd, &ev), EINVAL);
	ev.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP;
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->lfd, &ev), EINVAL);
	set_add(f->ep, f->lfd, EPOLLIN | EPOLLEXCLUSIVE);
	ev.events = EPOLLIN;
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->lfd, &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->lfd, &ev), EEXIST);
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
}

static void t_connection(struct fix *f)
{
	struct epoll_event ev = { .events = EPOLLIN };

	set_del(f->ep, f->fd);
	set_add(f->ep, f->fd, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, &ev), EINVAL);
}

/* Of a connection that no set has had yet. */
static void t_fresh(struct fix *f)
{
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLEXCLUSIVE };

	f->fd = server_accept(f, &f->peer, 0);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, &ev), EINVAL);
	set_add(f->ep, f->fd, EPOLLIN | EPOLLEXCLUSIVE);
}

/* Bits that do not mix are wrong whatever is in the set, bad memory first. */
static void t_order(struct fix *f)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE |
					    EPOLLONESHOT };

	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, &ev), EINVAL);
	ev.events = EPOLLIN | EPOLLEXCLUSIVE;
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, &ev), EEXIST);
	CHECK_ERRNO(epoll_ctl(f->ep, 17, f->fd, &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(f->ep, 17, f->fd, (void *)8), EFAULT);
	set_del(f->ep, f->fd);
	ev.events = EPOLLIN | EPOLLEXCLUSIVE;
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, &ev), EINVAL);
	ev.events = EPOLLIN;
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, &ev), ENOENT);
}

static void t_two_sets(struct fix *f)
{
	int other = MUST(epoll_create1(0));

	set_del(f->ep, f->lfd);
	set_add(f->ep, f->lfd, EPOLLIN | EPOLLEXCLUSIVE);
	set_add(other, f->lfd, EPOLLIN | EPOLLEXCLUSIVE);
	f->peer = net_client(&f->addr);
	/* At least one set must say so; whoever takes it, none is left. */
	UNTIL(set_next(f->ep, f->lfd, 0) || set_next(other, f->lfd, 0));
	f->fd = take(f);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	CHECK_EV(set_next(other, f->lfd, 0), 0);
	MUST(close(other));
}

static const struct net_case cases[] = {
	{ "a listener reports and repeats", t_listener, BOTH | NOCONN },
	{ "one that waits at ADD is reported", t_waiting_before_add,
	  BOTH | NOCONN },
	{ "DEL and ADD between accepts", t_reorder, BOTH | NOCONN },
	{ "EINVAL of MOD and of bits that do not mix", t_errno,
	  BOTH | NOCONN },
	{ "errors in their order", t_order, BOTH },
	{ "flags that do not mix, at first", t_fresh, BOTH | NOCONN },
	{ "a connection added exclusive", t_connection, BOTH },
	{ "a listener exclusive in two sets", t_two_sets, BOTH | NOCONN },
};

NET_MAIN(cases)
