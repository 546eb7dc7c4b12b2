/* SPDX-License-Identifier: MIT */
/*
 * The server on epoll, as a good one is today: accept4 until nothing is left,
 * a first read at once, an answer without waiting for the set.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

static void end(struct thread *t, struct conn *c)
{
	close(c->fd);
	conn_free(t, c);
}

/* All of the answer: a client that does not read would block its thread. */
static bool answer(struct conn *c)
{
	size_t done = 0;

	while (done < setup.size) {
		ssize_t n = send(c->fd, c->buf + done, setup.size - done,
				 MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN)
			return false;
	}
	return true;
}

/* A short read has emptied the socket: the set says when there is more. */
static void readable(struct thread *t, struct conn *c)
{
	ssize_t n = recv(c->fd, c->buf + c->got, setup.size - c->got, 0);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			end(t, c);
		return;
	}
	if (conn_received(c, (size_t)n) && !answer(c))
		end(t, c);
}

static void accept_all(struct thread *t, int ep, int listener)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP };
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = conn_new(t);

		c->fd = fd;
		ev.data.ptr = c;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
			die("epoll_ctl", errno);
		readable(t, c);
	}
}

void serve_epoll(struct thread *t)
{
	int listener = setup.partition && t->index ? listen_again() :
						     setup.listener;
	struct epoll_event ev[64];
	int i, n, ep = epoll_create1(EPOLL_CLOEXEC);

	ev[0].events = EPOLLIN | (setup.exclusive ? EPOLLEXCLUSIVE : 0);
	ev[0].data.ptr = NULL;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev[0]))
		die("epoll_ctl", errno);
	for (;;) {
		n = epoll_wait(ep, ev, 64, -1);
		for (i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				readable(t, ev[i].data.ptr);
			else
				accept_all(t, ep, listener);
		}
	}
}
