/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1.1 server that says hello: keep-alive, pipelining, HTTP/1.0.
 *
 *	http_hello PORT
 *
 * Requests have no body here; each ends with an empty line.
 */
#include "common.h"

static const char keep[] = "HTTP/1.1 200 OK\r\nServer: megapipe\r\n"
			   "Content-Type: text/plain\r\n"
			   "Content-Length: 6\r\n\r\nhello\n";
static const char last[] = "HTTP/1.1 200 OK\r\nServer: megapipe\r\n"
			   "Content-Type: text/plain\r\nContent-Length: 6\r\n"
			   "Connection: close\r\n\r\nhello\n";
static const char large[] = "HTTP/1.1 431 Request Header Fields Too Large\r\n"
			    "Content-Length: 0\r\nConnection: close\r\n\r\n";

struct conn {
	struct mp_handle *handle;
	size_t have;		/* bytes of the next request */
	int closing;
	char buf[8192];
};

static void end(struct conn *c)
{
	if (!c->closing)
		mp_close(c->handle);
	c->closing = 1;
}

static void answer(struct conn *c, const char *text, size_t len)
{
	mp_write(c->handle, text, len);
}

/* The last request of a connection? *head* is its lines. */
static int is_last(const char *head, size_t len)
{
	if (memmem(head, len, "HTTP/1.0", 8))
		return !memmem(head, len, "eep-", 4);
	return memmem(head, len, "Connection: close", 17) != NULL;
}

/* Answers every whole request that is there. */
static void requests(struct conn *c)
{
	char *at = c->buf, *stop;

	while (!c->closing && (stop = memmem(at, c->have, "\r\n\r\n", 4))) {
		size_t len = (size_t)(stop + 4 - at);

		if (is_last(at, len)) {
			answer(c, last, sizeof(last) - 1);
			end(c);
		} else {
			answer(c, keep, sizeof(keep) - 1);
		}
		at += len;
		c->have -= len;
	}
	memmove(c->buf, at, c->have);
	if (!c->closing && c->have == sizeof(c->buf)) {
		answer(c, large, sizeof(large) - 1);
		end(c);
	}
	if (!c->closing)
		mp_read(c->handle, c->buf + c->have, sizeof(c->buf) - c->have);
}

static void begin(struct mp_channel *ch, int sock)
{
	struct conn *c = malloc(sizeof(*c));

	if (!c || mp_register(ch, sock, c, NULL, &c->handle) < 0)
		die("register", ENOMEM);
	c->have = 0;
	c->closing = 0;
	mp_read(c->handle, c->buf, sizeof(c->buf));
}

static void complete(struct mp_channel *ch, const struct mp_completion *ev)
{
	struct conn *c = ev->cookie;

	switch (ev->op) {
	case MP_OP_ACCEPT:
		if (ev->result >= 0)
			begin(ch, ev->result);
		else if (!ev->more)
			mp_accept(ev->handle, MP_FOREVER, 1);
		break;
	case MP_OP_READ:
		if (ev->result <= 0) {
			end(c);
			break;
		}
		c->have += (size_t)ev->result;
		requests(c);
		break;
	case MP_OP_WRITE:
		if (ev->result < 0)
			end(c);
		break;
	case MP_OP_CLOSE:
		free(c);
		break;
	default:
		break;
	}
}

int main(int argc, char **argv)
{
	struct mp_channel *ch;
	struct mp_handle *listener;
	struct mp_completion ev[64];
	int i, n, fd = listen_on(argc > 1 ? argv[1] : "0");
	int ret = mp_create(NULL, &ch);

	if (ret < 0)
		die("mp_create", ret);
	ret = mp_register(ch, fd, NULL, NULL, &listener);
	if (ret < 0)
		die("mp_register", ret);
	mp_accept(listener, MP_FOREVER, 1);
	for (;;) {
		n = mp_dispatch_many(ch, ev, 64, -1);
		for (i = 0; i < n; i++)
			complete(ch, &ev[i]);
	}
}
