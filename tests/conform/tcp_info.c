/* SPDX-License-Identifier: MIT */
/*
 * Description: TCP_INFO, SIOCOUTQ, SIOCOUTQNSD tell of what was just done.
 */
#include "../lib/net.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* As in <netinet/tcp.h>, which does not go with <linux/tcp.h>. */
enum { ESTABLISHED = 1, FIN_WAIT2 = 5, CLOSED = 7, LISTENING = 10 };

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info;
}

static int queue_of(int fd, unsigned long which)
{
	int n = -1;

	MUST(ioctl(fd, which, &n));
	return n;
}

/* No waiting in between: the bytes are the connection's at once. */
static void t_sent(struct fix *f)
{
	struct tcp_info before = info_of(f->fd), after;

	CHECK_EQ(send(f->fd, "12345", 5, 0), 5);
	after = info_of(f->fd);
	CHECK_EQ(after.tcpi_bytes_sent - before.tcpi_bytes_sent, 5);
	CHECK_EQ(after.tcpi_notsent_bytes, 0);
	CHECK_EQ(send(f->fd, "678", 3, 0), 3);
	CHECK_EQ(info_of(f->fd).tcpi_bytes_sent - before.tcpi_bytes_sent, 8);
	peer_expect(f->peer, "12345678");
	CHECK_EQ(info_of(f->fd).tcpi_state, ESTABLISHED);
}

static void t_received(struct fix *f)
{
	char buf[16];

	peer_write(f->peer, "12345", 5);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(info_of(f->fd).tcpi_bytes_received, 5);
	CHECK_EQ(recv(f->fd, buf, 16, 0), 5);
	CHECK_EQ(info_of(f->fd).tcpi_bytes_received, 5);
}

/* A peer that does not read: bytes taken are queued, sent ones or not. */
static void t_queues(struct fix *f)
{
	size_t taken = server_fill(f->fd, 64 << 20);
	int out = queue_of(f->fd, SIOCOUTQ);
	int unsent = queue_of(f->fd, SIOCOUTQNSD);
	static char buf[1 << 16];

	CHECK(out > 0 && (size_t)out <= taken);
	CHECK(unsent > 0 && unsent <= out);
	/* What is not queued any more is in the peer's hands. */
	UNTIL(queue_of(f->peer, FIONREAD) +
	      (size_t)queue_of(f->fd, SIOCOUTQ) == taken);
	for (size_t got = 0; got < taken;) {
		ssize_t n = recv(f->peer, buf, sizeof(buf), MSG_DONTWAIT);

		if (n > 0)
			got += n;
		else
			set_next(f->ep, -1, 1);
	}
	UNTIL(!queue_of(f->fd, SIOCOUTQ));
	CHECK_EQ(queue_of(f->fd, SIOCOUTQNSD), 0);
}

/* A program that waits for its output by looking at the queue. */
static void t_spin(struct fix *f)
{
	long long end = tap_now_ms() + WAIT_MS;
	int left;

	CHECK_EQ(send(f->fd, "12345", 5, 0), 5);
	peer_expect(f->peer, "12345");
	do {
		left = queue_of(f->fd, SIOCOUTQ);
	} while (left && tap_now_ms() < end);
	CHECK_EQ(left, 0);
}

/* The same without the peer's help: only the look itself is there. */
static void t_spin_alone(struct fix *f)
{
	long long end = tap_now_ms() + WAIT_MS;
	char buf[8];

	CHECK_EQ(send(f->fd, "12345", 5, 0), 5);
	while (queue_of(f->peer, FIONREAD) != 5 && tap_now_ms() < end)
		queue_of(f->fd, SIOCOUTQ);
	CHECK_EQ(recv(f->peer, buf, 8, MSG_DONTWAIT), 5);
}

static void t_states(struct fix *f)
{
	CHECK_EQ(send(f->fd, "x", 1, 0), 1);
	MUST(shutdown(f->fd, SHUT_WR));
	peer_expect(f->peer, "x");
	peer_eof(f->peer);
	UNTIL(info_of(f->fd).tcpi_state == FIN_WAIT2);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	CHECK_EQ(info_of(f->fd).tcpi_state, CLOSED);
	CHECK_EQ(info_of(f->lfd).tcpi_state, LISTENING);
}

static void t_errno(struct fix *f)
{
	int n;

	CHECK_ERRNO(ioctl(f->lfd, SIOCOUTQ, &n), EINVAL);
	CHECK_ERRNO(ioctl(f->lfd, SIOCOUTQNSD, &n), EINVAL);
	CHECK_ERRNO(ioctl(f->fd, 0x54f0, &n), ENOTTY);
	CHECK_EQ(queue_of(f->fd, SIOCOUTQ), 0);
}

static const struct net_case cases[] = {
	{ "bytes sent", t_sent, BOTH },
	{ "bytes received", t_received, BOTH },
	{ "a full queue", t_queues, BOTH },
	{ "looking until it is empty", t_spin, BOTH },
	{ "looking moves it along", t_spin_alone, BOTH },
	{ "states up to the end", t_states, BOTH },
	{ "errno", t_errno, BOTH },
};

NET_MAIN(cases)
