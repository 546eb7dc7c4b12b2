/* SPDX-License-Identifier: MIT */
/*
 * Description: calls of call_fuzz.c that make, copy and end connections, and
 * those of the peer.
 */
#ifndef CALL_CONN_H
#define CALL_CONN_H

#include "call_model.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

static struct world w;

/* How often the answer was one that the model only puts up with. */
static struct {
	unsigned long late;	/* not at once, though it was there */
	unsigned long cut;	/* fewer bytes than were there */
	unsigned long again;	/* an edge that was reported before */
	unsigned long parts;	/* an event in pieces, or twice */
	unsigned long untold;	/* room that was told of before is not again */
	unsigned long unknown;	/* a call that did not know of a reset yet */
} odd;

/* --- beginnings ------------------------------------------------------ */

/* What it sends arrives at once. */
static void peer_options(int fd)
{
	struct timeval tv = { .tv_sec = 10 };
	int on = 1;

	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
}

static void op_connect(void)
{
	struct conn *c = free_conn(&w);
	socklen_t len = sizeof(w.addr);

	if (!c || w.pending)
		return;
	c->peer = MUST(socket(AF_INET, SOCK_STREAM, 0));
	peer_options(c->peer);
	MUST(connect(c->peer, (struct sockaddr *)&w.addr, len));
	c->state = PENDING;
	w.pending = 1;
	TRACE("connect conn %d", index_of(&w, c));
}

static void op_accept(void)
{
	struct conn *c = conn_in(&w, PENDING);
	int on = 1, fd = accept4(w.lfd, NULL, NULL, SOCK_NONBLOCK);

	TRACE("accept4 = %d", fd);
	if (!c) {
		CHECK(fd < 0 && errno == EAGAIN, "accept of nothing");
		return;
	}
	CHECK(fd >= 0, "accept: errno %d", errno);
	/* Mostly: without it each partial segment costs 40 ms. */
	if (draw(30))
		MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	c->fd[0] = fd;
	c->fd[1] = -1;
	c->state = OPEN;
	w.pending = 0;
}

/* --- endings --------------------------------------------------------- */

static void close_number(struct conn *c, int which)
{
	int other = !which, fd = c->fd[which], s;
	bool replaced = !draw(5);

	TRACE("close %d of conn %d%s", fd, index_of(&w, c),
	      replaced ? ", replaced" : "");
	if (replaced)
		CHECK(dup2(w.null, fd) == fd, "dup2 onto: errno %d", errno);
	MUST(close(fd));
	/* Entries stay as long as the socket has another number. */
	for (s = 0; s < SETS; s++)
		if (c->ent[s].fd == fd)
			c->ent[s].orphan = true;
	c->fd[which] = -1;
	if (c->fd[other] < 0)
		c->state = SERVER_CLOSED;
}

/* What the peer of a closed connection sees: all bytes, then the end. */
static void peer_sees_end(struct conn *c, bool reset)
{
	char buf[4096];
	ssize_t n;

	if (reset) {
		while ((n = recv(c->peer, buf, sizeof(buf), 0)) > 0)
			check_stream(c, 1, buf, (size_t)n);
		/* It may have seen the end before; and a child that had the
		 * socket, too, keeps the library from knowing. */
		if (c->shut_wr || (w.forked && n == 0))
			return;
		CHECK(n < 0 && errno == ECONNRESET,
		      "conn %d: reset wanted, got %zd errno %d",
		      index_of(&w, c), n, errno);
		return;
	}
	while (c->read[1] < c->sent[1]) {
		n = recv(c->peer, buf, sizeof(buf), 0);
		CHECK(n > 0, "conn %d: the end %d too early (%zd, errno %d)",
		      index_of(&w, c), (int)(c->sent[1] - c->read[1]), n,
		      errno);
		check_stream(c, 1, buf, (size_t)n);
	}
	n = recv(c->peer, buf, 1, 0);
	CHECK(n == 0, "conn %d: no end: %zd, errno %d", index_of(&w, c), n,
	      errno);
}

static void end_conn(struct conn *c)
{
	bool reset = unread(c) || c->linger;
	int i;

	for (i = 0; i < 2; i++)
		if (c->fd[i] >= 0)
			close_number(c, i);
	if (c->state == SERVER_CLOSED && !c->peer_reset)
		peer_sees_end(c, reset);
	if (c->peer >= 0)
		MUST(close(c->peer));
	*c = (struct conn){ .peer = -1, .fd = { -1, -1 } };
}

static void op_close(struct conn *c)
{
	int which = c->fd[0] < 0 || (c->fd[1] >= 0 && draw(2));

	/* Most live on; a socket with two numbers just loses one. */
	if (c->fd[0] >= 0 && c->fd[1] >= 0)
		close_number(c, which);
	else if (!draw(3))
		end_conn(c);
}

