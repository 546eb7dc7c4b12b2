/* SPDX-License-Identifier: MIT */
/*
 * Description: urgent data: sent, received with EPOLLPRI, inline, by signal.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile sig_atomic_t urgent;

static void on_urgent(int sig)
{
	urgent++;
}

static int at_mark(int fd)
{
	int at = -1;

	MUST(ioctl(fd, SIOCATMARK, &at));
	return at;
}

/* In order with what is written around it. */
static void t_send(struct fix *f)
{
	char byte;

	CHECK_EQ(send(f->fd, "before", 6, 0), 6);
	CHECK_EQ(send(f->fd, "!", 1, MSG_OOB), 1);
	CHECK_EQ(send(f->fd, "after", 5, 0), 5);
	peer_expect(f->peer, "before");
	CHECK_EQ(recv(f->peer, &byte, 1, MSG_OOB), 1);
	CHECK_EQ(byte, '!');
	peer_expect(f->peer, "after");
}

/* A set that asks for EPOLLPRI is told of it. */
static void t_pri(struct fix *f)
{
	char buf[8];

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLPRI);
	CHECK_EQ(send(f->peer, "!", 1, MSG_OOB), 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLPRI);
	CHECK_EQ(at_mark(f->fd), 1);
	CHECK_ERRNO(recv(f->fd, buf, 8, MSG_DONTWAIT | MSG_PEEK), EAGAIN);
}

static void t_pri_data(struct fix *f)
{
	char buf[8];

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLPRI);
	CHECK_EQ(send(f->peer, "ab!", 3, MSG_OOB), 3);
	peer_write(f->peer, "cd", 2);
	set_wait(f->ep, f->fd, EPOLLPRI);
	CHECK_EQ(at_mark(f->fd), 0);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 2);
	CHECK_MEM(buf, "ab", 2);
	CHECK_EQ(at_mark(f->fd), 1);
	CHECK_EQ(recv(f->fd, buf, 8, MSG_OOB), 1);
	CHECK_EQ(buf[0], '!');
	CHECK_ERRNO(recv(f->fd, buf, 8, MSG_OOB), EINVAL);
	UNTIL(recv(f->fd, buf, 8, 0) == 2);
	CHECK_MEM(buf, "cd", 2);
}

/* Inline: an ordinary byte behind a mark. */
static void t_inline(struct fix *f)
{
	int on = 1;
	char buf[8];

	MUST(setsockopt(f->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
	CHECK_EQ(send(f->peer, "ab!", 3, MSG_OOB), 3);
	peer_write(f->peer, "cd", 2);
	CHECK_EV(set_wait(f->ep, f->fd, EPOLLIN), EPOLLIN);
	CHECK_ERRNO(recv(f->fd, buf, 8, MSG_OOB), EINVAL);
	UNTIL(recv(f->fd, buf, 8, MSG_PEEK) == 2);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 2);
	CHECK_EQ(at_mark(f->fd), 1);
	UNTIL(recv(f->fd, buf, 8, MSG_PEEK) == 3);
	CHECK_MEM(buf, "!cd", 3);
}

/* An owner is sent SIGURG. */
static void t_signal(struct fix *f)
{
	struct sigaction sa = { .sa_handler = on_urgent }, old;
	char byte;

	MUST(sigaction(SIGURG, &sa, &old));
	urgent = 0;
	MUST(fcntl(f->fd, F_SETOWN, getpid()));
	CHECK_EQ(MUST(fcntl(f->fd, F_GETOWN)), getpid());
	CHECK_EQ(send(f->peer, "!", 1, MSG_OOB), 1);
	UNTIL(urgent == 1);
	CHECK_EQ(recv(f->fd, &byte, 1, MSG_OOB), 1);
	CHECK_EQ(byte, '!');
	MUST(sigaction(SIGURG, &old, NULL));
}

static void t_errno(struct fix *f)
{
	char byte;

	CHECK_ERRNO(recv(f->fd, &byte, 1, MSG_OOB), EINVAL);
	CHECK_ERRNO(recv(f->fd, &byte, 1, MSG_OOB | MSG_PEEK), EINVAL);
	CHECK_EQ(at_mark(f->fd), 0);
	CHECK_ERRNO(recv(f->lfd, &byte, 1, MSG_OOB), ENOTCONN);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
}

static const struct net_case cases[] = {
	{ "send in order with other bytes", t_send, BOTH },
	{ "EPOLLPRI", t_pri, BOTH },
	{ "EPOLLPRI with bytes around it", t_pri_data, BOTH },
	{ "SO_OOBINLINE", t_inline, BOTH },
	{ "F_SETOWN and SIGURG", t_signal, BOTH },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
