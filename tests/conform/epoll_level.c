/* SPDX-License-Identifier: MIT */
/*
 * Description: level-triggered events repeat until the bytes are read.
 */
#include "../lib/net.h"

#include <unistd.h>

static void t_repeat(struct fix *f)
{
	char buf[16];

	peer_write(f->peer, "hello", 5);
	for (int i = 0; i < 5; i++)
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 5);
	CHECK_MEM(buf, "hello", 5);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
}

static void t_partial(struct fix *f)
{
	char byte;

	peer_write(f->peer, "abcde", 5);
	for (int i = 0; i < 5; i++) {
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
		CHECK_EQ(byte, 'a' + i);
	}
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "f", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_out(struct fix *f)
{
	set_mod(f->ep, f->fd, EPOLLOUT);
	for (int i = 0; i < 3; i++)
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT);
	/* Unasked data must not show. */
	peer_write(f->peer, "x", 1);
	for (int i = 0; i < 3; i++)
		CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT);
	set_mod(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_before_add(struct fix *f)
{
	char byte;

	set_del(f->ep, f->fd);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
}

static void t_eof(struct fix *f)
{
	char byte;

	MUST(shutdown(f->peer, SHUT_WR));
	for (int i = 0; i < 3; i++) {
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	}
}

static const struct net_case cases[] = {
	{ "IN repeats until all is read", t_repeat, BOTH },
	{ "IN repeats over partial reads", t_partial, BOTH },
	{ "OUT repeats, only asked bits show", t_out, BOTH },
	{ "data that came before ADD shows at once", t_before_add, BOTH },
	{ "IN repeats at EOF", t_eof, BOTH },
};

NET_MAIN(cases)
