/* SPDX-License-Identifier: MIT */
/*
 * Description: a connection turned to blocking works by sleeping, and back.
 */
#include "../lib/net.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

struct poke {
	pid_t tid;
	int fd;
	bool shut;
};

static void *poke_when_asleep(void *arg)
{
	struct poke *p = arg;

	thread_asleep(p->tid);
	if (p->shut)
		MUST(shutdown(p->fd, SHUT_WR));
	else
		peer_write(p->fd, "late", 4);
	return NULL;
}

static void make_blocking(struct fix *f)
{
	net_nonblock(f->fd, false);
	net_timeouts(f->fd);
}

static void t_recv_sleeps(struct fix *f)
{
	struct poke p = { .tid = syscall(SYS_gettid), .fd = f->peer };
	pthread_t thread;
	char buf[8];

	make_blocking(f);
	thread = thread_start(poke_when_asleep, &p);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 4);
	CHECK_MEM(buf, "late", 4);
	thread_join(thread);
	CHECK_ERRNO(recv(f->fd, buf, 1, MSG_DONTWAIT), EAGAIN);
}

static void t_read_sees_eof(struct fix *f)
{
	struct poke p = { .tid = syscall(SYS_gettid), .fd = f->peer,
			  .shut = true };
	pthread_t thread;
	char buf[8];

	make_blocking(f);
	thread = thread_start(poke_when_asleep, &p);
	CHECK_EQ(read(f->fd, buf, sizeof(buf)), 0);
	thread_join(thread);
}

/* Bytes that came before the switch are first. */
static void t_pending(struct fix *f)
{
	struct poke p = { .tid = syscall(SYS_gettid), .fd = f->peer };
	pthread_t thread;
	char buf[8];

	peer_write(f->peer, "early", 5);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	make_blocking(f);
	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 5);
	CHECK_MEM(buf, "early", 5);
	peer_write(f->peer, "half", 4);
	thread = thread_start(poke_when_asleep, &p);
	CHECK_EQ(recv(f->fd, buf, 8, MSG_WAITALL), 8);
	CHECK_MEM(buf, "halflate", 8);
	thread_join(thread);
}

static void t_timeout(struct fix *f)
{
	struct timeval tv = { .tv_usec = 50000 };
	long long start = tap_now_us();
	char byte;

	net_nonblock(f->fd, false);
	MUST(setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EAGAIN);
	CHECK(tap_now_us() - start >= 40000);
	CHECK(tap_now_us() - start < 2000000);
}

static void t_large_send(struct fix *f)
{
	static char buf[4 << 20];
	struct peer_reader r;

	make_blocking(f);
	bytes_fill(buf, sizeof(buf), 0);
	peer_reader_start(&r, f->peer, false);
	CHECK_EQ(write(f->fd, buf, sizeof(buf)), sizeof(buf));
	MUST(shutdown(f->fd, SHUT_WR));
	peer_reader_expect(&r, sizeof(buf));
}

/* Writes before, during and after the blocking time keep their order. */
static void t_and_back(struct fix *f)
{
	char buf[8];
	int on = 1, off = 0;

	for (int i = 0; i < 5; i++) {
		CHECK_EQ(send(f->fd, "1", 1, 0), 1);
		MUST(ioctl(f->fd, FIONBIO, &off));
		CHECK_EQ(send(f->fd, "2", 1, 0), 1);
		MUST(ioctl(f->fd, FIONBIO, &on));
		CHECK_EQ(send(f->fd, "3", 1, 0), 1);
		peer_expect(f->peer, "123");
		CHECK_ERRNO(recv(f->fd, buf, 1, 0), EAGAIN);
		peer_write(f->peer, "ping", 4);
		server_read(f->ep, f->fd, buf, 4);
	}
}

/* A blocking connection may stay in its set. */
static void t_in_set(struct fix *f)
{
	char buf[8];

	make_blocking(f);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	for (int i = 0; i < 5; i++) {
		peer_write(f->peer, "ping", 4);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), 4);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		CHECK_EQ(send(f->fd, "pong", 4, 0), 4);
		peer_expect(f->peer, "pong");
	}
}

/* accept() on a listener turned to blocking sleeps as well. */
static void *connect_when_asleep(void *arg)
{
	struct fix *f = arg;

	thread_asleep(getpid());
	f->peer = net_client(&f->addr);
	return NULL;
}

static void t_accept_sleeps(struct fix *f)
{
	pthread_t thread;

	net_nonblock(f->lfd, false);
	net_timeouts(f->lfd);
	thread = thread_start(connect_when_asleep, f);
	f->fd = MUST(accept(f->lfd, NULL, NULL));
	thread_join(thread);
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	peer_expect(f->peer, "x");
}

static const struct net_case cases[] = {
	{ "recv() sleeps until data comes", t_recv_sleeps, BOTH },
	{ "read() sleeps until EOF", t_read_sees_eof, BOTH },
	{ "bytes from before the switch; MSG_WAITALL", t_pending, BOTH },
	{ "SO_RCVTIMEO", t_timeout, BOTH },
	{ "write() of 4 MiB takes all", t_large_send, BOTH },
	{ "to blocking and back", t_and_back, BOTH },
	{ "blocking, and still in the set", t_in_set, BOTH },
	{ "accept() sleeps", t_accept_sleeps, BOTH | NOCONN },
};

NET_MAIN(cases)
