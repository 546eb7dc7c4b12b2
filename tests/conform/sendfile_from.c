/* SPDX-License-Identifier: MIT */
/*
 * Description: sendfile() from a connection: into a pipe, or refused.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

struct pipe {
	int out;
	int in;
};

static struct pipe pipe_make(void)
{
	int fds[2];

	MUST(pipe2(fds, O_NONBLOCK));
	return (struct pipe){ fds[0], fds[1] };
}

static void pipe_close(struct pipe p)
{
	MUST(close(p.out));
	MUST(close(p.in));
}

/* What the program has been told of is there, in order. */
static void t_pipe(struct fix *f)
{
	struct pipe p = pipe_make();
	char sent[3000], got[3000];
	size_t at = 0;

	bytes_fill(sent, sizeof(sent), 0);
	peer_write(f->peer, sent, 1000);
	set_wait(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(sendfile(p.in, f->fd, NULL, 300), 300);
	CHECK_EQ(recv(f->fd, got, 100, 0), 100);
	CHECK(!memcmp(got, sent + 300, 100));
	CHECK_EQ(sendfile(p.in, f->fd, NULL, 4096), 600);
	CHECK_ERRNO(sendfile(p.in, f->fd, NULL, 1), EAGAIN);
	peer_write(f->peer, sent + 1000, 2000);
	while (at < 2000) {
		ssize_t n;

		set_wait(f->ep, f->fd, EPOLLIN);
		n = sendfile(p.in, f->fd, NULL, 2000 - at);
		CHECK(n > 0);
		at += (size_t)n;
	}
	CHECK_EQ(read(p.out, got, sizeof(got)), 2900);
	CHECK(!memcmp(got, sent, 300));
	CHECK(!memcmp(got + 300, sent + 400, 2600));
	pipe_close(p);
}

static void t_raw(struct fix *f)
{
	struct pipe p = pipe_make();
	char got[8];

	peer_write(f->peer, "bytes", 5);
	set_wait(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(syscall(SYS_sendfile, p.in, f->fd, NULL, 9), 5);
	CHECK_EQ(read(p.out, got, sizeof(got)), 5);
	CHECK(!memcmp(got, "bytes", 5));
	pipe_close(p);
}

/* Bytes before the end, then the end. */
static void t_end(struct fix *f)
{
	struct pipe p = pipe_make();
	char got[8];

	peer_write(f->peer, "bytes", 5);
	MUST(shutdown(f->peer, SHUT_WR));
	set_wait(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(sendfile(p.in, f->fd, NULL, 100), 5);
	set_wait(f->ep, f->fd, EPOLLIN);
	CHECK_EQ(sendfile(p.in, f->fd, NULL, 100), 0);
	CHECK_EQ(read(p.out, got, sizeof(got)), 5);
	CHECK(!memcmp(got, "bytes", 5));
	pipe_close(p);
}

/* Nothing is lost by a call that fails. */
static void t_refused(struct fix *f)
{
	struct pipe p = pipe_make();
	off64_t offset = 0;
	char got[8];

	peer_write(f->peer, "bytes", 5);
	set_wait(f->ep, f->fd, EPOLLIN);
	CHECK_ERRNO(sendfile(p.in, f->fd, &offset, 5), ESPIPE);
	CHECK_ERRNO(sendfile(f->fd, f->fd, NULL, 5), EINVAL);
	CHECK_ERRNO(sendfile(f->peer, f->fd, NULL, 5), EINVAL);
	CHECK_ERRNO(sendfile(p.out, f->fd, NULL, 5), EBADF);
	CHECK_EQ(sendfile(p.in, f->fd, NULL, 0), 0);
	CHECK_ERRNO(splice(f->fd, &offset, p.in, NULL, 5, 0), EINVAL);
	CHECK_ERRNO(splice(f->fd, NULL, f->peer, NULL, 5, 0), EINVAL);
	CHECK_EQ(recv(f->fd, got, sizeof(got), 0), 5);
	CHECK(!memcmp(got, "bytes", 5));
	server_write(f->ep, f->fd, "more", 4);
	peer_expect(f->peer, "more");
	pipe_close(p);
}

static const struct net_case cases[] = {
	{ "into a pipe", t_pipe, BOTH },
	{ "into a pipe, by syscall()", t_raw, BOTH },
	{ "into a pipe, to the end", t_end, BOTH },
	{ "refused", t_refused, BOTH },
};

NET_MAIN(cases)
