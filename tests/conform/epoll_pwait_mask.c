/* SPDX-License-Identifier: MIT */
/*
 * Description: signals and epoll_wait, epoll_pwait, epoll_pwait2.
 */
#include "../lib/net.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static void install(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	handled = 0;
	MUST(sigaction(SIGUSR1, &sa, NULL));
}

static void block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(how, &set, NULL), 0);
}

static bool is_pending(void)
{
	sigset_t set;

	MUST(sigpending(&set));
	return sigismember(&set, SIGUSR1) == 1;
}

struct kick {
	pthread_t thread;
	pid_t tid;
};

static void *kick_when_asleep(void *arg)
{
	struct kick *k = arg;

	thread_asleep(k->tid);
	CHECK_EQ(pthread_kill(k->thread, SIGUSR1), 0);
	return NULL;
}

static pthread_t kick_me(struct kick *k)
{
	k->thread = pthread_self();
	k->tid = syscall(SYS_gettid);
	return thread_start(kick_when_asleep, k);
}

static void interrupted(struct fix *f, int flags, int ms)
{
	struct epoll_event ev;
	struct kick k;
	pthread_t thread;

	install(flags);
	thread = kick_me(&k);
	CHECK_ERRNO(epoll_wait(f->ep, &ev, 1, ms), EINTR);
	CHECK_EQ(handled, 1);
	thread_join(thread);
	/* The set goes on as before. */
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_eintr(struct fix *f)
{
	interrupted(f, 0, WAIT_MS);
}

static void t_eintr_forever(struct fix *f)
{
	interrupted(f, 0, -1);
}

static void t_restart(struct fix *f)
{
	interrupted(f, SA_RESTART, WAIT_MS);
}

/* A pending signal that the mask lets through ends the wait at once. */
static void t_pending(struct fix *f)
{
	struct epoll_event ev;
	sigset_t none;
	long long start = tap_now_ms();

	sigemptyset(&none);
	install(0);
	block(SIG_BLOCK);
	raise(SIGUSR1);
	CHECK(is_pending());
	/* Blocked in the plain wait: it must time out. */
	CHECK_EQ(epoll_wait(f->ep, &ev, 1, 10), 0);
	CHECK_EQ(handled, 0);
	CHECK_ERRNO(epoll_pwait(f->ep, &ev, 1, WAIT_MS, &none), EINTR);
	CHECK_EQ(handled, 1);
	CHECK(tap_now_ms() - start < WAIT_MS / 2);
	/* The mask is back. */
	raise(SIGUSR1);
	CHECK_EQ(handled, 1);
	CHECK(is_pending());
	block(SIG_UNBLOCK);
	CHECK_EQ(handled, 2);
}

/* Events win: the signal stays pending and its handler does not run. */
static void t_events_first(struct fix *f)
{
	struct epoll_event ev;
	sigset_t none;

	sigemptyset(&none);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	install(0);
	block(SIG_BLOCK);
	raise(SIGUSR1);
	CHECK_EQ(epoll_pwait(f->ep, &ev, 1, WAIT_MS, &none), 1);
	CHECK_EQ(handled, 0);
	CHECK(is_pending());
	block(SIG_UNBLOCK);
	CHECK_EQ(handled, 1);
}

/* A timeout of 0 never looks for signals. */
static void t_zero_timeout(struct fix *f)
{
	struct epoll_event ev;
	sigset_t none;

	sigemptyset(&none);
	install(0);
	block(SIG_BLOCK);
	raise(SIGUSR1);
	CHECK_EQ(epoll_pwait(f->ep, &ev, 1, 0, &none), 0);
	CHECK_EQ(handled, 0);
	CHECK(is_pending());
	block(SIG_UNBLOCK);
	CHECK_EQ(handled, 1);
}

/* The mask of the call keeps a signal out for as long as it lasts. */
static void t_mask_blocks(struct fix *f)
{
	struct epoll_event ev;
	struct kick k;
	pthread_t thread;
	sigset_t all;

	sigfillset(&all);
	install(0);
	thread = kick_me(&k);
	CHECK_EQ(epoll_pwait(f->ep, &ev, 1, 100, &all), 0);
	thread_join(thread);
	CHECK_EQ(handled, 1);
}

static void t_pwait2(struct fix *f)
{
	struct timespec ts = { .tv_nsec = 20 * 1000000 };
	struct epoll_event ev;
	long long start = tap_now_us();
	sigset_t none;

	CHECK_EQ(MUST(epoll_pwait2(f->ep, &ev, 1, &ts, NULL)), 0);
	CHECK(tap_now_us() - start >= 20000);
	sigemptyset(&none);
	install(0);
	block(SIG_BLOCK);
	raise(SIGUSR1);
	CHECK_ERRNO(epoll_pwait2(f->ep, &ev, 1, NULL, &none), EINTR);
	CHECK_EQ(handled, 1);
	block(SIG_UNBLOCK);
	peer_write(f->peer, "x", 1);
	CHECK_EQ(MUST(epoll_pwait2(f->ep, &ev, 1, NULL, NULL)), 1);
	CHECK_EQ(ev.data.fd, f->fd);
}

static const struct net_case cases[] = {
	{ "a handler ends the wait with EINTR", t_eintr, BOTH },
	{ "also with timeout -1", t_eintr_forever, BOTH },
	{ "SA_RESTART does not restart it", t_restart, BOTH },
	{ "epoll_pwait: a pending signal, the mask restored", t_pending,
	  BOTH },
	{ "epoll_pwait: events come before the signal", t_events_first,
	  BOTH },
	{ "epoll_pwait: timeout 0 with a pending signal", t_zero_timeout,
	  BOTH },
	{ "epoll_pwait: the mask blocks", t_mask_blocks, BOTH },
	{ "epoll_pwait2", t_pwait2, BOTH },
};

NET_MAIN(cases)
