/* SPDX-License-Identifier: MIT */
/*
 * Description: fcntl() and ioctl() on an accepted connection.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void works(struct fix *f)
{
	char byte;

	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
	server_write(f->ep, f->fd, "y", 1);
	peer_expect(f->peer, "y");
}

static void t_getfl(struct fix *f)
{
	CHECK_EQ(MUST(fcntl(f->fd, F_GETFL)) & (O_ACCMODE | O_NONBLOCK),
		 O_RDWR | O_NONBLOCK);
	/* Set what is set: nothing changes. */
	net_nonblock(f->fd, true);
	works(f);
	MUST(fcntl(f->fd, F_SETFL, O_NONBLOCK | O_APPEND));
	CHECK_EQ(MUST(fcntl(f->fd, F_GETFL)) & (O_NONBLOCK | O_APPEND),
		 O_NONBLOCK | O_APPEND);
	works(f);
}

static void t_getfd(struct fix *f)
{
	CHECK_EQ(MUST(fcntl(f->fd, F_GETFD)), 0);
	MUST(fcntl(f->fd, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(MUST(fcntl(f->fd, F_GETFD)), FD_CLOEXEC);
	MUST(fcntl(f->fd, F_SETFD, 0));
	CHECK_EQ(MUST(fcntl(f->fd, F_GETFD)), 0);
	MUST(ioctl(f->fd, FIOCLEX));
	CHECK_EQ(MUST(fcntl(f->fd, F_GETFD)), FD_CLOEXEC);
	MUST(ioctl(f->fd, FIONCLEX));
	CHECK_EQ(MUST(fcntl(f->fd, F_GETFD)), 0);
	works(f);
}

static void t_fionbio(struct fix *f)
{
	int on = 1, off = 0;

	MUST(ioctl(f->fd, FIONBIO, &on));
	CHECK(MUST(fcntl(f->fd, F_GETFL)) & O_NONBLOCK);
	works(f);
	MUST(ioctl(f->fd, FIONBIO, &off));
	CHECK(!(MUST(fcntl(f->fd, F_GETFL)) & O_NONBLOCK));
	MUST(ioctl(f->fd, FIONBIO, &on));
	CHECK(MUST(fcntl(f->fd, F_GETFL)) & O_NONBLOCK);
	works(f);
}

/* A plain accept(), then FIONBIO, as libevent and nginx do. */
static void t_fionbio_after_accept(struct fix *f)
{
	int on = 1;

	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	MUST(ioctl(f->fd, FIONBIO, &on));
	set_add(f->ep, f->fd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	works(f);
}

static void t_owner(struct fix *f)
{
	MUST(fcntl(f->fd, F_SETOWN, getpid()));
	CHECK_EQ(fcntl(f->fd, F_GETOWN), getpid());
	works(f);
}

static void t_errno(struct fix *f)
{
	int n = 0;

	CHECK_ERRNO(fcntl(f->fd, 9999), EINVAL);
	CHECK_ERRNO(ioctl(f->fd, TIOCGWINSZ, &n), ENOTTY);
	CHECK_ERRNO(ioctl(f->fd, 0x12345678, &n), ENOTTY);
	CHECK_ERRNO(fcntl(-1, F_GETFL), EBADF);
	CHECK_ERRNO(ioctl(-1, FIONREAD, &n), EBADF);
	CHECK_EQ(isatty(f->fd), 0);
	works(f);
}

static const struct net_case cases[] = {
	{ "F_GETFL and F_SETFL", t_getfl, BOTH },
	{ "F_GETFD, F_SETFD, FIOCLEX, FIONCLEX", t_getfd, BOTH },
	{ "FIONBIO", t_fionbio, BOTH },
	{ "accept(), then FIONBIO", t_fionbio_after_accept,
	  BOTH | NOCONN },
	{ "F_SETOWN and F_GETOWN", t_owner, BOTH },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
