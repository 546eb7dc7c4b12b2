/* SPDX-License-Identifier: MIT */
/*
 * Description: bytes sent before a call that sleeps are out while it sleeps.
 */
#include "../lib/net.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * The server sends and then sleeps in some other call; only a client that
 * has got the bytes ends that sleep.  A library that holds bytes back must
 * know every such call.
 */
struct waker {
	int peer;
	pthread_t sleeper;
	int pipe[2];
	struct sockaddr_in addr;
	sem_t sem;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool woken;
	void (*wake)(struct waker *w);
	bool got;
};

static void wake_pipe(struct waker *w)
{
	CHECK_EQ(write(w->pipe[1], "x", 1), 1);
}

static void wake_signal(struct waker *w)
{
	CHECK_EQ(pthread_kill(w->sleeper, SIGUSR1), 0);
}

static void wake_sem(struct waker *w)
{
	sem_post(&w->sem);
}

static void wake_cond(struct waker *w)
{
	pthread_mutex_lock(&w->lock);
	w->woken = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void wake_nothing(struct waker *w)
{
	(void)w;
}

static void wake_connect(struct waker *w)
{
	MUST(close(net_client(&w->addr)));
}

/* Wakes in any case, so that a failure does not hang. */
static void *wait_and_wake(void *arg)
{
	struct waker *w = arg;
	char byte = 0;

	w->got = recv(w->peer, &byte, 1, 0) == 1 && byte == 'x';
	thread_asleep(getpid());
	w->wake(w);
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void run(struct fix *f, void (*sleep_in)(struct waker *w),
		void (*wake)(struct waker *w))
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct waker w = {
		.peer = f->peer, .sleeper = pthread_self(), .wake = wake,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};
	long long start;
	pthread_t thread;

	MUST(pipe(w.pipe));
	sem_init(&w.sem, 0, 0);
	MUST(sigaction(SIGUSR1, &sa, NULL));
	thread = thread_start(wait_and_wake, &w);
	start = tap_now_ms();
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	sleep_in(&w);
	CHECK(tap_now_ms() - start < WAIT_MS / 2);
	thread_join(thread);
	CHECK(w.got);
	MUST(close(w.pipe[0]));
	MUST(close(w.pipe[1]));
}

static void in_read(struct waker *w)
{
	char byte;

	CHECK_EQ(read(w->pipe[0], &byte, 1), 1);
}

static void in_poll(struct waker *w)
{
	struct pollfd pfd = { .fd = w->pipe[0], .events = POLLIN };

	CHECK_EQ(poll(&pfd, 1, WAIT_MS), 1);
}

static void in_select(struct waker *w)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(w->pipe[0], &set);
	CHECK_EQ(select(w->pipe[0] + 1, &set, NULL, NULL, &tv), 1);
}

static void in_other_set(struct waker *w)
{
	struct epoll_event ev;
	int ep = MUST(epoll_create1(0));

	set_add(ep, w->pipe[0], EPOLLIN);
	CHECK_EQ(epoll_wait(ep, &ev, 1, WAIT_MS), 1);
	MUST(close(ep));
}

static void in_nanosleep(struct waker *w)
{
	struct timespec ts = { .tv_sec = WAIT_MS / 1000 };

	(void)w;
	CHECK_ERRNO(nanosleep(&ts, NULL), EINTR);
}

static void in_clock_nanosleep(struct waker *w)
{
	struct timespec ts = { .tv_sec = WAIT_MS / 1000 };

	(void)w;
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), EINTR);
}

static void in_sleep(struct waker *w)
{
	(void)w;
	CHECK(sleep(WAIT_MS / 1000) > 0);
}

static void in_usleep(struct waker *w)
{
	(void)w;
	CHECK_ERRNO(usleep(WAIT_MS * 1000), EINTR);
}

static void in_sem(struct waker *w)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_MS / 1000;
	CHECK_EQ(sem_timedwait(&w->sem, &end), 0);
}

