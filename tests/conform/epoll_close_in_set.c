/* SPDX-License-Identifier: MIT */
/*
 * Description: close while in a set; the number comes back with nothing stale.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <unistd.h>

static int wait_any(struct fix *f, struct epoll_event *ev, int ms)
{
	return MUST(epoll_wait(f->ep, ev, 4, ms));
}

static void t_close_ready(struct fix *f)
{
	struct epoll_event ev[4];

	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(close(f->fd));
	f->fd = -1;
	CHECK_EQ(wait_any(f, ev, 20), 0);
}

static void t_close_idle(struct fix *f)
{
	struct epoll_event ev[4];

	MUST(close(f->fd));
	f->fd = -1;
	CHECK_EQ(wait_any(f, ev, 0), 0);
	peer_eof(f->peer);
	CHECK_EQ(wait_any(f, ev, 0), 0);
	/* What the peer does now is nobody's event. */
	send(f->peer, "x", 1, MSG_NOSIGNAL);
	CHECK_EQ(wait_any(f, ev, 20), 0);
}

static void t_close_before_wait(struct fix *f)
{
	struct epoll_event ev[4];
	int peer, fd = server_accept(f, &peer, EPOLLIN | EPOLLOUT);

	MUST(close(fd));
	CHECK_EQ(wait_any(f, ev, 20), 0);
	peer_eof(peer);
	MUST(close(peer));
}

static void t_number_reuse(struct fix *f)
{
	struct epoll_event ev[4];
	int peer, fd;

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
	for (int i = 0; i < 8; i++) {
		/* Unread bytes and an unreported edge die with the close. */
		peer_write(f->peer, "stale", 5);
		MUST(close(f->fd));
		f->fd = -1;
		peer = f->peer;
		fd = server_accept(f, &f->peer, 0);
		MUST(close(peer));
		f->fd = fd;
		set_add(f->ep, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
		CHECK_EQ(wait_any(f, ev, 0), 0);
		CHECK_ERRNO(recv(fd, ev, sizeof(ev), 0), EAGAIN);
	}
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

/* The number comes back as a pipe, which is not a member of the set. */
static void t_number_as_pipe(struct fix *f)
{
	struct epoll_event ev[4];
	int ends[2];

	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(close(f->fd));
	f->fd = -1;
	MUST(pipe2(ends, O_NONBLOCK));
	CHECK_EQ(write(ends[1], "y", 1), 1);
	CHECK_EQ(wait_any(f, ev, 0), 0);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, ends[0], NULL), ENOENT);
	set_add(f->ep, ends[0], EPOLLIN);
	CHECK_EV(set_next(f->ep, ends[0], 0), EPOLLIN);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

/* Two are ready; the first event's handler closes the other one. */
static void t_close_the_other(struct fix *f)
{
	struct epoll_event ev[4];
	int peer, fd = server_accept(f, &peer, EPOLLIN);

	peer_write(f->peer, "x", 1);
	peer_write(peer, "x", 1);
	UNTIL(wait_any(f, ev, 10) == 2);
	CHECK_EQ(MUST(epoll_wait(f->ep, ev, 1, 0)), 1);
	if (ev[0].data.fd == f->fd) {
		MUST(close(fd));
	} else {
		MUST(close(f->fd));
		f->fd = fd;
	}
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(wait_any(f, ev, 0), 1);
		CHECK_EQ(ev[0].data.fd, f->fd);
	}
	MUST(close(peer));
}

static void t_double_close(struct fix *f)
{
	char byte;

	MUST(close(f->fd));
	CHECK_ERRNO(close(f->fd), EBADF);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EBADF);
	CHECK_ERRNO(send(f->fd, &byte, 1, 0), EBADF);
	CHECK_ERRNO(fcntl(f->fd, F_GETFL), EBADF);
	CHECK_ERRNO(shutdown(f->fd, SHUT_WR), EBADF);
	f->fd = -1;
}

static void t_del_then_close(struct fix *f)
{
	struct epoll_event ev[4];

	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	set_del(f->ep, f->fd);
	CHECK_EQ(wait_any(f, ev, 0), 0);
	MUST(close(f->fd));
	f->fd = -1;
	CHECK_EQ(wait_any(f, ev, 0), 0);
}

static const struct net_case cases[] = {
	{ "close with an event pending", t_close_ready, BOTH },
	{ "close while idle", t_close_idle, BOTH },
	{ "close right after ADD", t_close_before_wait, BOTH | NOCONN },
	{ "the number of the next accept has no old event or byte",
	  t_number_reuse, BOTH },
	{ "the number as a pipe is no member", t_number_as_pipe, BOTH },
	{ "close of the other ready one", t_close_the_other, BOTH },
	{ "calls on the closed number: EBADF", t_double_close, BOTH },
	{ "DEL, then close", t_del_then_close, BOTH },
};

NET_MAIN(cases)
