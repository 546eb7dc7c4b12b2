/* SPDX-License-Identifier: MIT */
/*
 * Description: EPOLLEXCLUSIVE and plain listeners shared by processes.
 */
#include "../lib/net.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 3
#define CLIENTS 60

struct shared {
	_Atomic int ready, served[WORKERS], stop;
};

static struct shared *shared;

/* Accepts one connection a turn, or all there are, answers its number. */
static void work(struct fix *f, int me, uint32_t flags, bool all)
{
	int ep = MUST(epoll_create1(0)), fd;
	struct epoll_event ev;
	char id = 'A' + me;

	set_add(ep, f->lfd, EPOLLIN | flags);
	CHECK_EQ(MUST(epoll_wait(ep, &ev, 1, 0)), 0);
	shared->ready++;
	while (!shared->stop) {
		if (MUST(epoll_wait(ep, &ev, 1, 20)) == 0)
			continue;
		do {
			fd = accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK);
			if (fd < 0) {
				CHECK_EQ(errno, EAGAIN);
				break;
			}
			set_add(ep, fd, EPOLLIN);
			CHECK_EQ(send(fd, &id, 1, 0), 1);
			/* Before the client knows: it may have us killed. */
			shared->served[me]++;
			MUST(close(fd));
		} while (all);
	}
	_exit(0);
}

static void start(struct fix *f, pid_t *pids, uint32_t flags, bool all)
{
	memset(shared, 0, sizeof(*shared));
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = MUST(fork());
		if (!pids[i])
			work(f, i, flags, all);
	}
	UNTIL(shared->ready == WORKERS);
}

static void visit(struct fix *f)
{
	int peer = net_client(&f->addr);
	char id;

	peer_read(peer, &id, 1);
	CHECK(id >= 'A' && id < 'A' + WORKERS);
	peer_eof(peer);
	MUST(close(peer));
}

static void serve_all(struct fix *f, uint32_t flags, bool all)
{
	pid_t pids[WORKERS];
	int sum = 0;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	f->lfd = net_listen(&f->addr, 128);
	start(f, pids, flags, all);
	for (int i = 0; i < CLIENTS; i++)
		visit(f);
	/* One of them dies: the others go on, no client is lost. */
	MUST(kill(pids[0], SIGKILL));
	child_status(pids[0]);
	for (int i = 0; i < CLIENTS; i++)
		visit(f);
	shared->stop = 1;
	for (int i = 1; i < WORKERS; i++)
		child_ok(pids[i]);
	for (int i = 0; i < WORKERS; i++)
		sum += shared->served[i];
	CHECK_EQ(sum, 2 * CLIENTS);
	MUST(munmap(shared, sizeof(*shared)));
}

static void t_exclusive(struct fix *f)
{
	serve_all(f, EPOLLEXCLUSIVE, false);
}

static void t_exclusive_all(struct fix *f)
{
	serve_all(f, EPOLLEXCLUSIVE, true);
}

static void t_plain(struct fix *f)
{
	serve_all(f, 0, false);
}

static void t_edge(struct fix *f)
{
	serve_all(f, EPOLLET, true);
}

/* A burst: all wait in the queue before anyone looks. */
static void t_burst(struct fix *f)
{
	int peers[CLIENTS];
	pid_t pids[WORKERS];
	char id;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	f->lfd = net_listen(&f->addr, 128);
	start(f, pids, EPOLLEXCLUSIVE, false);
	for (int i = 0; i < CLIENTS; i++)
		peers[i] = net_client(&f->addr);
	for (int i = 0; i < CLIENTS; i++) {
		peer_read(peers[i], &id, 1);
		peer_eof(peers[i]);
		MUST(close(peers[i]));
	}
	shared->stop = 1;
	for (int i = 0; i < WORKERS; i++)
		child_ok(pids[i]);
	MUST(munmap(shared, sizeof(*shared)));
}

static const struct net_case cases[] = {
	{ "EPOLLEXCLUSIVE, one a turn", t_exclusive, BARE },
	{ "EPOLLEXCLUSIVE, until EAGAIN", t_exclusive_all, BARE },
	{ "without, one a turn", t_plain, BARE },
	{ "edge-triggered, until EAGAIN", t_edge, BARE },
	{ "a burst", t_burst, BARE },
};

NET_MAIN(cases)
