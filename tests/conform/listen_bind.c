/* SPDX-License-Identifier: MIT */
/*
 * Description: bind() and listen(): again, with 0, unbound, in use, errno.
 */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int do_bind(int fd, const struct sockaddr_in *sa)
{
	return bind(fd, (const struct sockaddr *)sa, sizeof(*sa));
}

static int new_socket(void)
{
	return MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
}

static unsigned short port_of(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	MUST(getsockname(fd, (struct sockaddr *)&sa, &len));
	return sa.sin_port;
}

static void serve_one(struct fix *f)
{
	int peer, fd = server_accept(f, &peer, EPOLLIN);
	char byte;

	peer_write(peer, "x", 1);
	server_read(f->ep, fd, &byte, 1);
	MUST(close(fd));
	peer_eof(peer);
	MUST(close(peer));
}

/* The kernel picks a port, on all addresses. */
static void t_unbound(struct fix *f)
{
	f->lfd = new_socket();
	f->ep = MUST(epoll_create1(0));
	CHECK_EQ(port_of(f->lfd), 0);
	MUST(listen(f->lfd, 16));
	f->addr = loopback();
	f->addr.sin_port = port_of(f->lfd);
	CHECK(f->addr.sin_port != 0);
	set_add(f->ep, f->lfd, EPOLLIN);
	for (int i = 0; i < 4; i++)
		serve_one(f);
}

static void t_bind_again(struct fix *f)
{
	struct sockaddr_in sa = loopback();
	int fd = new_socket();

	MUST(do_bind(fd, &sa));
	CHECK_ERRNO(do_bind(fd, &sa), EINVAL);
	CHECK_ERRNO(do_bind(f->lfd, &sa), EINVAL);
	CHECK_ERRNO(do_bind(f->fd, &sa), EINVAL);
	MUST(close(fd));
	serve_one(f);
}

static void t_in_use(struct fix *f)
{
	int fd = new_socket(), on = 1;

	CHECK_ERRNO(do_bind(fd, &f->addr), EADDRINUSE);
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK_ERRNO(do_bind(fd, &f->addr), EADDRINUSE);
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	CHECK_ERRNO(do_bind(fd, &f->addr), EADDRINUSE);
	MUST(close(fd));
	serve_one(f);
}

