/* SPDX-License-Identifier: MIT */
/*
 * Description: fork with copies of a connection, and with a set inherited.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child uses the copy, with bytes unread or not, then its parent does. */
static void copies(struct fix *f, bool unread)
{
	int copy = MUST(fcntl(f->fd, F_DUPFD, 50));
	char buf[8];
	pid_t pid;

	CHECK_EQ(send(copy, "a", 1, 0), 1);
	if (unread) {
		peer_write(f->peer, "x", 1);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	}
	pid = MUST(fork());
	if (!pid) {
		MUST(close(f->fd));
		CHECK_EQ(send(copy, "b", 1, 0), 1);
		if (unread)
			UNTIL(recv(copy, buf, 8, 0) == 1);
		else
			CHECK_ERRNO(recv(copy, buf, 8, 0), EAGAIN);
		CHECK(fcntl(copy, F_GETFL) & O_NONBLOCK);
		MUST(close(copy));
		CHECK_ERRNO(send(copy, "-", 1, 0), EBADF);
		_exit(0);
	}
	child_ok(pid);
	CHECK_EQ(send(f->fd, "c", 1, 0), 1);
	CHECK_EQ(send(copy, "d", 1, 0), 1);
	peer_expect(f->peer, "abcd");
	MUST(close(copy));
}

static void t_copies(struct fix *f)
{
	copies(f, false);
}

static void t_copies_unread(struct fix *f)
{
	copies(f, true);
}

/* While the parent only waits for its child, all that comes is the child's. */
static void t_for_the_child(struct fix *f)
{
	char buf[8];
	pid_t pid;

	for (int i = 0; i < 5; i++) {
		pid = MUST(fork());
		if (!pid) {
			MUST(close(f->peer));
			net_nonblock(f->fd, false);
			CHECK_EQ(recv(f->fd, buf, 8, MSG_WAITALL), 8);
			CHECK_MEM(buf, "onlyours", 8);
			CHECK_EQ(send(f->fd, buf, 8, 0), 8);
			net_nonblock(f->fd, true);
			_exit(0);
		}
		CHECK_EQ(send(f->fd, "p", 1, 0), 1);
		usleep(1000);
		peer_write(f->peer, "only", 4);
		CHECK_EQ(send(f->fd, "q", 1, 0), 1);
		usleep(1000);
		peer_write(f->peer, "ours", 4);
		child_ok(pid);
		peer_expect(f->peer, "pqonlyours");
	}
	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, buf, 1);
}

/*
 * The child closes some members, puts others on their numbers, and then
 * looks: what it closed is the parent's, what it opened is not a member.
 */
static void t_members_closed(struct fix *f)
{
	int ends[2], peer, fd = server_accept(f, &peer, EPOLLIN);
	struct epoll_event ev[4];
	pid_t pid = MUST(fork());

	if (!pid) {
		MUST(close(fd));
		MUST(pipe(ends));
		MUST(dup2(ends[0], f->fd));
		CHECK_EQ(write(ends[1], "x", 1), 1);
		CHECK_EQ(MUST(epoll_wait(f->ep, ev, 4, 5)), 0);
		ev[0].events = EPOLLIN;
		CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_MOD, f->fd, ev),
			    ENOENT);
		set_add(f->ep, ends[0], EPOLLIN);
		CHECK_EV(set_next(f->ep, ends[0], 0), EPOLLIN);
		_exit(0);
	}
	child_ok(pid);
	server_write(f->ep, fd, "y", 1);
	peer_expect(peer, "y");
	server_write(f->ep, f->fd, "z", 1);
	peer_expect(f->peer, "z");
	MUST(close(fd));
	MUST(close(peer));
}

/* It closes the set without a look, and makes one of its own. */
static void t_set_closed(struct fix *f)
{
	pid_t pid = MUST(fork());
	char buf[4];

	if (!pid) {
		int ep;

		MUST(close(f->peer));
		MUST(close(f->ep));
		ep = MUST(epoll_create1(0));
		CHECK_EQ(ep, f->ep);
		set_add(ep, f->fd, EPOLLIN);
		server_read(ep, f->fd, buf, 4);
		server_write(ep, f->fd, buf, 4);
		CHECK_EQ(server_drain_eof(ep, f->fd), 0);
		_exit(0);
	}
	MUST(close(f->fd));
	f->fd = -1;
	peer_write(f->peer, "ping", 4);
	peer_expect(f->peer, "ping");
	MUST(shutdown(f->peer, SHUT_WR));
	peer_eof(f->peer);
	child_ok(pid);
	server_warm(f);
}

/* The parent is gone for this child: the whole loop is its own. */
static void t_set_in_use(struct fix *f)
{
	pid_t pid;
	char buf[4];

	set_mod(f->ep, f->fd, EPOLLIN | EPOLLONESHOT);
	peer_write(f->peer, "1", 1);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, buf, 1, 0), 1);
	pid = MUST(fork());
	if (!pid) {
		MUST(close(f->peer));
		/* Disarmed it was, and is, until MOD. */
		CHECK_EV(set_next(f->ep, f->fd, 5), 0);
		set_mod(f->ep, f->fd, EPOLLIN | EPOLLET);
		for (int i = 0; i < 5; i++) {
			server_read(f->ep, f->fd, buf, 4);
			server_write(f->ep, f->fd, buf, 4);
		}
		set_del(f->ep, f->fd);
		_exit(0);
	}
	for (int i = 0; i < 5; i++) {
		peer_write(f->peer, "ping", 4);
		peer_expect(f->peer, "ping");
	}
	child_ok(pid);
}

static const struct net_case cases[] = {
	{ "the child uses the copy", t_copies, BOTH },
	{ "the same with a byte unread", t_copies_unread, BOTH },
	{ "the parent waits for its child only", t_for_the_child, BOTH },
	{ "the child closes members of the set", t_members_closed, BOTH },
	{ "the child closes the set", t_set_closed, BOTH },
	{ "the child waits on the set", t_set_in_use, BOTH },
};

NET_MAIN(cases)
