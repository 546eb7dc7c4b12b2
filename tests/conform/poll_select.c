/* SPDX-License-Identifier: MIT */
/*
 * Description: poll and select over a live connection and a pipe.
 */
#include "../lib/net.h"

#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What _FORTIFY_SOURCE makes of poll(). */
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);

static int poll_one(int fd, int events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events, .revents = -1 };
	int n = MUST(poll(&pfd, 1, ms));

	CHECK_EQ(n, !!pfd.revents);
	return pfd.revents;
}

static void t_poll(struct fix *f)
{
	char byte;

	CHECK_EV(poll_one(f->fd, POLLIN, 0), 0);
	CHECK_EV(poll_one(f->fd, POLLIN | POLLOUT, 0), POLLOUT);
	peer_write(f->peer, "x", 1);
	CHECK_EV(poll_one(f->fd, POLLIN, WAIT_MS), POLLIN);
	CHECK_EV(poll_one(f->fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EV(poll_one(f->fd, POLLIN, 0), 0);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(poll_one(f->fd, POLLIN | POLLRDHUP, WAIT_MS),
		 POLLIN | POLLRDHUP);
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_EV(poll_one(f->fd, 0, WAIT_MS), POLLHUP);
}

static void t_reset(struct fix *f)
{
	net_reset(f->peer);
	f->peer = -1;
	CHECK_EV(poll_one(f->fd, POLLIN, WAIT_MS),
		 POLLIN | POLLERR | POLLHUP);
}

static void t_full(struct fix *f)
{
	server_fill(f->fd, 64 << 20);
	UNTIL(poll_one(f->fd, POLLOUT, 0) == 0);
	CHECK_EV(poll_one(f->fd, POLLOUT, 20), 0);
}

static void t_mixed(struct fix *f)
{
	int ends[2];
	struct pollfd pfd[5];
	char byte;

	MUST(pipe(ends));
	pfd[0] = (struct pollfd){ f->fd, POLLIN, -1 };
	pfd[1] = (struct pollfd){ ends[0], POLLIN, -1 };
	pfd[2] = (struct pollfd){ -1, POLLIN, -1 };
	pfd[3] = (struct pollfd){ 1000, POLLIN, -1 };
	pfd[4] = (struct pollfd){ f->lfd, POLLIN, -1 };
	CHECK_EQ(MUST(poll(pfd, 5, WAIT_MS)), 1);
	CHECK_EV(pfd[3].revents, POLLNVAL);
	CHECK_EV(pfd[0].revents | pfd[1].revents | pfd[2].revents, 0);
	pfd[3].fd = -1;
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EQ(MUST(poll(pfd, 5, WAIT_MS)), 1);
	CHECK_EV(pfd[1].revents, POLLIN);
	peer_write(f->peer, "x", 1);
	UNTIL(MUST(poll(pfd, 5, 10)) == 2);
	CHECK_EV(pfd[0].revents, POLLIN);
	CHECK_EV(pfd[1].revents, POLLIN);
	CHECK_EQ(read(ends[0], &byte, 1), 1);
	CHECK_EQ(MUST(__poll_chk(pfd, 5, 0, sizeof(pfd))), 1);
	CHECK_EV(pfd[0].revents, POLLIN);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static void t_timeout(struct fix *f)
{
	struct timespec ts = { .tv_nsec = 30 * 1000000 };
	struct timeval tv = { .tv_usec = 30000 };
	struct pollfd pfd = { .fd = f->fd, .events = POLLIN };
	long long start = tap_now_us();
	fd_set set;

	CHECK_EQ(MUST(poll(&pfd, 1, 30)), 0);
	CHECK_EQ(MUST(ppoll(&pfd, 1, &ts, NULL)), 0);
	FD_ZERO(&set);
	FD_SET(f->fd, &set);
	CHECK_EQ(MUST(select(f->fd + 1, &set, NULL, NULL, &tv)), 0);
	CHECK(!FD_ISSET(f->fd, &set));
	/* Linux writes back what was left of the time. */
	CHECK_EQ(tv.tv_sec + tv.tv_usec, 0);
	FD_SET(f->fd, &set);
	CHECK_EQ(MUST(pselect(f->fd + 1, &set, NULL, NULL, &ts, NULL)), 0);
	CHECK_EQ(ts.tv_nsec, 30 * 1000000);
	CHECK(tap_now_us() - start >= 120000);
	CHECK(tap_now_us() - start < 4000000);
}

static void t_select(struct fix *f)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	fd_set in, out;
	int ends[2], max;

	MUST(pipe(ends));
	max = (f->fd > ends[1] ? f->fd : ends[1]) + 1;
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(f->fd, &in);
	FD_SET(ends[0], &in);
	FD_SET(f->fd, &out);
	CHECK_EQ(MUST(select(max, &in, &out, NULL, &tv)), 1);
	CHECK(FD_ISSET(f->fd, &out) && !FD_ISSET(f->fd, &in));
	peer_write(f->peer, "x", 1);
	CHECK_EV(poll_one(f->fd, POLLIN, WAIT_MS), POLLIN);
	CHECK_EQ(write(ends[1], "x", 1), 1);
	FD_SET(f->fd, &in);
	FD_SET(ends[0], &in);
	FD_SET(f->fd, &out);
	CHECK_EQ(MUST(select(max, &in, &out, NULL, &tv)), 3);
	CHECK(FD_ISSET(f->fd, &in) && FD_ISSET(ends[0], &in));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

struct poke {
	pid_t tid;
	int fd;
};

static void *poke_when_asleep(void *arg)
{
	struct poke *p = arg;

	thread_asleep(p->tid);
	peer_write(p->fd, "x", 1);
	return NULL;
}

static void t_wakes(struct fix *f)
{
	struct poke p = { .tid = syscall(SYS_gettid), .fd = f->peer };
	pthread_t thread = thread_start(poke_when_asleep, &p);
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	fd_set set;
	char byte;

	CHECK_EV(poll_one(f->fd, POLLIN, -1), POLLIN);
	thread_join(thread);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	thread = thread_start(poke_when_asleep, &p);
	FD_ZERO(&set);
	FD_SET(f->fd, &set);
	CHECK_EQ(MUST(select(f->fd + 1, &set, NULL, NULL, &tv)), 1);
	thread_join(thread);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	/* The set that it is in works as before. */
	peer_write(f->peer, "y", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

/* Bytes written before poll() must not wait behind it. */
static void *answer(void *arg)
{
	int fd = *(int *)arg;

	peer_expect(fd, "question");
	peer_write(fd, "answer", 6);
	return NULL;
}

static void t_request_reply(struct fix *f)
{
	pthread_t thread = thread_start(answer, &f->peer);
	char buf[8];

	CHECK_EQ(send(f->fd, "question", 8, 0), 8);
	CHECK_EV(poll_one(f->fd, POLLIN, WAIT_MS), POLLIN);
	CHECK_EQ(recv(f->fd, buf, 8, 0), 6);
	thread_join(thread);
}

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static void t_ppoll_mask(struct fix *f)
{
	struct sigaction sa = { .sa_handler = on_signal,
				.sa_flags = SA_RESTART };
	struct pollfd pfd = { .fd = f->fd, .events = POLLIN };
	sigset_t set, none;

	handled = 0;
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigaction(SIGUSR1, &sa, NULL));
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	raise(SIGUSR1);
	CHECK_ERRNO(ppoll(&pfd, 1, NULL, &none), EINTR);
	CHECK_EQ(handled, 1);
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
}

static const struct net_case cases[] = {
	{ "poll() through the life of a connection", t_poll, BOTH },
	{ "poll() after a reset", t_reset, BOTH },
	{ "poll() with a full buffer", t_full, BOTH },
	{ "poll() over several kinds, -1 and a closed number", t_mixed,
	  BOTH },
	{ "timeouts of poll, ppoll, select, pselect", t_timeout, BOTH },
	{ "select()", t_select, BOTH },
	{ "asleep and woken", t_wakes, BOTH },
	{ "written, then poll() for the answer", t_request_reply, BOTH },
	{ "ppoll() and a pending signal", t_ppoll_mask, BOTH },
};

NET_MAIN(cases)
