/* SPDX-License-Identifier: MIT */
/*
 * Description: a master listens and forks; its workers accept and serve.
 */
#include "../lib/net.h"

#include <unistd.h>

#define WORKERS 3
#define CLIENTS 30

/* Echo until the pipe of the master closes. */
static void worker(struct fix *f, int stop, uint32_t listen_events)
{
	int ep = MUST(epoll_create1(0));
	struct epoll_event ev[8];

	set_add(ep, f->lfd, listen_events);
	set_add(ep, stop, EPOLLIN);
	for (;;) {
		int n = MUST(epoll_wait(ep, ev, 8, WAIT_MS));

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;
			char buf[64];

			if (fd == stop)
				_exit(0);
			if (fd == f->lfd) {
				fd = accept4(f->lfd, NULL, NULL,
					     SOCK_NONBLOCK);
				/* Another worker was faster. */
				if (fd >= 0)
					set_add(ep, fd, EPOLLIN);
				continue;
			}
			ssize_t got = MUST(recv(fd, buf, sizeof(buf), 0));

			if (got == 0)
				MUST(close(fd));
			else
				CHECK_EQ(send(fd, buf, got, 0), got);
		}
	}
}

static void clients(struct fix *f)
{
	int peers[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		peers[i] = net_client(&f->addr);
	for (int r = 0; r < 3; r++) {
		for (int i = 0; i < CLIENTS; i++)
			peer_write(peers[i], "hello", 5);
		for (int i = 0; i < CLIENTS; i++)
			peer_expect(peers[i], "hello");
	}
	for (int i = 0; i < CLIENTS; i++) {
		MUST(shutdown(peers[i], SHUT_WR));
		peer_eof(peers[i]);
		MUST(close(peers[i]));
	}
}

static void run(struct fix *f, uint32_t listen_events)
{
	pid_t pids[WORKERS];
	int stop[2];

	MUST(pipe(stop));
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = MUST(fork());
		if (!pids[i]) {
			MUST(close(stop[1]));
			worker(f, stop[0], listen_events);
		}
	}
	clients(f);
	clients(f);
	MUST(close(stop[1]));
	for (int i = 0; i < WORKERS; i++)
		child_ok(pids[i]);
	MUST(close(stop[0]));
}

static void only_listen(struct fix *f)
{
	f->lfd = net_listen(&f->addr, 128);
}

static void t_shared(struct fix *f)
{
	only_listen(f);
	run(f, EPOLLIN);
}

static void t_exclusive(struct fix *f)
{
	only_listen(f);
	run(f, EPOLLIN | EPOLLEXCLUSIVE);
}

/* The master closes its listener: the workers keep the port open. */
static void t_master_closes(struct fix *f)
{
	pid_t pid;
	int stop[2];

	only_listen(f);
	MUST(pipe(stop));
	pid = MUST(fork());
	if (!pid) {
		MUST(close(stop[1]));
		worker(f, stop[0], EPOLLIN);
	}
	MUST(close(f->lfd));
	f->lfd = -1;
	clients(f);
	MUST(close(stop[1]));
	child_ok(pid);
	MUST(close(stop[0]));
	f->peer = MUST(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(connect(f->peer, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), ECONNREFUSED);
}

/* Clients that came between two generations are served by the next. */
static void t_generations(struct fix *f)
{
	int stop[2], early[5];
	pid_t pid;

	only_listen(f);
	for (int g = 0; g < 3; g++) {
		for (int i = 0; i < 5; i++) {
			early[i] = net_client(&f->addr);
			peer_write(early[i], "early", 5);
		}
		MUST(pipe(stop));
		pid = MUST(fork());
		if (!pid) {
			MUST(close(stop[1]));
			worker(f, stop[0], EPOLLIN);
		}
		for (int i = 0; i < 5; i++) {
			peer_expect(early[i], "early");
			MUST(close(early[i]));
		}
		clients(f);
		MUST(close(stop[1]));
		child_ok(pid);
		MUST(close(stop[0]));
	}
}

static const struct net_case cases[] = {
	{ "three workers, one listener", t_shared, BARE },
	{ "with EPOLLEXCLUSIVE", t_exclusive, BARE },
	{ "the master closes its listener", t_master_closes, BARE },
	{ "three generations, nothing queued is lost", t_generations,
	  BARE },
};

NET_MAIN(cases)
