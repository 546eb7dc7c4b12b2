/* SPDX-License-Identifier: MIT */
/*
 * Description: copies of a connection: dup, dup2, dup3, F_DUPFD.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <unistd.h>

static int copy_by(int how, int fd)
{
	int spare;

	switch (how) {
	case 0:
		return dup(fd);
	case 1:
		return fcntl(fd, F_DUPFD, 0);
	case 2:
		return fcntl(fd, F_DUPFD_CLOEXEC, 100);
	case 3:
		spare = MUST(dup(STDIN_FILENO));
		return dup2(fd, spare);
	default:
		spare = MUST(dup(STDIN_FILENO));
		return dup3(fd, spare, O_CLOEXEC);
	}
}

/* Unread bytes and unsent bytes at the moment of the copy; both work. */
static void t_both_work(struct fix *f)
{
	char buf[8];

	for (int how = 0; how < 5; how++) {
		peer_write(f->peer, "abcd", 4);
		CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
		CHECK_EQ(send(f->fd, "1", 1, 0), 1);
		int copy = MUST(copy_by(how, f->fd));

		CHECK(copy != f->fd);
		CHECK_EQ(fcntl(copy, F_GETFD),
			 how == 2 || how == 4 ? FD_CLOEXEC : 0);
		CHECK(fcntl(copy, F_GETFL) & O_NONBLOCK);
		CHECK_EQ(recv(copy, buf, 2, 0), 2);
		CHECK_MEM(buf, "ab", 2);
		CHECK_EQ(recv(f->fd, buf, 8, 0), 2);
		CHECK_MEM(buf, "cd", 2);
		CHECK_ERRNO(recv(copy, buf, 8, 0), EAGAIN);
		CHECK_EQ(send(copy, "2", 1, 0), 1);
		CHECK_EQ(send(f->fd, "3", 1, 0), 1);
		peer_expect(f->peer, "123");
		MUST(close(copy));
		CHECK_ERRNO(recv(copy, buf, 8, 0), EBADF);
		peer_write(f->peer, "z", 1);
		server_read(f->ep, f->fd, buf, 1);
	}
}

/* The first number goes; the connection lives on the second. */
static void t_close_first(struct fix *f)
{
	int copy = MUST(dup(f->fd)), ep = MUST(epoll_create1(0));
	char byte;

	set_del(f->ep, f->fd);
	MUST(close(f->fd));
	f->fd = copy;
	CHECK_ERRNO(recv(f->peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
	set_add(ep, copy, EPOLLIN);
	peer_write(f->peer, "x", 1);
	server_read(ep, copy, &byte, 1);
	server_write(ep, copy, "y", 1);
	peer_expect(f->peer, "y");
	MUST(close(copy));
	f->fd = -1;
	peer_eof(f->peer);
	MUST(close(ep));
}

/*
 * An epoll entry belongs to the open file, not to the number: it reports
 * after close() of the number while a copy is open, under the old data.
 */
static void t_entry_survives(struct fix *f)
{
	int old = f->fd, copy = MUST(dup(f->fd));
	char byte;

	MUST(close(old));
	f->fd = copy;
	peer_write(f->peer, "x", 1);
	CHECK_EV(set_next(f->ep, old, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(copy, &byte, 1, 0), 1);
	CHECK_EV(set_next(f->ep, old, 0), 0);
	/* Nobody can take it out by a number any more. */
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, old, NULL), EBADF);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, copy, NULL), ENOENT);
	MUST(close(copy));
	f->fd = -1;
	CHECK_EV(set_next(f->ep, old, 10), 0);
	peer_eof(f->peer);
}

/* Both numbers in one set: two entries, two reports. */
static void t_both_in_set(struct fix *f)
{
	struct epoll_event ev[4];
	int copy = MUST(dup(f->fd));

	set_add(f->ep, copy, EPOLLIN);
	peer_write(f->peer, "x", 1);
	UNTIL(MUST(epoll_wait(f->ep, ev, 4, 10)) == 2);
	CHECK_EQ(ev[0].data.fd + ev[1].data.fd, copy + f->fd);
	set_del(f->ep, copy);
	CHECK_EQ(MUST(epoll_wait(f->ep, ev, 4, 0)), 1);
	CHECK_EQ(ev[0].data.fd, f->fd);
	MUST(close(copy));
}

/* dup2() onto a live connection closes it: flush, EOF, no more events. */
static void t_onto(struct fix *f)
{
	int ends[2];

	MUST(pipe2(ends, O_NONBLOCK));
	CHECK_EQ(send(f->fd, "last", 4, 0), 4);
	CHECK_EQ(dup2(ends[0], f->fd), f->fd);
	peer_expect(f->peer, "last");
	peer_eof(f->peer);
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EV(set_next(f->ep, f->fd, 10), 0);
	char byte;

	CHECK_EQ(read(f->fd, &byte, 1), 1);
	MUST(close(ends[0]));
	MUST(close(ends[1]));
}

static void t_onto_other(struct fix *f)
{
	int peer, fd = server_accept(f, &peer, EPOLLIN);
	char byte;

	/* One connection's number becomes the other connection. */
	CHECK_EQ(dup2(fd, f->fd), f->fd);
	peer_eof(f->peer);
	peer_write(peer, "xy", 2);
	CHECK_EV(set_next(f->ep, fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
	CHECK_EQ(byte, 'x');
	CHECK_EQ(recv(fd, &byte, 1, 0), 1);
	CHECK_EQ(byte, 'y');
	MUST(close(fd));
	MUST(close(peer));
}

static void t_self_and_errno(struct fix *f)
{
	char byte;

	CHECK_EQ(dup2(f->fd, f->fd), f->fd);
	CHECK_ERRNO(dup3(f->fd, f->fd, 0), EINVAL);
	CHECK_ERRNO(dup2(f->fd, -1), EBADF);
	CHECK_ERRNO(dup2(-1, f->fd), EBADF);
	CHECK_ERRNO(dup(-1), EBADF);
	CHECK_ERRNO(dup3(f->fd, 200, 1), EINVAL);
	CHECK_ERRNO(fcntl(f->fd, F_DUPFD, -1), EINVAL);
	/* None of these touched it. */
	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
}

/* O_NONBLOCK belongs to the open file: both numbers share it. */
static void t_shared_flags(struct fix *f)
{
	int copy = MUST(dup(f->fd));

	net_nonblock(copy, false);
	CHECK(!(fcntl(f->fd, F_GETFL) & O_NONBLOCK));
	net_nonblock(f->fd, true);
	CHECK(fcntl(copy, F_GETFL) & O_NONBLOCK);
	MUST(shutdown(copy, SHUT_WR));
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	peer_eof(f->peer);
	MUST(close(copy));
}

static const struct net_case cases[] = {
	{ "both numbers work, by five ways to copy", t_both_work, BOTH },
	{ "the first number closed, the copy lives", t_close_first, BOTH },
	{ "the epoll entry outlives its number", t_entry_survives, BOTH },
	{ "both numbers in one set", t_both_in_set, BOTH },
	{ "dup2() onto a connection closes it", t_onto, BOTH },
	{ "dup2() of one connection onto another", t_onto_other, BOTH },
	{ "dup2() onto itself, and errno", t_self_and_errno, BOTH },
	{ "O_NONBLOCK and shutdown are shared", t_shared_flags, BOTH },
};

NET_MAIN(cases)
