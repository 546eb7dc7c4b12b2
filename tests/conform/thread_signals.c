/* SPDX-License-Identifier: MIT */
/*
 * Description: signals into any thread; handlers that read, write, close.
 */
/* no-tsan: it puts handlers off, to where the call has ended */
#include "../lib/net.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static struct fix *now;
static volatile sig_atomic_t handled, wrote, busy;

static void install(void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	handled = wrote = busy = 0;
	MUST(sigaction(SIGUSR1, &sa, NULL));
	MUST(sigaction(SIGALRM, &sa, NULL));
}

/* As programs do that must not lose it: again when it would block. */
static void write_in_handler(int sig)
{
	int err = errno;
	ssize_t n = write(now->fd, "h", 1);

	(void)sig;
	if (n == 1)
		wrote++;
	else
		busy++;
	handled++;
	errno = err;
}

static void count_only(int sig)
{
	(void)sig;
	handled++;
}

static void every(long us)
{
	struct itimerval when = {
		.it_interval.tv_usec = us, .it_value.tv_usec = us,
	};

	MUST(setitimer(ITIMER_REAL, &when, NULL));
}

static pid_t loop;

/* A handler writes while the loop sleeps: its bytes go out. */
static void *kick(void *arg)
{
	struct fix *f = arg;

	for (int i = 1; i <= 5; i++) {
		thread_asleep(loop);
		kill(getpid(), SIGUSR1);
		peer_expect(f->peer, "h");
	}
	peer_write(f->peer, "x", 1);
	return NULL;
}

/* Not into the threads that are made meanwhile. */
static void block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGALRM);
	CHECK_EQ(pthread_sigmask(how, &set, NULL), 0);
}

static void t_asleep(struct fix *f)
{
	struct epoll_event ev;
	pthread_t thread;
	int n, interrupted = 0;

	now = f;
	loop = syscall(SYS_gettid);
	install(write_in_handler, SA_RESTART);
	block(SIG_BLOCK);
	thread = thread_start(kick, f);
	block(SIG_UNBLOCK);
	for (;;) {
		n = epoll_wait(f->ep, &ev, 1, WAIT_MS);
		if (n == 1)
			break;
		CHECK(n == -1 && errno == EINTR);
		interrupted++;
	}
	CHECK(interrupted <= 5);
	CHECK_EQ(busy, 0);
	CHECK_EQ(wrote, 5);
	thread_join(thread);
}

/* A timer's handler writes in the middle of anything; no byte is doubled or
 * lost, those of the loop keep their order. */
static void *count_bytes(void *arg)
{
	struct fix *f = arg;
	static long result[2];
	char buf[4096], next = 'a';
	ssize_t n;

	result[0] = result[1] = 0;
	while ((n = MUST(recv(f->peer, buf, sizeof(buf), 0))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == 'h') {
				result[0]++;
				continue;
			}
			/* a to g, again and again */
			CHECK_EQ(buf[i], next);
			next = next == 'g' ? 'a' : next + 1;
			result[1]++;
		}
	}
	return result;
}

static void t_any_moment(struct fix *f)
{
	long long end = tap_now_ms() + 150;
	long sent = 0, *got;
	struct epoll_event ev;
	void *result;
	pthread_t thread;
	char next = 'a';

	now = f;
	install(write_in_handler, SA_RESTART);
	block(SIG_BLOCK);
	CHECK_EQ(pthread_create(&thread, NULL, count_bytes, f), 0);
	block(SIG_UNBLOCK);
	every(500);
	while (tap_now_ms() < end) {
		for (int i = 0; i < 7; i++) {
			ssize_t n = send(f->fd, &next, 1, MSG_NOSIGNAL);

			if (n < 0) {
				CHECK_EQ(errno, EAGAIN);
				break;
			}
			next = next == 'g' ? 'a' : next + 1;
			sent++;
		}
		if (epoll_wait(f->ep, &ev, 1, sent % 3 ? 0 : 1) < 0)
			CHECK_EQ(errno, EINTR);
	}
	every(0);
	MUST(shutdown(f->fd, SHUT_WR));
	set_next(f->ep, -1, 1);
	CHECK_EQ(pthread_join(thread, &result), 0);
	got = result;
	CHECK(handled > 20);
	CHECK_EQ(got[0], wrote);
	CHECK_EQ(got[1], sent);
	/* A handler that came in the middle of it may find it busy. */
	if (!tap_preloaded())
		CHECK_EQ(busy, 0);
}

