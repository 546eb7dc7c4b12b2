/* SPDX-License-Identifier: MIT */
/*
 * The server on libmegapipe. Without "batch" each request is handed over by
 * itself, and each completion is taken by itself, as a system call would be.
 */
#include <megapipe.h>

#include "server.h"

static void read_more(struct conn *c)
{
	mp_read(c->handle, c->buf + c->got, setup.size - c->got);
}

static void accepted(struct thread *t, struct mp_channel *ch,
		     const struct mp_completion *ev)
{
	struct conn *c = conn_new(t);

	if (mp_register(ch, ev->result, c, NULL, &c->handle) < 0)
		die("mp_register", -ev->result);
	read_more(c);
}

static void received(struct conn *c, int n)
{
	if (n <= 0)
		mp_close(c->handle);
	else if (conn_received(c, (size_t)n))
		mp_write(c->handle, c->buf, setup.size);
	else
		read_more(c);
}

static void complete(struct thread *t, struct mp_channel *ch,
		     const struct mp_completion *ev)
{
	struct conn *c = ev->cookie;

	switch (ev->op) {
	case MP_OP_ACCEPT:
		if (ev->result < 0)
			die("accept", ev->result);
		accepted(t, ch, ev);
		break;
	case MP_OP_READ:
		received(c, ev->result);
		break;
	case MP_OP_WRITE:
		if (ev->result == (int)setup.size)
			read_more(c);
		else
			mp_close(c->handle);
		break;
	case MP_OP_CLOSE:
		conn_free(t, c);
		break;
	default:
		break;
	}
}

static struct mp_handle *listener_of(struct thread *t, struct mp_channel *ch)
{
	struct mp_cpu_mask mask = { { 0 } };
	struct mp_handle *h;
	int ret;

	mp_cpu_add(&mask, (unsigned int)t->index);
	ret = mp_register(ch, setup.listener, NULL,
			  setup.partition ? &mask : NULL, &h);
	if (ret < 0)
		die("mp_register", ret);
	return h;
}

void serve_megapipe(struct thread *t)
{
	struct mp_options options = MP_OPTIONS_INIT;
	struct mp_completion ev[64];
	struct mp_channel *ch;
	int i, n, ret;

	if (!setup.batch)
		options.batch = 1;
	if (!setup.lwsocket)
		options.lwsockets = 0;
	ret = mp_create(&options, &ch);
	if (ret < 0)
		die("mp_create", ret);
	mp_accept(listener_of(t, ch), MP_FOREVER, setup.lwsocket);
	for (;;) {
		n = mp_dispatch_many(ch, ev, setup.batch ? 64 : 1, -1);
		for (i = 0; i < n; i++)
			complete(t, ch, &ev[i]);
	}
}
