/* SPDX-License-Identifier: MIT */
/*
 * Description: pointers that lead nowhere: EFAULT, in the kernel's order.
 *
 * NULL and addresses outside of a process's range. LIMIT of the library: an
 * address in the range where nothing is mapped ends the program instead.
 */
/* no-asan: its own wrappers follow the pointers before libc is called */
/* no-tsan: its own wrappers follow the pointers before libc is called */
#include "../lib/net.h"

#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

/* Hidden from the compiler, which knows what these calls want. */
static void *volatile nowhere;
static void *volatile low = (void *)64;
static void *volatile high = (void *)-64;
static volatile size_t all = (size_t)-1;

static void arrive(struct fix *f, const char *text)
{
	peer_write(f->peer, text, strlen(text));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void expect(struct fix *f, const char *text)
{
	char buf[64];

	CHECK_EQ(recv(f->fd, buf, sizeof(buf), 0), strlen(text));
	CHECK_MEM(buf, text, strlen(text));
	CHECK_ERRNO(recv(f->fd, buf, sizeof(buf), 0), EAGAIN);
}

/* Where there is nothing to copy, low addresses are as good as others. */
static void t_recv_empty(struct fix *f)
{
	struct iovec iov = { nowhere, 8 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	CHECK_ERRNO(read(f->fd, nowhere, 8), EAGAIN);
	CHECK_ERRNO(recv(f->fd, low, 8, 0), EAGAIN);
	CHECK_ERRNO(readv(f->fd, &iov, 1), EAGAIN);
	CHECK_ERRNO(recvmsg(f->fd, &msg, 0), EAGAIN);
	CHECK_ERRNO(read(f->fd, high, 8), EFAULT);
	CHECK_ERRNO(recv(f->fd, high, 8, 0), EFAULT);
	CHECK_ERRNO(recv(f->fd, nowhere, 8, MSG_PEEK), EAGAIN);
}

static void t_recv(struct fix *f)
{
	struct iovec iov = { nowhere, 8 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	arrive(f, "hello");
	CHECK_ERRNO(read(f->fd, nowhere, 8), EFAULT);
	CHECK_ERRNO(recv(f->fd, low, 8, 0), EFAULT);
	CHECK_ERRNO(recv(f->fd, low, 8, MSG_PEEK), EFAULT);
	CHECK_ERRNO(recvfrom(f->fd, nowhere, 8, 0, NULL, NULL), EFAULT);
	CHECK_ERRNO(readv(f->fd, &iov, 1), EFAULT);
	CHECK_ERRNO(recvmsg(f->fd, &msg, 0), EFAULT);
	CHECK_ERRNO(read(f->fd, high, 8), EFAULT);
	CHECK_ERRNO(recv(f->fd, high, 8, 0), EFAULT);
	CHECK_EV(set_next(f->ep, f->fd, 0), EPOLLIN);
	expect(f, "hello");
}

/* The header and the vector themselves. */
static void t_recv_headers(struct fix *f)
{
	struct msghdr msg = { .msg_iov = nowhere, .msg_iovlen = 1 };

	for (int i = 0; i < 2; i++) {
		CHECK_ERRNO(readv(f->fd, nowhere, 1), EFAULT);
		CHECK_ERRNO(readv(f->fd, high, 2), EFAULT);
		CHECK_ERRNO(recvmsg(f->fd, nowhere, 0), EFAULT);
		CHECK_ERRNO(recvmsg(f->fd, high, 0), EFAULT);
		CHECK_ERRNO(recvmsg(f->fd, &msg, 0), EFAULT);
		if (!i)
			arrive(f, "hello");
	}
	expect(f, "hello");
}

/* A good part first: how much comes depends on where the kernel stops, so
 * only what is certain is asked for. */
static void t_recv_vector(struct fix *f)
{
	char buf[8];
	struct iovec iov[] = { { buf, 2 }, { high, 4 } };
	struct iovec empty[] = { { nowhere, 0 }, { buf, 8 }, { low, 0 } };

	arrive(f, "hello");
	CHECK_ERRNO(readv(f->fd, iov, 2), EFAULT);
	CHECK_EQ(readv(f->fd, empty, 3), 5);
	CHECK_MEM(buf, "hello", 5);
}

static void t_lengths(struct fix *f)
{
	char buf[8];
	struct iovec iov[] = { { buf, all }, { buf, 8 } };
	struct iovec two[] = { { buf, all / 2 }, { buf, all / 2 } };

	for (int i = 0; i < 2; i++) {
		CHECK_ERRNO(read(f->fd, buf, all), EFAULT);
		CHECK_ERRNO(write(f->fd, buf, all), EFAULT);
		CHECK_ERRNO(readv(f->fd, iov, 2), EINVAL);
		CHECK_ERRNO(writev(f->fd, iov, 2), EINVAL);
		CHECK_ERRNO(readv(f->fd, two, 2), EFAULT);
		if (!i)
			arrive(f, "hello");
	}
	expect(f, "hello");
}

static void t_send(struct fix *f)
{
	struct iovec iov = { nowhere, 8 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct msghdr bad = { .msg_iov = nowhere, .msg_iovlen = 1 };

	CHECK_EQ(send(f->fd, "a", 1, 0), 1);
	CHECK_ERRNO(write(f->fd, nowhere, 8), EFAULT);
	CHECK_ERRNO(send(f->fd, low, 8, 0), EFAULT);
	CHECK_ERRNO(send(f->fd, high, 8, 0), EFAULT);
	CHECK_ERRNO(send(f->fd, nowhere, 1 << 16, 0), EFAULT);
	CHECK_ERRNO(sendto(f->fd, nowhere, 8, 0, NULL, 0), EFAULT);
	CHECK_ERRNO(writev(f->fd, &iov, 1), EFAULT);
	CHECK_ERRNO(writev(f->fd, nowhere, 1), EFAULT);
	CHECK_ERRNO(writev(f->fd, high, 1), EFAULT);
	CHECK_ERRNO(sendmsg(f->fd, &msg, 0), EFAULT);
	CHECK_ERRNO(sendmsg(f->fd, &bad, 0), EFAULT);
	CHECK_ERRNO(sendmsg(f->fd, nowhere, 0), EFAULT);
	CHECK_ERRNO(sendmsg(f->fd, high, 0), EFAULT);
	CHECK_EQ(send(f->fd, "b", 1, 0), 1);
	peer_expect(f->peer, "ab");
	CHECK_EV(set_next(f->ep, f->fd, 0), 0);
}

/* An error of the connection comes before the pointer. */
static void t_order(struct fix *f)
{
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_ERRNO(send(f->fd, nowhere, 8, MSG_NOSIGNAL), EPIPE);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	CHECK_EQ(recv(f->fd, nowhere, 8, 0), 0);
	CHECK_EQ(read(f->fd, low, 8), 0);
}

static void t_names(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	CHECK_ERRNO(getpeername(f->fd, nowhere, &len), EFAULT);
	CHECK_ERRNO(getpeername(f->fd, high, &len), EFAULT);
	CHECK_ERRNO(getpeername(f->fd, (struct sockaddr *)&sa, nowhere),
		    EFAULT);
	CHECK_ERRNO(getsockname(f->fd, nowhere, &len), EFAULT);
	CHECK_ERRNO(getsockname(f->fd, (struct sockaddr *)&sa, low), EFAULT);
	MUST(getpeername(f->fd, (struct sockaddr *)&sa, &len));
}

static void t_options(struct fix *f)
{
	socklen_t len = sizeof(int);
	int value = 1;

	CHECK_ERRNO(getsockopt(f->fd, SOL_SOCKET, SO_ERROR, nowhere, &len),
		    EFAULT);
	CHECK_ERRNO(getsockopt(f->fd, SOL_SOCKET, SO_SNDBUF, low, &len),
		    EFAULT);
	CHECK_ERRNO(getsockopt(f->fd, SOL_SOCKET, SO_SNDBUF, &value, low),
		    EFAULT);
	CHECK_ERRNO(getsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, low, &len),
		    EFAULT);
	CHECK_ERRNO(getsockopt(f->fd, IPPROTO_TCP, TCP_CORK, &value, high),
		    EFAULT);
	CHECK_ERRNO(setsockopt(f->fd, SOL_SOCKET, SO_KEEPALIVE, low, len),
		    EFAULT);
	CHECK_ERRNO(setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, high, len),
		    EFAULT);
	CHECK_ERRNO(setsockopt(f->fd, IPPROTO_TCP, TCP_CORK, low, len),
		    EFAULT);
}

static void t_ioctl(struct fix *f)
{
	CHECK_ERRNO(ioctl(f->fd, FIONREAD, nowhere), EFAULT);
	CHECK_ERRNO(ioctl(f->fd, FIONREAD, high), EFAULT);
	CHECK_ERRNO(ioctl(f->fd, FIONBIO, low), EFAULT);
	CHECK_ERRNO(ioctl(f->fd, TIOCOUTQ, low), EFAULT);
	arrive(f, "hello");
	expect(f, "hello");
}

/* A set that another thread or nobody waits on, the connection elsewhere. */
static void t_other_set(struct fix *f)
{
	int other = MUST(epoll_create1(0));

	CHECK_ERRNO(epoll_ctl(other, EPOLL_CTL_MOD, f->fd, low), EFAULT);
	CHECK_ERRNO(epoll_ctl(other, EPOLL_CTL_ADD, f->fd, low), EFAULT);
	CHECK_ERRNO(epoll_ctl(other, EPOLL_CTL_ADD, f->fd, high), EFAULT);
	peer_write(f->peer, "x", 1);
	set_add(other, f->fd, EPOLLIN);
	CHECK_ERRNO(epoll_ctl(other, EPOLL_CTL_MOD, f->fd, low), EFAULT);
	CHECK_EV(set_next(other, f->fd, WAIT_MS), EPOLLIN);
	MUST(close(other));
}

static void t_epoll(struct fix *f)
{
	struct epoll_event ev;

	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, nowhere), EFAULT);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, low), EFAULT);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_ADD, f->peer, high), EFAULT);
	CHECK_ERRNO(epoll_wait(f->ep, high, 8, 0), EFAULT);
	arrive(f, "x");
	CHECK_ERRNO(epoll_wait(f->ep, high, 8, 0), EFAULT);
	CHECK_ERRNO(epoll_wait(f->ep, low, 8, 0), EFAULT);
	CHECK_EQ(epoll_wait(f->ep, &ev, 1, 0), 1);
	CHECK_EQ(ev.data.fd, f->fd);
}

static void t_accept(struct fix *f)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int peer = net_client(&f->addr), fd;

	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(accept(f->lfd, (struct sockaddr *)&sa, nowhere), EFAULT);
	MUST(close(peer));
	peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	CHECK_ERRNO(accept(f->lfd, high, &len), EFAULT);
	MUST(close(peer));
	/* A good call again. */
	fd = server_accept(f, &peer, EPOLLIN);
	MUST(close(fd));
	MUST(close(peer));
}

static const struct net_case cases[] = {
	{ "receive with nothing there", t_recv_empty, BOTH },
	{ "receive", t_recv, BOTH },
	{ "receive: header and vector", t_recv_headers, BOTH },
	{ "receive: one part of a vector", t_recv_vector, BOTH },
	{ "lengths that wrap around", t_lengths, BOTH },
	{ "send", t_send, BOTH },
	{ "after the connection's own error", t_order, BOTH },
	{ "getsockname and getpeername", t_names, BOTH },
	{ "socket options", t_options, BOTH },
	{ "ioctl", t_ioctl, BOTH },
	{ "epoll", t_epoll, BOTH },
	{ "epoll, another set", t_other_set, BOTH },
	{ "accept", t_accept, BOTH | NOCONN },
};

NET_MAIN(cases)