/* The port is free again at once, while connections of it live on. */
static void t_port_again(struct fix *f)
{
	int on = 1, fd;
	char byte;

	MUST(setsockopt(f->lfd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	fd = server_accept(f, &f->peer, EPOLLIN);
	MUST(close(f->lfd));
	f->lfd = new_socket();
	MUST(setsockopt(f->lfd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	MUST(do_bind(f->lfd, &f->addr));
	MUST(listen(f->lfd, 16));
	set_add(f->ep, f->lfd, EPOLLIN);
	for (int i = 0; i < 3; i++)
		serve_one(f);
	peer_write(f->peer, "x", 1);
	server_read(f->ep, fd, &byte, 1);
	MUST(close(fd));
}

/* Only the backlog changes; what is queued stays. */
static void t_listen_again(struct fix *f)
{
	static const int backlog[] = { 1, 200, 0, -1, 1 << 30, 16 };

	for (size_t i = 0; i < ARRAY_SIZE(backlog); i++) {
		int peer = net_client(&f->addr), fd;

		MUST(listen(f->lfd, backlog[i]));
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
		fd = MUST(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK));
		MUST(listen(f->lfd, backlog[i]));
		CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
		CHECK_ERRNO(accept(f->lfd, NULL, NULL), EAGAIN);
		MUST(close(fd));
		peer_eof(peer);
		MUST(close(peer));
		serve_one(f);
	}
}

static void t_zero_backlog(struct fix *f)
{
	f->lfd = net_listen(&f->addr, 0);
	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->lfd, EPOLLIN);
	for (int i = 0; i < 4; i++)
		serve_one(f);
}

static void t_reuseport(struct fix *f)
{
	int a = new_socket(), b = new_socket(), on = 1, served = 0;
	struct sockaddr_in sa = loopback();
	struct fix g = *f;

	MUST(setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	MUST(setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	MUST(do_bind(a, &sa));
	sa.sin_port = port_of(a);
	MUST(do_bind(b, &sa));
	MUST(listen(a, 16));
	MUST(listen(b, 16));
	g.ep = MUST(epoll_create1(0));
	set_add(g.ep, a, EPOLLIN);
	set_add(g.ep, b, EPOLLIN);
	for (int i = 0; i < 8; i++) {
		int peer = net_client(&sa), fd = -1;
		struct epoll_event ev;

		CHECK_EQ(epoll_wait(g.ep, &ev, 1, WAIT_MS), 1);
		CHECK(ev.data.fd == a || ev.data.fd == b);
		fd = MUST(accept4(ev.data.fd, NULL, NULL, SOCK_NONBLOCK));
		served++;
		MUST(close(fd));
		peer_eof(peer);
		MUST(close(peer));
	}
	CHECK_EQ(served, 8);
	MUST(close(a));
	MUST(close(b));
	MUST(close(g.ep));
}

static void t_listen_errno(struct fix *f)
{
	int udp = MUST(socket(AF_INET, SOCK_DGRAM, 0)), ends[2];

	MUST(pipe(ends));
	CHECK_ERRNO(listen(f->fd, 1), EINVAL);
	CHECK_ERRNO(listen(f->peer, 1), EINVAL);
	CHECK_ERRNO(listen(udp, 1), EOPNOTSUPP);
	CHECK_ERRNO(listen(ends[0], 1), ENOTSOCK);
	CHECK_ERRNO(listen(f->ep, 1), ENOTSOCK);
	CHECK_ERRNO(listen(-1, 1), EBADF);
	MUST(close(udp));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_accept_errno(struct fix *f)
{
	int udp = MUST(socket(AF_INET, SOCK_DGRAM, 0)), fd = new_socket();
	int ends[2];

	MUST(pipe(ends));
	CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
	CHECK_ERRNO(accept(f->fd, NULL, NULL), EINVAL);
	CHECK_ERRNO(accept(f->peer, NULL, NULL), EINVAL);
	CHECK_ERRNO(accept4(f->fd, NULL, NULL, SOCK_NONBLOCK), EINVAL);
	CHECK_ERRNO(accept(udp, NULL, NULL), EOPNOTSUPP);
	CHECK_ERRNO(accept(ends[0], NULL, NULL), ENOTSOCK);
	CHECK_ERRNO(accept(f->ep, NULL, NULL), ENOTSOCK);
	CHECK_ERRNO(accept(-1, NULL, NULL), EBADF);
	MUST(close(udp));
	MUST(close(fd));
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static void t_bind_errno(struct fix *f)
{
	struct sockaddr_in sa = loopback();
	int fd = new_socket();

	CHECK_ERRNO(bind(fd, (struct sockaddr *)&sa, 4), EINVAL);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&sa, 4096), EINVAL);
	CHECK_ERRNO(bind(fd, NULL, sizeof(sa)), EFAULT);
	sa.sin_family = AF_INET6;
	CHECK_ERRNO(do_bind(fd, &sa), EAFNOSUPPORT);
	sa = loopback();
	/* A network for documentation: no machine has it. */
	sa.sin_addr.s_addr = htonl(0xc0000201);
	CHECK_ERRNO(do_bind(fd, &sa), EADDRNOTAVAIL);
	CHECK_ERRNO(do_bind(f->ep, &sa), ENOTSOCK);
	CHECK_ERRNO(do_bind(-1, &sa), EBADF);
	MUST(close(fd));
}

static void t_socket_errno(struct fix *f)
{
	int fd;

	CHECK_ERRNO(socket(AF_MAX + 1, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM | 0x100, 0), EINVAL);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP),
		    EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			 IPPROTO_TCP));
	CHECK_EQ(MUST(fcntl(fd, F_GETFL)), O_RDWR | O_NONBLOCK);
	CHECK_EQ(MUST(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	MUST(close(fd));
}

static const struct net_case cases[] = {
	{ "listen() unbound picks a port", t_unbound, BARE },
	{ "bind() again: EINVAL", t_bind_again, BOTH },
	{ "a port in use: EADDRINUSE", t_in_use, BOTH },
	{ "the port of a closed listener", t_port_again, COLD | NOCONN },
	{ "listen() again, any backlog", t_listen_again, BOTH | NOCONN },
	{ "listen() with 0", t_zero_backlog, BARE },
	{ "two with SO_REUSEPORT in one set", t_reuseport, BARE },
	{ "errno of listen()", t_listen_errno, BOTH },
	{ "errno of accept()", t_accept_errno, BOTH },
	{ "errno of bind()", t_bind_errno, BOTH },
	{ "errno of socket()", t_socket_errno, BARE },
};

NET_MAIN(cases)
