/* SPDX-License-Identifier: MIT */
/*
 * Description: close() in every state, and what the other end sees of it.
 */
#include "../lib/net.h"

#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void close_ours(struct fix *f)
{
	MUST(close(f->fd));
	f->fd = -1;
}

static int tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state;
}

static int readable(int fd)
{
	int n = -1;

	MUST(ioctl(fd, FIONREAD, &n));
	return n;
}

static int fresh(void)
{
	return MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
}

/* Fresh, bound and listening sockets, in a set or not. */
static void t_unconnected(struct fix *f)
{
	struct sockaddr_in sa = f->addr;

	sa.sin_port = 0;
	for (int i = 0; i < 6; i++) {
		int fd = fresh();

		if (i / 2 >= 1)
			MUST(bind(fd, (struct sockaddr *)&sa, sizeof(sa)));
		if (i / 2 >= 2)
			MUST(listen(fd, 4));
		if (i & 1)
			set_add(f->ep, fd, EPOLLIN);
		CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
		MUST(close(fd));
		CHECK_ERRNO(close(fd), EBADF);
	}
	server_warm(f);
}

/* A SYN that nobody answers. */
static void t_connecting(struct fix *f)
{
	struct sockaddr_in sa;
	int lfd = net_listen(&sa, 0), filler = net_client(&sa), fd = fresh();

	CHECK_ERRNO(connect(fd, (struct sockaddr *)&sa, sizeof(sa)),
		    EINPROGRESS);
	set_add(f->ep, fd, EPOLLOUT);
	CHECK_EV(set_next(f->ep, fd, 5), 0);
	MUST(close(fd));
	CHECK_EV(set_next(f->ep, fd, 0), 0);
	MUST(close(filler));
	MUST(close(lfd));
	server_warm(f);
}

static void t_after_peer_fin(struct fix *f)
{
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	close_ours(f);
	peer_eof(f->peer);
	UNTIL(tcp_state(f->peer) == TCP_TIME_WAIT ||
	      tcp_state(f->peer) == TCP_CLOSE);
}

/* The peer's FIN came, and nobody has read the end of it. */
static void t_unseen_fin(struct fix *f)
{
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	close_ours(f);
	peer_eof(f->peer);
}

/* Half closed by us: the peer's next bytes find nobody. */
static void t_after_our_fin(struct fix *f)
{
	char byte;

	MUST(shutdown(f->fd, SHUT_WR));
	peer_eof(f->peer);
	CHECK_EQ(tcp_state(f->peer), TCP_CLOSE_WAIT);
	close_ours(f);
	UNTIL(send(f->peer, "x", 1, MSG_NOSIGNAL) == -1);
	CHECK_EQ(errno, EPIPE);
	CHECK_EQ(recv(f->peer, &byte, 1, 0), 0);
}

static void t_after_both_fin(struct fix *f)
{
	MUST(shutdown(f->fd, SHUT_WR));
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	close_ours(f);
	peer_eof(f->peer);
}

static void t_after_reset(struct fix *f)
{
	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLHUP);
	close_ours(f);
	server_warm(f);
}

/* Both ends close at the same moment: nobody sees a reset. */
static void t_at_once(struct fix *f)
{
	for (int i = 0; i < 8; i++) {
		int peer, fd = server_accept(f, &peer, EPOLLIN);
		int copy = dup(peer);

		server_write(f->ep, fd, "x", 1);
		peer_expect(peer, "x");
		if (i & 1) {
			MUST(shutdown(peer, SHUT_WR));
			MUST(close(fd));
		} else {
			MUST(close(fd));
			MUST(shutdown(peer, SHUT_WR));
		}
		peer_eof(copy);
		UNTIL(tcp_state(copy) != TCP_FIN_WAIT1 &&
		      tcp_state(copy) != TCP_CLOSING);
		MUST(close(peer));
		MUST(close(copy));
	}
}

/* 100 KiB unread, most of it still in the kernel. */
static void t_much_unread(struct fix *f)
{
	static char buf[100 << 10];
	int size = 1 << 20, peer, fd;
	ssize_t n;

	MUST(setsockopt(f->lfd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	fd = server_accept(f, &peer, EPOLLIN);
	peer_write(peer, buf, sizeof(buf));
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	UNTIL(readable(fd) == sizeof(buf));
	CHECK_EQ(recv(fd, buf, 1000, 0), 1000);
	MUST(close(fd));
	n = recv(peer, buf, 1, 0);
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, ECONNRESET);
	MUST(close(peer));
}

/* Unread bytes on both sides: a reset each, no error of close(). */
static void t_both_unread(struct fix *f)
{
	peer_write(f->peer, "unread", 6);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	server_write(f->ep, f->fd, "unread", 6);
	UNTIL(readable(f->peer) == 6);
	MUST(close(f->peer));
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLHUP);
	close_ours(f);
	server_warm(f);
}

/* Peeked at is not read. */
static void t_peeked(struct fix *f)
{
	char buf[8];

	peer_write(f->peer, "peek", 4);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, 8, MSG_PEEK), 4);
	close_ours(f);
	CHECK_ERRNO(recv(f->peer, buf, 1, 0), ECONNRESET);
}

static void t_two_sets(struct fix *f)
{
	int other = MUST(epoll_create1(0));

	set_add(other, f->fd, EPOLLIN | EPOLLOUT);
	CHECK_EV(set_next(other, f->fd, WAIT_MS), EPOLLOUT);
	server_write(f->ep, f->fd, "x", 1);
	close_ours(f);
	peer_expect(f->peer, "x");
	peer_eof(f->peer);
	CHECK_EV(set_next(other, -1, 0), 0);
	MUST(close(other));
}

/* The set goes first; the connections that were in it live on. */
static void t_set_first(struct fix *f)
{
	char byte;

	MUST(close(f->ep));
	peer_write(f->peer, "x", 1);
	UNTIL(recv(f->fd, &byte, 1, 0) == 1);
	CHECK_EQ(send(f->fd, "y", 1, 0), 1);
	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->fd, EPOLLIN);
	set_add(f->ep, f->lfd, EPOLLIN);
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
	peer_expect(f->peer, "y");
	peer_write(f->peer, "z", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	close_ours(f);
	CHECK_ERRNO(recv(f->peer, &byte, 1, 0), ECONNRESET);
	server_warm(f);
}

static void t_errno(struct fix *f)
{
	int fd = f->fd;

	close_ours(f);
	CHECK_ERRNO(close(fd), EBADF);
	CHECK_ERRNO(close(-1), EBADF);
	CHECK_ERRNO(close(1 << 20), EBADF);
	CHECK_ERRNO(send(fd, "x", 1, 0), EBADF);
	CHECK_ERRNO(shutdown(fd, SHUT_WR), EBADF);
}

static const struct net_case cases[] = {
	{ "fresh, bound, listening", t_unconnected, BOTH | NOCONN },
	{ "connecting", t_connecting, BOTH | NOCONN },
	{ "after the peer's FIN", t_after_peer_fin, BOTH },
	{ "the peer's FIN not read", t_unseen_fin, BOTH },
	{ "after our FIN", t_after_our_fin, BOTH },
	{ "after both", t_after_both_fin, BOTH },
	{ "after a reset", t_after_reset, BOTH },
	{ "both ends at once", t_at_once, BOTH | NOCONN },
	{ "100 KiB unread: RST", t_much_unread, BOTH | NOCONN },
	{ "unread bytes on both sides", t_both_unread, BOTH },
	{ "peeked at only: RST", t_peeked, BOTH },
	{ "in two sets", t_two_sets, BOTH },
	{ "the set is closed first", t_set_first, BOTH },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
