/* SPDX-License-Identifier: MIT */
/*
 * A TCP proxy: each connection is passed on to another port, both ways, and
 * so is the end of each direction.
 *
 *	tcp_proxy PORT TO-PORT
 *
 * One buffer a direction: what is not written is not read over, which is all
 * the flow control there is.
 */
#include "common.h"

struct pair;

/* One of the two sockets, and the way from it to the other. */
struct side {
	struct pair *pair;
	struct side *other;
	struct mp_handle *handle;
	int ended;		/* nothing more is read from it */
	char buf[65536];
};

struct pair {
	struct side client, server;
	int closing, closed;
};

static struct mp_channel *ch;
static struct sockaddr_in to;

static void end(struct pair *p)
{
	if (p->closing)
		return;
	p->closing = 1;
	mp_close(p->client.handle);
	mp_close(p->server.handle);
}

static void begin(int sock)
{
	struct pair *p = malloc(sizeof(*p));
	int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!p || out < 0)
		die("connection", errno);
	p->closing = p->closed = p->client.ended = p->server.ended = 0;
	p->client.pair = p->server.pair = p;
	p->client.other = &p->server;
	p->server.other = &p->client;
	if (mp_register(ch, sock, &p->client, NULL, &p->client.handle) < 0 ||
	    mp_register(ch, out, &p->server, NULL, &p->server.handle) < 0)
		die("mp_register", ENOMEM);
	mp_connect(p->server.handle, (struct sockaddr *)&to, sizeof(to));
}

static void more(struct side *from)
{
	if (!from->pair->closing)
		mp_read(from->handle, from->buf, sizeof(from->buf));
}

static void connected(struct side *server, int result)
{
	if (result < 0) {
		end(server->pair);
		return;
	}
	more(server);
	more(server->other);
}

/* Both ends over: nothing is left to do. */
static void received(struct side *from, int result)
{
	struct pair *p = from->pair;

	if (p->closing)
		return;
	if (result < 0) {
		end(p);
	} else if (result > 0) {
		mp_write(from->other->handle, from->buf, (size_t)result);
	} else {
		from->ended = 1;
		mp_disconnect(from->other->handle, SHUT_WR);
	}
}

static void complete(const struct mp_completion *ev)
{
	struct side *s = ev->cookie;

	switch (ev->op) {
	case MP_OP_ACCEPT:
		if (ev->result >= 0)
			begin(ev->result);
		else if (!ev->more)
			mp_accept(ev->handle, MP_FOREVER, 1);
		break;
	case MP_OP_CONNECT:
		connected(s, ev->result);
		break;
	case MP_OP_READ:
		received(s, ev->result);
		break;
	case MP_OP_WRITE:
		if (ev->result < 0)
			end(s->pair);
		else
			more(s->other);
		break;
	case MP_OP_DISCONNECT:
		if (s->ended && s->other->ended)
			end(s->pair);
		break;
	case MP_OP_CLOSE:
		if (++s->pair->closed == 2)
			free(s->pair);
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
		die("usage: tcp_proxy PORT TO-PORT", EINVAL);
	to = address(argv[2]);
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
