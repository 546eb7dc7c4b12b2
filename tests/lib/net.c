/* SPDX-License-Identifier: MIT */
/*
 * Description: the case runner, the server under test and its plain peer.
 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

int net_fd_slack = 64;

void net_timeouts(int fd)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };

	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
}

void net_nonblock(int fd, bool on)
{
	int flags = MUST(fcntl(fd, F_GETFL));

	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	MUST(fcntl(fd, F_SETFL, flags));
}

void net_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	MUST(close(fd));
}

int net_listen(struct sockaddr_in *addr, int backlog)
{
	socklen_t len = sizeof(*addr);
	int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));

	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(fd, (struct sockaddr *)addr, sizeof(*addr)));
	MUST(listen(fd, backlog));
	MUST(getsockname(fd, (struct sockaddr *)addr, &len));
	return fd;
}

bool net_interrupted;

static int connect_to(int fd, const struct sockaddr_in *addr)
{
	int err, ret = connect(fd, (const struct sockaddr *)addr,
			       sizeof(*addr));
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(err);

	if (ret == 0 || errno != EINTR || !net_interrupted)
		return ret;
	/* It goes on, and poll(2) says when it has ended. */
	while (poll(&p, 1, WAIT_MS) < 0 && errno == EINTR)
		;
	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	errno = err;
	return err ? -1 : 0;
}

int net_client(const struct sockaddr_in *addr)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	net_timeouts(fd);
	MUST(connect_to(fd, addr));
	return fd;
}

void server_open(struct fix *f)
{
	f->lfd = net_listen(&f->addr, 128);
	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->lfd, EPOLLIN);
}

int server_accept(struct fix *f, int *peer, uint32_t events)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd;

	*peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	fd = MUST(accept4(f->lfd, (struct sockaddr *)&from, &len,
			  SOCK_NONBLOCK));
	if (events)
		set_add(f->ep, fd, events);
	return fd;
}

void server_warm(struct fix *f)
{
	char byte;
	int fd, peer;

	for (int i = 0; i < 4; i++) {
		fd = server_accept(f, &peer, EPOLLIN);
		peer_write(peer, "w", 1);
		server_read(f->ep, fd, &byte, 1);
		server_write(f->ep, fd, &byte, 1);
		peer_read(peer, &byte, 1);
		CHECK_EQ(byte, 'w');
		/* Both orders of closing. */
		if (i & 1) {
			MUST(close(fd));
			peer_eof(peer);
			MUST(close(peer));
		} else {
			MUST(close(peer));
			CHECK_EQ(server_drain_eof(f->ep, fd), 0);
			MUST(close(fd));
		}
	}
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void server_close(struct fix *f)
{
	close_one(&f->peer);
	close_one(&f->fd);
	close_one(&f->lfd);
	close_one(&f->ep);
}

struct net_run {
	const struct net_case *nc;
	bool warm;
	struct fix f;
};

static void run_one(void *arg)
{
	struct net_run *r = arg;
	struct fix *f = &r->f;

	if (!(r->nc->how & BARE)) {
		server_open(f);
		if (r->warm)
			server_warm(f);
		if (!(r->nc->how & NOCONN)) {
			f->fd = server_accept(f, &f->peer, EPOLLIN);
			/* One turn of the loop: nothing is ready yet. */
			CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		}
	}
	r->nc->run(f);
}

static void run_how(const struct net_case *nc, bool warm)
{
	struct net_run r = {
		.nc = nc,
		.warm = warm,
		.f = { .lfd = -1, .ep = -1, .fd = -1, .peer = -1 },
	};
	const char *how = warm ? " (warm)" : " (cold)";

	if (nc->how & BARE)
		how = "";
	tap_case(nc->what, how, run_one, &r);
	/* They still use what the failed case had on its stack. */
	if (thread_count())
		tap_bail_out("threads of a failed case are left behind");
	server_close(&r.f);
}

static void check_leaks(void *arg)
{
	int before = *(int *)arg, after = tap_count_fds();

	if (tap_preloaded())
		CHECK(after <= before + net_fd_slack);
	else
		CHECK_EQ(after, before);
}

int net_main(const struct net_case *cases, size_t count)
{
	int plan = 1, fds;

	for (size_t i = 0; i < count; i++)
		plan += cases[i].how & BARE ? 1
			: !!(cases[i].how & COLD) + !!(cases[i].how & WARM);
	tap_plan(plan);
	fds = tap_count_fds();
	for (size_t i = 0; i < count; i++) {
		if (cases[i].how & (COLD | BARE))
			run_how(&cases[i], false);
		if (cases[i].how & WARM)
			run_how(&cases[i], true);
	}
	tap_case("no descriptor leaked", "", check_leaks, &fds);
	return tap_result();
}