/* Calls are not restarted or lost by signals that come all the time. */
static void t_storm(struct fix *f)
{
	long long end = tap_now_ms() + WAIT_MS;
	char buf[64], want[64];
	struct epoll_event ev;

	install(count_only, SA_RESTART);
	every(100);
	for (int i = 0; i < 300 || !handled; i++) {
		size_t len = i % 60 + 1, at = 0;

		CHECK(tap_now_ms() < end);
		bytes_fill(want, len, i * 64);
		peer_write(f->peer, want, len);
		while (at < len) {
			ssize_t n = recv(f->fd, buf + at, len - at, 0);

			if (n > 0) {
				at += n;
				continue;
			}
			CHECK(n < 0 && errno == EAGAIN);
			if (epoll_wait(f->ep, &ev, 1, WAIT_MS) < 0)
				CHECK_EQ(errno, EINTR);
		}
		CHECK_MEM(buf, want, len);
		CHECK_EQ(send(f->fd, buf, len, 0), len);
		if (epoll_wait(f->ep, &ev, 1, 0) < 0)
			CHECK_EQ(errno, EINTR);
		peer_read(f->peer, buf, len);
		CHECK_MEM(buf, want, len);
	}
	every(0);
}

/* Another thread is the one that is interrupted. */
struct helper {
	struct fix *f;
	_Atomic pid_t tid;
	_Atomic int interrupted;
};

static void *wait_elsewhere(void *arg)
{
	struct helper *h = arg;
	struct fix own = { -1, -1, -1, -1, { 0 } };
	struct epoll_event ev;

	server_open(&own);
	server_warm(&own);
	own.fd = server_accept(&own, &own.peer, EPOLLIN);
	h->tid = syscall(SYS_gettid);
	while (h->interrupted < 3) {
		CHECK_ERRNO(epoll_wait(own.ep, &ev, 1, WAIT_MS), EINTR);
		h->interrupted++;
	}
	server_write(own.ep, own.fd, "z", 1);
	peer_expect(own.peer, "z");
	server_close(&own);
	return NULL;
}

static void t_other_thread(struct fix *f)
{
	struct helper h = { .f = f };
	pthread_t thread;

	install(count_only, 0);
	thread = thread_start(wait_elsewhere, &h);
	UNTIL(h.tid);
	for (int i = 1; i <= 3; i++) {
		thread_asleep(h.tid);
		CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
		UNTIL(h.interrupted == i);
	}
	thread_join(thread);
	CHECK_EQ(handled, 3);
	/* Ours was not. */
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

/* The handler closes the connection that the loop waits for. */
static void close_in_handler(int sig)
{
	(void)sig;
	close(now->fd);
	handled++;
}

static void *kick_once(void *arg)
{
	thread_asleep(loop);
	kill(getpid(), SIGUSR1);
	return NULL;
}

static void t_close(struct fix *f)
{
	struct epoll_event ev;
	pthread_t thread;

	now = f;
	loop = syscall(SYS_gettid);
	install(close_in_handler, 0);
	block(SIG_BLOCK);
	thread = thread_start(kick_once, NULL);
	block(SIG_UNBLOCK);
	CHECK_ERRNO(epoll_wait(f->ep, &ev, 1, WAIT_MS), EINTR);
	CHECK_ERRNO(recv(f->fd, &ev, 1, 0), EBADF);
	f->fd = -1;
	peer_eof(f->peer);
	thread_join(thread);
}

static const struct net_case cases[] = {
	{ "a handler writes while the loop sleeps", t_asleep, BOTH },
	{ "a handler writes at any moment", t_any_moment, BOTH },
	{ "signals all the time", t_storm, BOTH },
	{ "a signal into another thread's loop", t_other_thread, BOTH },
	{ "a handler closes what the loop waits for", t_close, BOTH },
};

NET_MAIN(cases)
