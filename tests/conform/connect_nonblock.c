/* SPDX-License-Identifier: MIT */
/*
 * Description: an outgoing non-blocking connection in an event loop.
 */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define GONE (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP)

/* The other end: a plain blocking listener, in no set. */
static int plain_listener(struct fix *f, int backlog)
{
	int fd = net_listen(&f->addr, backlog);

	net_nonblock(fd, false);
	net_timeouts(fd);
	return fd;
}

static int plain_accept(int lfd)
{
	int fd = MUST(accept(lfd, NULL, NULL));

	net_timeouts(fd);
	return fd;
}

static int so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

static int start_connect(struct fix *f)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));

	CHECK_ERRNO(connect(fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), EINPROGRESS);
	return fd;
}

/* f->fd is ours, f->peer the plain accepted end. */
static void connect_out(struct fix *f, uint32_t events)
{
	f->lfd = plain_listener(f, 16);
	f->ep = MUST(epoll_create1(0));
	f->fd = start_connect(f);
	set_add(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | events);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	CHECK_EQ(so_error(f->fd), 0);
	f->peer = plain_accept(f->lfd);
}

static void t_echo(struct fix *f)
{
	char buf[8];

	connect_out(f, 0);
	set_mod(f->ep, f->fd, EPOLLIN);
	for (int i = 0; i < 20; i++) {
		server_write(f->ep, f->fd, "ping", 4);
		peer_expect(f->peer, "ping");
		peer_write(f->peer, "pong", 4);
		server_read(f->ep, f->fd, buf, 4);
		CHECK_MEM(buf, "pong", 4);
	}
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
}

static void t_edge(struct fix *f)
{
	char byte;

	connect_out(f, EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	peer_expect(f->peer, "x");
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_write(f->peer, "y", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLOUT);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS),
		 EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

/* Added before connect(): HUP until the SYN is out. */
static void t_add_first(struct fix *f)
{
	f->lfd = plain_listener(f, 16);
	f->ep = MUST(epoll_create1(0));
	f->fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	set_add(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLET);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLOUT | EPOLLHUP);
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), EINPROGRESS);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	CHECK_EQ(so_error(f->fd), 0);
	f->peer = plain_accept(f->lfd);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN | EPOLLOUT);
}

static void refuse_port(struct fix *f)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa);

	/* Bound and not listening: the port refuses. */
	f->lfd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(f->lfd, (struct sockaddr *)&sa, sizeof(sa)));
	MUST(getsockname(f->lfd, (struct sockaddr *)&sa, &len));
	f->addr = sa;
	f->ep = MUST(epoll_create1(0));
	f->fd = start_connect(f);
	set_add(f->ep, f->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), GONE | EPOLLERR);
}

static void t_refused(struct fix *f)
{
	char byte;

	refuse_port(f);
	CHECK_EQ(so_error(f->fd), ECONNREFUSED);
	CHECK_EQ(so_error(f->fd), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), GONE);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void t_refused_by_call(struct fix *f)
{
	char byte;

	refuse_port(f);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ECONNREFUSED);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

/* After a refusal the same socket may try again. */
static void t_try_again(struct fix *f)
{
	refuse_port(f);
	CHECK_EQ(so_error(f->fd), ECONNREFUSED);
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), ECONNABORTED);
	MUST(listen(f->lfd, 4));
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), EINPROGRESS);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLOUT);
	net_timeouts(f->lfd);
	f->peer = plain_accept(f->lfd);
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_wait(f->ep, f->fd, EPOLLIN), EPOLLIN | EPOLLOUT);
}

/* Backlog 0 and one inside: our SYN is not answered. */
static void t_in_progress(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char byte;

	f->lfd = plain_listener(f, 0);
	f->peer = net_client(&f->addr);
	f->ep = MUST(epoll_create1(0));
	f->fd = start_connect(f);
	set_add(f->ep, f->fd, EPOLLIN | EPOLLOUT);
	CHECK_EV(set_next(f->ep, f->fd, 10), 0);
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), EALREADY);
	CHECK_ERRNO(send(f->fd, "x", 1, 0), EAGAIN);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), EAGAIN);
	CHECK_ERRNO(getpeername(f->fd, (struct sockaddr *)&sa, &len),
		    ENOTCONN);
	CHECK_EQ(so_error(f->fd), 0);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* connect() asked again: 0 once, then EISCONN. */
static void t_again(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	connect_out(f, 0);
	CHECK_EQ(connect(f->fd, (struct sockaddr *)&f->addr,
			 sizeof(f->addr)), 0);
	CHECK_ERRNO(connect(f->fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), EISCONN);
	MUST(getpeername(f->fd, (struct sockaddr *)&sa, &len));
	CHECK_MEM(&sa, &f->addr, sizeof(sa));
	CHECK_ERRNO(listen(f->fd, 1), EINVAL);
}

/* Written before the event that says connected: the bytes go out. */
static void t_write_early(struct fix *f)
{
	f->lfd = plain_listener(f, 16);
	f->ep = MUST(epoll_create1(0));
	f->fd = start_connect(f);
	set_add(f->ep, f->fd, EPOLLIN);
	UNTIL(send(f->fd, "early", 5, 0) == 5);
	f->peer = plain_accept(f->lfd);
	peer_expect(f->peer, "early");
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

/* A proxy: accepted on one side, connected out on the other. */
static void t_proxy(struct fix *f)
{
	struct fix up = { .lfd = -1, .ep = -1, .fd = -1, .peer = -1 };
	char buf[8];

	up.lfd = plain_listener(&up, 16);
	up.fd = start_connect(&up);
	set_add(f->ep, up.fd, EPOLLOUT);
	CHECK_EV(set_next(f->ep, up.fd, WAIT_MS), EPOLLOUT);
	set_mod(f->ep, up.fd, EPOLLIN);
	up.peer = plain_accept(up.lfd);
	for (int i = 0; i < 20; i++) {
		peer_write(f->peer, "get", 3);
		server_read(f->ep, f->fd, buf, 3);
		server_write(f->ep, up.fd, buf, 3);
		peer_expect(up.peer, "get");
		peer_write(up.peer, "got", 3);
		server_read(f->ep, up.fd, buf, 3);
		server_write(f->ep, f->fd, buf, 3);
		peer_expect(f->peer, "got");
	}
	server_close(&up);
}

static const struct net_case cases[] = {
	{ "EINPROGRESS, OUT, SO_ERROR 0, data both ways", t_echo, BARE },
	{ "by edge", t_edge, BARE },
	{ "added before connect()", t_add_first, BARE },
	{ "refused: ERR and HUP, SO_ERROR once", t_refused, BARE },
	{ "refused: recv() takes the error", t_refused_by_call, BARE },
	{ "refused, then connect() again", t_try_again, BARE },
	{ "in progress: EALREADY, EAGAIN, no event", t_in_progress, BARE },
	{ "connected: connect() once 0, then EISCONN", t_again, BARE },
	{ "a write before the event", t_write_early, BARE },
	{ "a proxy with both kinds", t_proxy, BOTH },
};

NET_MAIN(cases)