static void op_linger(struct conn *c)
{
	struct linger rst = { .l_onoff = 1 };

	if (draw(4))
		return;
	TRACE("SO_LINGER conn %d", index_of(&w, c));
	MUST(setsockopt(number_of(c), SOL_SOCKET, SO_LINGER, &rst,
			sizeof(rst)));
	c->linger = true;
}

/* --- copies ---------------------------------------------------------- */

static int dup_onto(int fd)
{
	int to = MUST(fcntl(w.null, F_DUPFD_CLOEXEC, 0));

	CHECK((draw(2) ? dup2(fd, to) : dup3(fd, to, O_CLOEXEC)) == to,
	      "dup2: errno %d", errno);
	return to;
}

/* Through a socket to ourselves. */
static int pass(int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { .buf = { 0 } };
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.buf, .msg_controllen = sizeof(u.buf),
	};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	MUST((int)sendmsg(w.pair[0], &msg, 0));
	MUST((int)recvmsg(w.pair[1], &msg, MSG_CMSG_CLOEXEC));
	cm = CMSG_FIRSTHDR(&msg);
	CHECK(cm, "no descriptor came");
	memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	return fd;
}

static void op_dup(struct conn *c)
{
	int from = c->fd[0] >= 0 ? 0 : 1, how = (int)draw(5), fd;

	if (c->fd[!from] >= 0)
		return;
	/* LIMIT: bytes that were read ahead do not travel, and what another
	 * thread passes ends when the thread of its set is back. */
	if (how == 4 && (unread(c) || c->error || draw(3) || w.threads))
		how = 0;
	switch (how) {
	case 0:
	case 1:
		fd = MUST(dup(c->fd[from]));
		break;
	case 2:
		fd = MUST(fcntl(c->fd[from], F_DUPFD_CLOEXEC, 0));
		break;
	case 3:
		fd = dup_onto(c->fd[from]);
		break;
	default:
		fd = pass(c->fd[from]);
	}
	c->fd[!from] = fd;
	TRACE("dup %d = %d (%d)", c->fd[from], fd, how);
}

/* A child that uses a connection, and ends. */
static void op_fork(struct conn *c)
{
	char buf[512];
	int status;
	pid_t pid;

	if (draw(12) || c->shut_wr || c->peer_reset ||
	    !fits(c, 1, sizeof(buf)))
		return;
	fill_stream(c, 1, buf, sizeof(buf));
	TRACE("fork, the child sends on conn %d", index_of(&w, c));
	w.forked = true;
	pid = MUST(fork());
	if (!pid)
		_exit(send(number_of(c), buf, sizeof(buf), MSG_NOSIGNAL) !=
		      sizeof(buf));
	MUST(waitpid(pid, &status, 0));
	CHECK(!status, "the child could not send: %x", status);
	c->sent[1] += sizeof(buf);
}

/* --- the peer -------------------------------------------------------- */

static void op_peer_send(struct conn *c)
{
	char buf[16384];
	size_t n = draw_size(sizeof(buf));

	/* What comes after both sides of the server are shut is reset. */
	if (c->peer_fin || c->peer_reset || !fits(c, 0, n) ||
	    (c->shut_rd && c->shut_wr))
		return;
	fill_stream(c, 0, buf, n);
	CHECK(send(c->peer, buf, n, MSG_NOSIGNAL) == (ssize_t)n,
	      "peer's send: errno %d", errno);
	c->sent[0] += n;
	arrived(c, EPOLLIN);
	TRACE("peer of conn %d sends %zu", index_of(&w, c), n);
}

/* All that the server has sent: it has been waiting since, or blocks now. */
static void op_peer_recv(struct conn *c)
{
	char buf[8192];

	TRACE("peer of conn %d reads %d", index_of(&w, c),
	      (int)(c->sent[1] - c->read[1]));
	while (c->read[1] < c->sent[1] && c->peer >= 0) {
		ssize_t n = recv(c->peer, buf, sizeof(buf), 0);

		CHECK(n > 0, "peer of conn %d: %zd, errno %d, %d to come",
		      index_of(&w, c), n, errno,
		      (int)(c->sent[1] - c->read[1]));
		check_stream(c, 1, buf, (size_t)n);
	}
}

static void op_peer_shutdown(struct conn *c)
{
	if (c->peer_fin || c->peer_reset)
		return;
	MUST(shutdown(c->peer, SHUT_WR));
	c->peer_fin = true;
	arrived(c, 0);
	TRACE("peer of conn %d sends FIN", index_of(&w, c));
}

static void op_peer_reset(struct conn *c)
{
	struct linger rst = { .l_onoff = 1 };

	if (c->peer_fin || c->peer_reset || draw(4))
		return;
	/* What the server sent before is out; its next call meets the RST. */
	op_peer_recv(c);
	MUST(setsockopt(c->peer, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)));
	MUST(close(c->peer));
	c->peer = -1;
	c->peer_reset = c->error = true;
	arrived(c, 0);
	TRACE("peer of conn %d resets", index_of(&w, c));
}

#endif
