/* SPDX-License-Identifier: MIT */
/*
 * Description: FIOASYNC, O_ASYNC, F_SETOWN, F_SETSIG: signals when data comes.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile sig_atomic_t handled, told_fd, told_band;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told_fd = info->si_fd;
	told_band = info->si_band;
	handled++;
}

static void install(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_RESTART };

	handled = 0;
	MUST(sigaction(sig, &sa, NULL));
}

static void set_async(int fd, bool on)
{
	int flags = MUST(fcntl(fd, F_GETFL));

	MUST(fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC));
}

/* A byte each way: how many signals came for it. */
static int arrive(struct fix *f)
{
	char byte;

	handled = 0;
	peer_write(f->peer, "x", 1);
	UNTIL(recv(f->fd, &byte, 1, 0) == 1);
	return handled;
}

/* The owner first, then the mode, or the other way round. */
static void by_order(struct fix *f, bool owner_first, bool by_ioctl)
{
	int on = 1, off = 0;

	install(SIGIO);
	if (owner_first)
		MUST(fcntl(f->fd, F_SETOWN, getpid()));
	if (by_ioctl)
		MUST(ioctl(f->fd, FIOASYNC, &on));
	else
		set_async(f->fd, true);
	CHECK(MUST(fcntl(f->fd, F_GETFL)) & O_ASYNC);
	if (!owner_first) {
		CHECK_EQ(arrive(f), 0);
		MUST(fcntl(f->fd, F_SETOWN, getpid()));
	}
	CHECK_EQ(MUST(fcntl(f->fd, F_GETOWN)), getpid());
	handled = 0;
	peer_write(f->peer, "y", 1);
	UNTIL(handled == 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	arrive(f);
	if (by_ioctl)
		MUST(ioctl(f->fd, FIOASYNC, &off));
	else
		set_async(f->fd, false);
	CHECK(!(MUST(fcntl(f->fd, F_GETFL)) & O_ASYNC));
	CHECK_EQ(arrive(f), 0);
}

static void t_owner_first(struct fix *f)
{
	by_order(f, true, false);
}

static void t_mode_first(struct fix *f)
{
	by_order(f, false, false);
}

static void t_ioctl(struct fix *f)
{
	by_order(f, true, true);
}

/* A signal of its own, which says what and where. */
static void t_setsig(struct fix *f)
{
	int sig = SIGRTMIN + 3;

	install(sig);
	MUST(fcntl(f->fd, F_SETSIG, sig));
	CHECK_EQ(MUST(fcntl(f->fd, F_GETSIG)), sig);
	MUST(fcntl(f->fd, F_SETOWN, getpid()));
	set_async(f->fd, true);
	peer_write(f->peer, "x", 1);
	UNTIL(handled > 0);
	CHECK_EQ(told_fd, f->fd);
	CHECK(told_band & EPOLLIN);
	set_async(f->fd, false);
}

static const struct net_case cases[] = {
	{ "F_SETOWN, then O_ASYNC", t_owner_first, BOTH },
	{ "O_ASYNC, then F_SETOWN", t_mode_first, BOTH },
	{ "FIOASYNC", t_ioctl, BOTH },
	{ "F_SETSIG", t_setsig, BOTH },
};

NET_MAIN(cases)
