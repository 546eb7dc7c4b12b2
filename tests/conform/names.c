/* SPDX-License-Identifier: MIT */
/*
 * Description: getsockname and getpeername of listeners and connections.
 */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One listener: where it is bound, where the client goes, what is seen. */
struct route {
	const char *bind_to, *connect_to;
	const char *local, *remote;
};

static void to_addr(const char *text, unsigned short port,
		    struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (strchr(text, ':')) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		CHECK_EQ(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		*len = sizeof(*in6);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		CHECK_EQ(inet_pton(AF_INET, text, &in->sin_addr), 1);
		*len = sizeof(*in);
	}
}

static unsigned short port_of(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)sa)->sin6_port);
	return ntohs(((struct sockaddr_in *)sa)->sin_port);
}

static void expect_addr(const struct sockaddr_storage *sa, socklen_t len,
			const char *text, unsigned short port)
{
	struct sockaddr_storage want;
	socklen_t want_len;

	to_addr(text, port, &want, &want_len);
	CHECK_EQ(len, want_len);
	CHECK_MEM(sa, &want, want_len);
}

static void expect_names(int fd, const struct route *r,
			 unsigned short local, unsigned short remote)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	MUST(getsockname(fd, (struct sockaddr *)&sa, &len));
	expect_addr(&sa, len, r->local, local);
	len = sizeof(sa);
	MUST(getpeername(fd, (struct sockaddr *)&sa, &len));
	expect_addr(&sa, len, r->remote, remote);
}

static unsigned short open_listener(struct fix *f, const char *text)
{
	struct sockaddr_storage sa;
	socklen_t len;

	to_addr(text, 0, &sa, &len);
	f->lfd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (f->lfd < 0 || bind(f->lfd, (struct sockaddr *)&sa, len))
		tap_skip("no such address family here");
	MUST(listen(f->lfd, 16));
	len = sizeof(sa);
	MUST(getsockname(f->lfd, (struct sockaddr *)&sa, &len));
	expect_addr(&sa, len, text, port_of(&sa));
	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->lfd, EPOLLIN);
	return port_of(&sa);
}

static void visit(struct fix *f, const struct route *r, unsigned short port)
{
	struct sockaddr_storage to, from;
	socklen_t len;
	unsigned short remote;
	int peer, fd;
	char byte;

	to_addr(r->connect_to, port, &to, &len);
	peer = MUST(socket(to.ss_family, SOCK_STREAM, 0));
	net_timeouts(peer);
	MUST(connect(peer, (struct sockaddr *)&to, len));
	len = sizeof(from);
	MUST(getsockname(peer, (struct sockaddr *)&from, &len));
	remote = port_of(&from);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	len = sizeof(from);
	fd = MUST(accept4(f->lfd, (struct sockaddr *)&from, &len,
			  SOCK_NONBLOCK));
	expect_addr(&from, len, r->remote, remote);
	expect_names(fd, r, port, remote);
	set_add(f->ep, fd, EPOLLIN);
	peer_write(peer, "x", 1);
	server_read(f->ep, fd, &byte, 1);
	expect_names(fd, r, port, remote);
	MUST(close(fd));
	peer_eof(peer);
	MUST(close(peer));
}

static void run_route(struct fix *f, const struct route *r)
{
	unsigned short port = open_listener(f, r->bind_to);

	/* The first is cold, the last ones are warm. */
	for (int i = 0; i < 6; i++)
		visit(f, r, port);
}

static void t_loopback(struct fix *f)
{
	run_route(f, &(struct route){ "127.0.0.1", "127.0.0.1",
				      "127.0.0.1", "127.0.0.1" });
}

static void t_wildcard(struct fix *f)
{
	struct route a = { "0.0.0.0", "127.0.0.1", "127.0.0.1",
			   "127.0.0.1" };
	struct route b = { "0.0.0.0", "127.0.0.2", "127.0.0.2",
			   "127.0.0.1" };
	unsigned short port = open_listener(f, a.bind_to);

	/* nginx must see which address was asked for, each time. */
	for (int i = 0; i < 4; i++) {
		visit(f, &a, port);
		visit(f, &b, port);
	}
}

static void t_v6(struct fix *f)
{
	run_route(f, &(struct route){ "::1", "::1", "::1", "::1" });
}

static void t_dual(struct fix *f)
{
	struct route a = { "::", "127.0.0.1", "::ffff:127.0.0.1",
			   "::ffff:127.0.0.1" };
	struct route b = { "::", "::1", "::1", "::1" };
	unsigned short port = open_listener(f, a.bind_to);

	for (int i = 0; i < 4; i++) {
		visit(f, &a, port);
		visit(f, &b, port);
	}
}

static void t_lengths(struct fix *f)
{
	unsigned char buf[32];
	struct sockaddr_in full;
	socklen_t len = sizeof(full);

	MUST(getpeername(f->fd, (struct sockaddr *)&full, &len));
	memset(buf, 0x5a, sizeof(buf));
	len = 4;
	MUST(getpeername(f->fd, (struct sockaddr *)buf, &len));
	CHECK_EQ(len, sizeof(full));
	CHECK_MEM(buf, &full, 4);
	CHECK_EQ(buf[4], 0x5a);
	len = 0;
	MUST(getsockname(f->fd, (struct sockaddr *)buf, &len));
	CHECK_EQ(len, sizeof(full));
	len = sizeof(buf);
	MUST(getsockname(f->fd, (struct sockaddr *)buf, &len));
	CHECK_EQ(len, sizeof(full));
	CHECK_MEM(buf, &f->addr, sizeof(full));
	CHECK_EQ(buf[sizeof(full)], 0x5a);
	len = -1;
	CHECK_ERRNO(getsockname(f->fd, (struct sockaddr *)buf, &len),
		    EINVAL);
}

static void t_errno(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char byte;

	CHECK_ERRNO(getpeername(f->lfd, (struct sockaddr *)&sa, &len),
		    ENOTCONN);
	/* After the peer's FIN there is still a peer, after RST none. */
	MUST(shutdown(f->peer, SHUT_WR));
	server_drain_eof(f->ep, f->fd);
	MUST(getpeername(f->fd, (struct sockaddr *)&sa, &len));
	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLHUP);
	CHECK_ERRNO(getpeername(f->fd, (struct sockaddr *)&sa, &len),
		    ENOTCONN);
	len = sizeof(sa);
	MUST(getsockname(f->fd, (struct sockaddr *)&sa, &len));
	CHECK_MEM(&sa, &f->addr, sizeof(sa));
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 0);
}

static const struct net_case cases[] = {
	{ "127.0.0.1", t_loopback, BARE },
	{ "0.0.0.0 shows the address asked for", t_wildcard, BARE },
	{ "::1", t_v6, BARE },
	{ "dual stack shows mapped addresses", t_dual, BARE },
	{ "short and long lengths", t_lengths, BOTH },
	{ "ENOTCONN: a listener; after RST", t_errno, BOTH },
};

NET_MAIN(cases)
