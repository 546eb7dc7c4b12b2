/* SPDX-License-Identifier: MIT */
/*
 * Description: sendfile() in order with the writes around it.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define BIG (8 << 20)

/* An unlinked file that holds stream bytes [offset, offset + len). */
static int make_file(size_t offset, size_t len)
{
	char name[] = "/tmp/mp_sendfile.XXXXXX";
	static char buf[1 << 16];
	int fd = MUST(mkstemp(name));

	MUST(unlink(name));
	while (len) {
		size_t part = len < sizeof(buf) ? len : sizeof(buf);

		bytes_fill(buf, part, offset);
		CHECK_EQ(write(fd, buf, part), part);
		offset += part;
		len -= part;
	}
	MUST(lseek(fd, 0, SEEK_SET));
	return fd;
}

/* sendfile() until all is sent; waits for OUT at EAGAIN. */
static void send_all(struct fix *f, int file, off_t *offset, size_t len)
{
	while (len) {
		ssize_t n = sendfile(f->fd, file, offset, len);

		if (n > 0) {
			len -= n;
			continue;
		}
		CHECK_EQ(n, -1);
		CHECK_EQ(errno, EAGAIN);
		set_mod(f->ep, f->fd, EPOLLIN | EPOLLOUT);
		set_wait(f->ep, f->fd, EPOLLOUT);
		set_mod(f->ep, f->fd, EPOLLIN);
	}
}

static void send_stream(struct fix *f, size_t offset, size_t len)
{
	char buf[4096];

	CHECK(len <= sizeof(buf));
	bytes_fill(buf, len, offset);
	server_write(f->ep, f->fd, buf, len);
}

/* Header, file, trailer: one stream for the peer. */
static void sandwich(struct fix *f, size_t size, bool slow, bool cork)
{
	int file = make_file(300, size), on = 1, off = 0;
	struct peer_reader r;
	off_t offset = 0;

	peer_reader_start(&r, f->peer, slow);
	if (cork)
		MUST(setsockopt(f->fd, IPPROTO_TCP, TCP_CORK, &on,
				sizeof(on)));
	send_stream(f, 0, 300);
	send_all(f, file, &offset, size);
	CHECK_EQ(offset, size);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
	send_stream(f, 300 + size, 50);
	if (cork)
		MUST(setsockopt(f->fd, IPPROTO_TCP, TCP_CORK, &off,
				sizeof(off)));
	MUST(close(f->fd));
	f->fd = -1;
	peer_reader_expect(&r, 300 + size + 50);
	MUST(close(file));
}

static void t_small(struct fix *f)
{
	sandwich(f, 612, false, false);
}

static void t_middle(struct fix *f)
{
	sandwich(f, 64 << 10, false, false);
}

static void t_big(struct fix *f)
{
	sandwich(f, BIG, false, false);
}

static void t_big_slow(struct fix *f)
{
	sandwich(f, BIG, true, false);
}

static void t_cork_small(struct fix *f)
{
	sandwich(f, 612, false, true);
}

static void t_cork_big(struct fix *f)
{
	sandwich(f, BIG, false, true);
}

/* A NULL offset moves the file's own position; a given one does not. */
static void t_offsets(struct fix *f)
{
	int file = make_file(0, 1000);
	char got[1000], want[1000];
	off_t offset = 600;

	CHECK_EQ(sendfile(f->fd, file, NULL, 400), 400);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 400);
	CHECK_EQ(sendfile(f->fd, file, NULL, 200), 200);
	CHECK_EQ(sendfile(f->fd, file, &offset, 5000), 400);
	CHECK_EQ(offset, 1000);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 600);
	CHECK_EQ(sendfile(f->fd, file, &offset, 10), 0);
	CHECK_EQ(sendfile(f->fd, file, &offset, 0), 0);
	peer_read(f->peer, got, 1000);
	bytes_fill(want, 1000, 0);
	CHECK_MEM(got, want, 1000);
	MUST(close(file));
}

/* Writes, files and reads in turn on one connection. */
static void t_turns(struct fix *f)
{
	int file = make_file(0, 3000);
	char got[3000], want[3000];

	bytes_fill(want, 3000, 0);
	for (int i = 0; i < 10; i++) {
		off_t offset = 1000;

		peer_write(f->peer, "get", 3);
		server_read(f->ep, f->fd, got, 3);
		CHECK_EQ(send(f->fd, want, 500, MSG_MORE), 500);
		CHECK_EQ(write(f->fd, want + 500, 500), 500);
		CHECK_EQ(sendfile(f->fd, file, &offset, 2000), 2000);
		peer_read(f->peer, got, 3000);
		CHECK_MEM(got, want, 3000);
	}
	MUST(close(file));
}

static void t_errno(struct fix *f)
{
	int file = make_file(0, 100);
	off_t offset = -1;

	CHECK_ERRNO(sendfile(f->fd, file, &offset, 10), EINVAL);
	CHECK_ERRNO(sendfile(f->fd, -1, NULL, 10), EBADF);
	CHECK_ERRNO(sendfile(-1, file, NULL, 10), EBADF);
	MUST(shutdown(f->fd, SHUT_WR));
	CHECK_ERRNO(sendfile(f->fd, file, NULL, 10), EPIPE);
	MUST(close(file));
}

static const struct net_case cases[] = {
	{ "612 bytes", t_small, BOTH },
	{ "64 KiB", t_middle, BOTH },
	{ "8 MiB", t_big, BOTH },
	{ "8 MiB to a slow peer", t_big_slow, BOTH },
	{ "612 bytes, corked", t_cork_small, BOTH },
	{ "8 MiB, corked", t_cork_big, BOTH },
	{ "offsets", t_offsets, BOTH },
	{ "send, write, sendfile in turns", t_turns, BOTH },
	{ "errno", t_errno, BOTH },
};

int main(void)
{
	/* sendfile() knows no MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	return net_main(cases, ARRAY_SIZE(cases));
}
