/* SPDX-License-Identifier: MIT */
/*
 * Description: what epoll (level-triggered) says in every state of a socket.
 *
 * One case per row of the readiness table in the design; each state is also
 * asked for twice, since a level must not change by being reported.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP)
#define GONE (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP)

static void expect(int ep, int fd, uint32_t want)
{
	CHECK_EV(set_until(ep, fd, want), want);
	CHECK_EV(set_next(ep, fd, 0), want);
}

static void watch(struct fix *f)
{
	set_mod(f->ep, f->fd, ALL);
}

static void t_fresh(struct fix *f)
{
	f->ep = MUST(epoll_create1(0));
	f->fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	set_add(f->ep, f->fd, ALL);
	expect(f->ep, f->fd, EPOLLOUT | EPOLLHUP);
}

static void t_bound(struct fix *f)
{
	struct sockaddr_in any = { .sin_family = AF_INET };

	f->ep = MUST(epoll_create1(0));
	f->fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	MUST(bind(f->fd, (struct sockaddr *)&any, sizeof(any)));
	set_add(f->ep, f->fd, ALL);
	expect(f->ep, f->fd, EPOLLOUT | EPOLLHUP);
}

static void t_listening(struct fix *f)
{
	set_mod(f->ep, f->lfd, ALL);
	expect(f->ep, f->lfd, 0);
	f->peer = net_client(&f->addr);
	expect(f->ep, f->lfd, EPOLLIN);
	f->fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
	expect(f->ep, f->lfd, 0);
}

/* Backlog 0 holds one connection; the next SYN is dropped unanswered. */
static void t_connecting(struct fix *f)
{
	f->lfd = net_listen(&f->addr, 0);
	f->peer = net_client(&f->addr);
	f->ep = MUST(epoll_create1(0));
	f->fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), EINPROGRESS);
	set_add(f->ep, f->fd, ALL);
	expect(f->ep, f->fd, 0);
}

static void t_idle(struct fix *f)
{
	watch(f);
	expect(f->ep, f->fd, EPOLLOUT);
}

static void t_data(struct fix *f)
{
	watch(f);
	peer_write(f->peer, "x", 1);
	expect(f->ep, f->fd, EPOLLIN | EPOLLOUT);
}

static void t_peer_fin(struct fix *f)
{
	watch(f);
	MUST(shutdown(f->peer, SHUT_WR));
	expect(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void t_data_fin(struct fix *f)
{
	char byte;

	watch(f);
	peer_write(f->peer, "x", 1);
	MUST(shutdown(f->peer, SHUT_WR));
	expect(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	expect(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void t_shut_wr(struct fix *f)
{
	watch(f);
	MUST(shutdown(f->fd, SHUT_WR));
	expect(f->ep, f->fd, EPOLLOUT);
}

static void t_shut_rd(struct fix *f)
{
	watch(f);
	MUST(shutdown(f->fd, SHUT_RD));
	expect(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void t_shut_both(struct fix *f)
{
	watch(f);
	MUST(shutdown(f->fd, SHUT_RDWR));
	expect(f->ep, f->fd, GONE);
}

static void t_both_fin(struct fix *f)
{
	watch(f);
	MUST(shutdown(f->peer, SHUT_WR));
	expect(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	MUST(shutdown(f->fd, SHUT_WR));
	expect(f->ep, f->fd, GONE);
}

static void t_reset(struct fix *f)
{
	char byte;

	watch(f);
	net_reset(f->peer);
	f->peer = -1;
	expect(f->ep, f->fd, GONE | EPOLLERR);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ECONNRESET);
	expect(f->ep, f->fd, GONE);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

/* With no interest at all, HUP and ERR still come. */
static void t_reset_unasked(struct fix *f)
{
	set_mod(f->ep, f->fd, 0);
	expect(f->ep, f->fd, 0);
	net_reset(f->peer);
	f->peer = -1;
	expect(f->ep, f->fd, EPOLLHUP | EPOLLERR);
}

static void t_refused(struct fix *f)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa), err_len = sizeof(int);
	int err = 0;

	/* A port that is taken and not listening: refused for sure. */
	f->lfd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(f->lfd, (struct sockaddr *)&sa, sizeof(sa)));
	MUST(getsockname(f->lfd, (struct sockaddr *)&sa, &len));
	f->ep = MUST(epoll_create1(0));
	f->fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&sa, sizeof(sa)),
		    EINPROGRESS);
	set_add(f->ep, f->fd, ALL);
	expect(f->ep, f->fd, GONE | EPOLLERR);
	MUST(getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &err, &err_len));
	CHECK_EQ(err, ECONNREFUSED);
	expect(f->ep, f->fd, GONE);
}

static void t_full(struct fix *f)
{
	size_t taken;
	char byte;

	watch(f);
	taken = server_fill(f->fd, 64 << 20);
	expect(f->ep, f->fd, 0);
	/* Data still shows while writing is blocked. */
	peer_write(f->peer, "x", 1);
	expect(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	for (size_t done = 0; done < taken;) {
		static char buf[1 << 16];

		done += MUST(recv(f->peer, buf, sizeof(buf), 0));
	}
	expect(f->ep, f->fd, EPOLLOUT);
}

static const struct net_case cases[] = {
	{ "fresh: OUT HUP", t_fresh, BARE },
	{ "bound: OUT HUP", t_bound, BARE },
	{ "listening: none, IN with one waiting", t_listening,
	  BOTH | NOCONN },
	{ "connecting: none", t_connecting, BARE },
	{ "connected, idle: OUT", t_idle, BOTH },
	{ "data to read: IN OUT", t_data, BOTH },
	{ "peer FIN: IN OUT RDHUP", t_peer_fin, BOTH },
	{ "data then peer FIN, also after EOF", t_data_fin, BOTH },
	{ "we shut WR: OUT", t_shut_wr, BOTH },
	{ "we shut RD: IN OUT RDHUP", t_shut_rd, BOTH },
	{ "we shut both: IN OUT RDHUP HUP", t_shut_both, BOTH },
	{ "both sides FIN: IN OUT RDHUP HUP", t_both_fin, BOTH },
	{ "RST: ERR until the failing read", t_reset, BOTH },
	{ "RST with no interest: HUP ERR", t_reset_unasked, BOTH },
	{ "refused: ERR until SO_ERROR is read", t_refused, BARE },
	{ "send buffer full: none, then OUT", t_full, BOTH },
};

NET_MAIN(cases)
