/* SPDX-License-Identifier: MIT */
/*
 * Description: EPIPE and SIGPIPE, as the flags and the handler say.
 */
#include "../lib/net.h"

#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static void catch_pipe(void)
{
	pipes = 0;
	signal(SIGPIPE, on_pipe);
}

static void all_epipe(struct fix *f)
{
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	catch_pipe();
	CHECK_ERRNO(write(f->fd, "x", 1), EPIPE);
	CHECK_EQ(pipes, 1);
	CHECK_ERRNO(send(f->fd, "x", 1, 0), EPIPE);
	CHECK_EQ(pipes, 2);
	CHECK_ERRNO(writev(f->fd, &iov, 1), EPIPE);
	CHECK_EQ(pipes, 3);
	CHECK_ERRNO(sendmsg(f->fd, &msg, 0), EPIPE);
	CHECK_EQ(pipes, 4);
	CHECK_ERRNO(sendto(f->fd, "x", 1, 0, NULL, 0), EPIPE);
	CHECK_EQ(pipes, 5);
	CHECK_ERRNO(send(f->fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(sendmsg(f->fd, &msg, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(pipes, 5);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERRNO(write(f->fd, "x", 1), EPIPE);
	CHECK_EQ(pipes, 5);
	signal(SIGPIPE, SIG_DFL);
}

static void t_shut_wr(struct fix *f)
{
	MUST(shutdown(f->fd, SHUT_WR));
	all_epipe(f);
	/* Reading is not touched. */
	char byte;

	peer_write(f->peer, "y", 1);
	server_read(f->ep, f->fd, &byte, 1);
}

static void t_after_reset(struct fix *f)
{
	char byte;

	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_ERRNO(recv(f->fd, &byte, 1, 0), ECONNRESET);
	all_epipe(f);
}

/* The write that takes ECONNRESET raises no signal. */
static void t_reset_first(struct fix *f)
{
	catch_pipe();
	net_reset(f->peer);
	f->peer = -1;
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_ERRNO(write(f->fd, "x", 1), ECONNRESET);
	CHECK_EQ(pipes, 0);
	CHECK_ERRNO(write(f->fd, "x", 1), EPIPE);
	CHECK_EQ(pipes, 1);
	signal(SIGPIPE, SIG_DFL);
}

/* The RST answers bytes that we sent after the peer's FIN. */
static void t_peer_gone(struct fix *f)
{
	catch_pipe();
	MUST(close(f->peer));
	f->peer = -1;
	CHECK_EQ(server_drain_eof(f->ep, f->fd), 0);
	CHECK_EQ(write(f->fd, "x", 1), 1);
	CHECK_EQ(pipes, 0);
	set_wait(f->ep, f->fd, EPOLLERR);
	CHECK_ERRNO(write(f->fd, "x", 1), EPIPE);
	CHECK_EQ(pipes, 1);
	signal(SIGPIPE, SIG_DFL);
}

/* A server of its own in a child, which dies of the default action. */
static void t_default_kills(struct fix *f)
{
	pid_t pid = MUST(fork());

	if (!pid) {
		server_open(f);
		server_warm(f);
		f->fd = server_accept(f, &f->peer, EPOLLIN);
		MUST(shutdown(f->fd, SHUT_WR));
		CHECK_ERRNO(write(f->fd, "x", 1), EPIPE);
		_exit(0);
	}
	int status = child_status(pid);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGPIPE);
}

static const struct net_case cases[] = {
	{ "after shutdown(SHUT_WR)", t_shut_wr, BOTH },
	{ "after a reset", t_after_reset, BOTH },
	{ "ECONNRESET first, without a signal", t_reset_first, BOTH },
	{ "the peer is gone: one write passes", t_peer_gone, BOTH },
	{ "the default action kills", t_default_kills, BARE },
};

NET_MAIN(cases)
