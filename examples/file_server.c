/* SPDX-License-Identifier: MIT */
/*
 * A file server: a line with a name comes, the file's bytes go, then the end.
 *
 *	file_server PORT DIRECTORY
 *
 * The file is a handle like the socket: what is read from one is written to
 * the other, and no call blocks the loop but open(2).
 */
#include <fcntl.h>

#include "common.h"

struct conn {
	struct mp_handle *sock, *file;
	int closing;		/* requests to close that were made */
	int closed;
	size_t have;		/* of the name */
	char name[256];
	char buf[65536];
};

static struct mp_channel *ch;
static int directory;

static void end(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = c->file ? 2 : 1;
	mp_close(c->sock);
	if (c->file)
		mp_close(c->file);
}

static void begin(int sock)
{
	struct conn *c = malloc(sizeof(*c));

	if (!c || mp_register(ch, sock, c, NULL, &c->sock) < 0)
		die("mp_register", ENOMEM);
	c->file = NULL;
	c->closing = c->closed = 0;
	c->have = 0;
	mp_read(c->sock, c->name, sizeof(c->name));
}

/* Only plain names: no way leads out of the directory. */
static void open_file(struct conn *c)
{
	int fd = -1;

	if (!strchr(c->name, '/') && c->name[0] != '.')
		fd = openat(directory, c->name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || mp_register(ch, fd, c, NULL, &c->file) < 0) {
		end(c);
		return;
	}
	mp_read(c->file, c->buf, sizeof(c->buf));
}

static void got_name(struct conn *c, int n)
{
	char *line_end;

	c->have += n > 0 ? (size_t)n : 0;
	line_end = memchr(c->name, '\n', c->have);
	if (n > 0 && !line_end && c->have < sizeof(c->name)) {
		mp_read(c->sock, c->name + c->have,
			sizeof(c->name) - c->have);
	} else if (line_end) {
		*line_end = 0;
		open_file(c);
	} else {
		end(c);
	}
}

static void got_bytes(struct conn *c, int n)
{
	if (c->closing)
		return;
	if (n > 0)
		mp_write(c->sock, c->buf, (size_t)n);
	else
		end(c);
}

static void complete(const struct mp_completion *ev)
{
	struct conn *c = ev->cookie;

	switch (ev->op) {
	case MP_OP_ACCEPT:
		if (ev->result >= 0)
			begin(ev->result);
		else if (!ev->more)
			mp_accept(ev->handle, MP_FOREVER, 1);
		break;
	case MP_OP_READ:
		if (ev->handle == c->sock)
			got_name(c, ev->result);
		else
			got_bytes(c, ev->result);
		break;
	case MP_OP_WRITE:
		if (ev->result < 0)
			end(c);
		else if (!c->closing)
			mp_read(c->file, c->buf, sizeof(c->buf));
		break;
	case MP_OP_CLOSE:
		if (++c->closed == c->closing)
			free(c);
		break;
	default:
		break;
	}
}

int main(int argc, char **argv)
{
	struct mp_handle *listener;
	struct mp_completion ev[64];
	int i, n, fd, ret;

	if (argc < 3)
		die("usage: file_server PORT DIRECTORY", EINVAL);
	directory = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		die(argv[2], errno);
	fd = listen_on(argv[1]);
	ret = mp_create(NULL, &ch);
	if (ret < 0)
		die("mp_create", ret);
	ret = mp_register(ch, fd, NULL, NULL, &listener);
	if (ret < 0)
		die("mp_register", ret);
	mp_accept(listener, MP_FOREVER, 1);
	for (;;) {
		n = mp_dispatch_many(ch, ev, 64, -1);
		for (i = 0; i < n; i++)
			complete(&ev[i]);
	}
}