static void in_sem_forever(struct waker *w)
{
	CHECK_EQ(sem_wait(&w->sem), 0);
}

static void in_cond(struct waker *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->woken)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static void *read_one(void *arg)
{
	struct waker *w = arg;
	char byte;

	CHECK_EQ(read(w->pipe[0], &byte, 1), 1);
	return NULL;
}

static void in_join(struct waker *w)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, read_one, w), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A child that ends when the pipe is written. */
static void in_waitpid(struct waker *w)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		read_one(w);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void in_sigsuspend(struct waker *w)
{
	sigset_t set, old;

	(void)w;
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &old), 0);
	set = old;
	CHECK_ERRNO(sigsuspend(&set), EINTR);
}

static void in_accept(struct waker *w)
{
	int lfd = net_listen(&w->addr, 4), fd;

	net_nonblock(lfd, false);
	net_timeouts(lfd);
	fd = MUST(accept(lfd, NULL, NULL));
	MUST(close(fd));
	MUST(close(lfd));
}

static void in_raw_read(struct waker *w)
{
	char byte;

	CHECK_EQ(syscall(SYS_read, w->pipe[0], &byte, 1), 1);
}

#define CASE(call, wake) \
	static void t_##call(struct fix *f) \
	{ \
		run(f, in_##call, wake); \
	}

CASE(read, wake_pipe)
CASE(poll, wake_pipe)
CASE(select, wake_pipe)
CASE(other_set, wake_pipe)
CASE(nanosleep, wake_signal)
CASE(clock_nanosleep, wake_signal)
CASE(sleep, wake_signal)
CASE(usleep, wake_signal)
CASE(sem, wake_sem)
CASE(sem_forever, wake_sem)
CASE(cond, wake_cond)
CASE(join, wake_pipe)
CASE(waitpid, wake_pipe)
CASE(sigsuspend, wake_signal)
CASE(raw_read, wake_pipe)

/* The waker connects to a listener that in_accept() opens. */
static void t_accept(struct fix *f)
{
	run(f, in_accept, wake_connect);
}

/* No sleep at all: the client looks until it has the byte. */
static void t_zero_wait(struct fix *f)
{
	struct waker w = { .peer = f->peer, .wake = wake_nothing };
	struct epoll_event ev;
	char byte;

	for (int i = 0; i < 20; i++) {
		CHECK_EQ(send(w.peer, "a", 1, 0), 1);
		server_read(f->ep, f->fd, &byte, 1);
		CHECK_EQ(send(f->fd, "x", 1, 0), 1);
		MUST(epoll_wait(f->ep, &ev, 1, 0));
		UNTIL(recv(w.peer, &byte, 1, MSG_DONTWAIT) == 1);
	}
}

static const struct net_case cases[] = {
	{ "read() of a pipe", t_read, BOTH },
	{ "poll()", t_poll, BOTH },
	{ "select()", t_select, BOTH },
	{ "epoll_wait() on another set", t_other_set, BOTH },
	{ "nanosleep()", t_nanosleep, BOTH },
	{ "clock_nanosleep()", t_clock_nanosleep, BOTH },
	{ "sleep()", t_sleep, BOTH },
	{ "usleep()", t_usleep, BOTH },
	{ "sem_timedwait()", t_sem, BOTH },
	{ "sem_wait()", t_sem_forever, BOTH },
	{ "pthread_cond_wait()", t_cond, BOTH },
	{ "pthread_join()", t_join, BOTH },
	{ "waitpid()", t_waitpid, BOTH },
	{ "sigsuspend()", t_sigsuspend, BOTH },
	{ "accept() of a blocking listener", t_accept, BOTH },
	{ "syscall(SYS_read)", t_raw_read, BOTH },
	{ "epoll_wait(0), no sleep", t_zero_wait, BOTH },
};

NET_MAIN(cases)
