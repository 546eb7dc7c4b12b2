/* SPDX-License-Identifier: MIT */
/*
 * Description: a stdio stream on a live connection.
 */
#include "../lib/net.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void arrive(struct fix *f, const char *text)
{
	peer_write(f->peer, text, strlen(text));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static FILE *open_stream(struct fix *f)
{
	FILE *file = fdopen(f->fd, "r+");

	CHECK(file != NULL);
	CHECK_EQ(fileno(file), f->fd);
	return file;
}

static void t_both_ways(struct fix *f)
{
	char line[64];
	FILE *file;

	if (tap_preloaded())
		tap_skip("LIMIT: bytes read ahead are not in the stream");
	arrive(f, "first line\nsecond line\n");
	file = open_stream(f);
	CHECK(fgets(line, sizeof(line), file) != NULL);
	CHECK_MEM(line, "first line\n", 12);
	CHECK(fgets(line, sizeof(line), file) != NULL);
	CHECK_MEM(line, "second line\n", 13);
	CHECK(fprintf(file, "number %d\n", 42) == 10);
	CHECK_EQ(fflush(file), 0);
	peer_expect(f->peer, "number 42\n");
	CHECK_EQ(fclose(file), 0);
	f->fd = -1;
	peer_eof(f->peer);
}

/* fclose() writes what is buffered, then closes; the set forgets it. */
static void t_fclose(struct fix *f)
{
	FILE *file = open_stream(f);
	struct epoll_event ev;
	int fd = f->fd;
	char byte;

	CHECK_EQ(fputs("buffered", file), 1);
	CHECK_EQ(fclose(file), 0);
	f->fd = -1;
	peer_expect(f->peer, "buffered");
	peer_eof(f->peer);
	CHECK_ERRNO(recv(fd, &byte, 1, 0), EBADF);
	CHECK_ERRNO(epoll_ctl(f->ep, EPOLL_CTL_DEL, fd, NULL), EBADF);
	CHECK_EQ(MUST(epoll_wait(f->ep, &ev, 1, 0)), 0);
}

static void t_mixed_with_calls(struct fix *f)
{
	FILE *file;

	CHECK_EQ(send(f->fd, "one ", 4, 0), 4);
	file = open_stream(f);
	setvbuf(file, NULL, _IONBF, 0);
	CHECK(fprintf(file, "two ") == 4);
	CHECK_EQ(send(f->fd, "three ", 6, 0), 6);
	CHECK(fwrite("four", 1, 4, file) == 4);
	peer_expect(f->peer, "one two three four");
	CHECK_EQ(fclose(file), 0);
	f->fd = -1;
	peer_eof(f->peer);
}

static void t_eof_and_eagain(struct fix *f)
{
	FILE *file = open_stream(f);

	CHECK_ERRNO(fgetc(file), EAGAIN);
	CHECK(ferror(file));
	clearerr(file);
	peer_write(f->peer, "x", 1);
	MUST(shutdown(f->peer, SHUT_WR));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	CHECK_EQ(fgetc(file), 'x');
	CHECK_EQ(fgetc(file), EOF);
	CHECK(feof(file));
	CHECK_EQ(fclose(file), 0);
	f->fd = -1;
}

static void t_dprintf(struct fix *f)
{
	CHECK_EQ(send(f->fd, "a", 1, 0), 1);
	CHECK_EQ(dprintf(f->fd, "%s-%d", "value", 7), 7);
	CHECK_EQ(send(f->fd, "b", 1, 0), 1);
	peer_expect(f->peer, "avalue-7b");
}

static const struct net_case cases[] = {
	{ "fgets and fprintf", t_both_ways, BOTH },
	{ "fclose() flushes and closes", t_fclose, BOTH },
	{ "stream writes between plain ones", t_mixed_with_calls, BOTH },
	{ "EAGAIN and EOF", t_eof_and_eagain, BOTH },
	{ "dprintf()", t_dprintf, BOTH },
};

NET_MAIN(cases)
