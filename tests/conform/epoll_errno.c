/* SPDX-License-Identifier: MIT */
/*
 * Description: errno of each wrong use of the epoll calls.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct epoll_event in = { .events = EPOLLIN };

/* A number that is not open. */
static int closed_fd(void)
{
	int fd = MUST(dup(0));

	MUST(close(fd));
	return fd;
}

static void t_create(struct fix *f)
{
	(void)f;
	CHECK_ERRNO(epoll_create(0), EINVAL);
	CHECK_ERRNO(epoll_create(-1), EINVAL);
	CHECK_ERRNO(epoll_create1(1), EINVAL);
	int ep = MUST(epoll_create(1));

	CHECK_EQ(fcntl(ep, F_GETFD), 0);
	MUST(close(ep));
	ep = MUST(epoll_create1(EPOLL_CLOEXEC));
	CHECK_EQ(fcntl(ep, F_GETFD), FD_CLOEXEC);
	MUST(close(ep));
}

static void t_membership(struct fix *f)
{
	int ep = f->ep, fd = f->fd;

	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &in), EEXIST);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, f->lfd, &in), EEXIST);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), ENOENT);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, fd, &in), ENOENT);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &in), ENOENT);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &in), 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &in), EEXIST);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, fd, &in), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, f->lfd, NULL), 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, f->lfd, NULL), ENOENT);
}

static void t_ebadf(struct fix *f)
{
	int bad = closed_fd();

	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, -1, &in), EBADF);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, bad, &in), EBADF);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, bad, &in), EBADF);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, bad, NULL), EBADF);
	CHECK_ERRNO(epoll_ctl(-1, EPOLL_CTL_ADD, f->fd, &in), EBADF);
	CHECK_ERRNO(epoll_ctl(bad, EPOLL_CTL_MOD, f->fd, &in), EBADF);
	CHECK_ERRNO(epoll_ctl(1 << 20, EPOLL_CTL_ADD, f->fd, &in), EBADF);
	MUST(close(f->fd));
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, f->fd, NULL), EBADF);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, &in), EBADF);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, &in), EBADF);
	f->fd = -1;
}

static void t_einval(struct fix *f)
{
	int ep = f->ep;

	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &in), EINVAL);
	CHECK_ERRNO(epoll_ctl(f->fd, EPOLL_CTL_ADD, f->lfd, &in), EINVAL);
	CHECK_ERRNO(epoll_ctl(f->lfd, EPOLL_CTL_ADD, f->fd, &in), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, 99, f->fd, &in), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, 0, f->fd, &in), EINVAL);
	/* The wrong operation did not change the membership. */
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, f->fd, &in), EEXIST);
}

static void t_eperm(struct fix *f)
{
	char name[] = "/tmp/mp_errno.XXXXXX";
	int fd = MUST(mkstemp(name));

	MUST(unlink(name));
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, fd, &in), EPERM);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, fd, &in), EPERM);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, fd, NULL), EPERM);
	MUST(close(fd));
}

static void t_efault(struct fix *f)
{
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, NULL), EFAULT);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, NULL), EFAULT);
	/* DEL never looks at the event. */
	CHECK_EQ(epoll_ctl(f->ep, EPOLL_CTL_DEL, f->fd,
			   (struct epoll_event *)8), 0);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->fd, NULL), EFAULT);
}

static void t_wait(struct fix *f)
{
	/* Volatile: the compiler warns of a plain -1. */
	volatile int negative = -1;
	struct epoll_event ev;
	int bad = closed_fd();

	CHECK_ERRNO(epoll_wait(bad, &ev, 1, 0), EBADF);
	CHECK_ERRNO(epoll_wait(-1, &ev, 1, 0), EBADF);
	CHECK_ERRNO(epoll_wait(f->fd, &ev, 1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(f->lfd, &ev, 1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(f->ep, &ev, 0, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(f->ep, &ev, negative, 0), EINVAL);
	CHECK_ERRNO(epoll_pwait(f->ep, &ev, 0, 0, NULL), EINVAL);
	CHECK_EQ(epoll_wait(f->ep, &ev, 1, 0), 0);
}

static void t_closed_set(struct fix *f)
{
	struct epoll_event ev;
	int ep = f->ep;

	MUST(close(f->ep));
	f->ep = -1;
	CHECK_ERRNO(epoll_wait(ep, &ev, 1, 0), EBADF);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, f->fd, NULL), EBADF);
	/* A new set, on the same number, has no members. */
	f->ep = MUST(epoll_create1(0));
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, f->fd, NULL), ENOENT);
	set_add(f->ep, f->fd, EPOLLIN);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static const struct net_case cases[] = {
	{ "epoll_create and its flags", t_create, BARE },
	{ "EEXIST and ENOENT", t_membership, BOTH },
	{ "EBADF", t_ebadf, BOTH },
	{ "EINVAL", t_einval, BOTH },
	{ "EPERM of a regular file", t_eperm, BOTH },
	{ "EFAULT; DEL with any pointer", t_efault, BOTH },
	{ "epoll_wait", t_wait, BOTH },
	{ "a closed set", t_closed_set, BOTH },
};

NET_MAIN(cases)
