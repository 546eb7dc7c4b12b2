/* SPDX-License-Identifier: MIT */
/*
 * Description: a loop's thread is blocked; others use its connections.
 */
#include "../lib/net.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first thread waits in a join until the second is done. */
static void blocked(struct fix *f, void *(*run)(void *))
{
	thread_join(thread_start(run, f));
}

static void *reads(void *arg)
{
	struct fix *f = arg;
	char buf[16];
	int n;

	CHECK_ERRNO(recv(f->fd, buf, 1, 0), EAGAIN);
	peer_write(f->peer, "hello", 5);
	MUST(ioctl(f->fd, FIONREAD, &n));
	CHECK_EQ(n, 5);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 5);
	CHECK_MEM(buf, "hello", 5);
	return NULL;
}

static void t_reads(struct fix *f)
{
	blocked(f, reads);
	server_write(f->ep, f->fd, "x", 1);
	peer_expect(f->peer, "x");
}

static void *sends(void *arg)
{
	struct fix *f = arg;

	CHECK_EQ(send(f->fd, "now", 3, 0), 3);
	peer_expect(f->peer, "beforenow");
	return NULL;
}

static void t_sends(struct fix *f)
{
	CHECK_EQ(send(f->fd, "before", 6, 0), 6);
	blocked(f, sends);
}

static void *shuts(void *arg)
{
	struct fix *f = arg;

	MUST(shutdown(f->fd, SHUT_WR));
	peer_eof(f->peer);
	return NULL;
}

static void t_shuts(struct fix *f)
{
	blocked(f, shuts);
}

static void *closes(void *arg)
{
	struct fix *f = arg;

	MUST(close(f->fd));
	peer_eof(f->peer);
	return NULL;
}

static void t_closes(struct fix *f)
{
	blocked(f, closes);
	f->fd = -1;
}

static void *closes_unread(void *arg)
{
	struct fix *f = arg;
	char byte;

	MUST(close(f->fd));
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
	return NULL;
}

static void t_closes_unread(struct fix *f)
{
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	blocked(f, closes_unread);
	f->fd = -1;
}

/* A reset, as it was asked for; and the number is taken by another file. */
static void *closes_linger(void *arg)
{
	struct linger rst = { .l_onoff = 1 };
	struct fix *f = arg;
	char byte;

	MUST(setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)));
	CHECK_EQ(dup2(f->lfd, f->fd), f->fd);
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
	MUST(close(f->fd));
	return NULL;
}

static void t_closes_linger(struct fix *f)
{
	blocked(f, closes_linger);
	f->fd = -1;
}

static void *polls(void *arg)
{
	struct fix *f = arg;
	struct pollfd p = { .fd = f->fd, .events = POLLIN | POLLOUT };
	char buf[8];

	CHECK_EQ(MUST(poll(&p, 1, 0)), 1);
	CHECK_EV(p.revents, POLLOUT);
	peer_write(f->peer, "hello", 5);
	p.events = POLLIN;
	CHECK_EQ(MUST(poll(&p, 1, WAIT_MS)), 1);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 5);
	return NULL;
}

static void t_polls(struct fix *f)
{
	blocked(f, polls);
}

/* Added to a set of its own, with bytes unread by the first. */
static void *own_set(void *arg)
{
	struct fix *f = arg;
	int ep = MUST(epoll_create1(0));
	char buf[8];

	set_add(ep, f->fd, EPOLLIN | EPOLLET);
	CHECK_EV(set_next(ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, 3, 0), 3);
	CHECK_MEM(buf, "unr", 3);
	CHECK_EV(set_next(ep, f->fd, 0), 0);
	peer_write(f->peer, "more", 4);
	CHECK_EV(set_next(ep, f->fd, WAIT_MS), EPOLLIN);
	server_read(ep, f->fd, buf, 7);
	CHECK_MEM(buf, "eadmore", 7);
	MUST(close(ep));
	return NULL;
}

static void t_own_set(struct fix *f)
{
	char byte;

	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	blocked(f, own_set);
	/* The first set goes on, too. */
	peer_write(f->peer, "z", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* Bytes that the first thread has, and more behind them: one read takes all. */
static void *reads_behind(void *arg)
{
	struct fix *f = arg;
	char buf[16];

	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	peer_write(f->peer, "more", 4);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), MSG_PEEK), 10);
	CHECK_MEM(buf, "unreadmore", 10);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 10);
	CHECK_MEM(buf, "unreadmore", 10);
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	return NULL;
}

static void t_reads_behind(struct fix *f)
{
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	blocked(f, reads_behind);
}

/* The listener: a connection is waiting when the second thread comes. */
static void *accepts(void *arg)
{
	struct fix *f = arg;
	struct stat st;

	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	CHECK_EQ(fstat(f->fd, &st), 0);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EAGAIN);
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	return NULL;
}

static void t_accepts(struct fix *f)
{
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	blocked(f, accepts);
	set_add(f->ep, f->fd, EPOLLIN);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

struct setter {
	struct fix *f;
	sem_t seen;
	_Atomic pid_t tid;
	_Atomic bool done;
};

/* The owner is neither in its loop nor blocked when it is asked for. */
static void *sets(void *arg)
{
	struct setter *s = arg;
	int on = 1;

	s->f->fd = MUST(accept4(s->f->lfd, NULL, NULL, SOCK_NONBLOCK));
	s->tid = gettid();
	MUST(setsockopt(s->f->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	s->done = true;
	while (sem_wait(&s->seen))
		;
	return NULL;
}

static void t_sets(struct fix *f)
{
	struct setter s = { .f = f };
	pthread_t other;
	int i, fd, peer;

	for (i = 0; i < 32; i++) {
		fd = server_accept(f, &peer, EPOLLIN);
		MUST(close(peer));
		MUST(close(fd));
	}
	MUST(sem_init(&s.seen, 0, 0));
	f->peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	other = thread_start(sets, &s);
	while (!s.tid)
		;
	while (!s.done && !thread_is_asleep(s.tid))
		;
	MUST(sem_post(&s.seen));
	thread_join(other);
	MUST(sem_destroy(&s.seen));
	set_add(f->ep, f->fd, EPOLLIN);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static const struct net_case cases[] = {
	{ "reads", t_reads, BOTH },
	{ "reads behind what the loop has", t_reads_behind, BOTH },
	{ "sends, read by the same thread", t_sends, BOTH },
	{ "shuts down", t_shuts, BOTH },
	{ "closes", t_closes, BOTH },
	{ "closes with bytes unread", t_closes_unread, BOTH },
	{ "replaces it by another, with SO_LINGER", t_closes_linger, BOTH },
	{ "polls", t_polls, BOTH },
	{ "adds it to a set of its own", t_own_set, BOTH },
	{ "accepts what was waiting", t_accepts, BOTH | NOCONN },
	{ "accepts it and sets an option", t_sets, BOTH | NOCONN },
};

NET_MAIN(cases)
