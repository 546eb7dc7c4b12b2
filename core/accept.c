/* SPDX-License-Identifier: MIT */
/*
 * See front.h: connections of a listener.
 *
 * Each accept request has an address and a handle of its own: multishot accept
 * has one shared address for all, and takes more than the program asked for.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "front.h"
#include "sys.h"

/* -1: nothing is wanted; 1: a lightweight socket. Where no more of these fit,
 * connections get descriptors: the kernel would drop them. */
static int next_kind(const struct front *f, struct accepts *a, bool *lw)
{
	int kind = a->wanted[1] ? 1 : 0;

	if (!a->wanted[kind])
		return -1;
	if (a->wanted[kind] != MP_FOREVER)
		a->wanted[kind]--;
	*lw = kind && f->lwsockets < f->lwsockets_max;
	return kind;
}

static struct accept_slot *idle_slot(struct mp_handle *h)
{
	struct accepts *a = h->accepts;
	struct accept_slot *s;
	unsigned int i;
	int id;

	for (i = 0; i < a->slots; i++)
		if (!a->slot[i].armed)
			return &a->slot[i];
	if (a->slots == FRONT_ACCEPTS)
		return NULL;
	s = &a->slot[a->slots];
	id = chan_register(h->front->ch, s);
	if (id < 0)
		return NULL;
	s->owner = OWNER_ACCEPT;
	s->handle = h;
	s->id = (uint32_t)id;
	a->slots++;
	return s;
}

static void arm(struct mp_handle *h)
{
	struct accepts *a = h->accepts;
	struct front *f = h->front;
	struct accept_slot *s;
	bool lw;

	while (a->armed < FRONT_ACCEPTS && (s = idle_slot(h))) {
		if (next_kind(f, a, &lw) < 0)
			return;
		s->armed = true;
		s->lw = lw;
		a->armed++;
		f->lwsockets += lw;
		chan_accept(f->ch, s->id, h->file.fd, &s->addr, &s->len, lw);
	}
}

void accept_arm(struct mp_handle *h)
{
	if (h->state == HANDLE_CLOSING)
		accept_cancel(h);
	else
		arm(h);
}

void accept_cancel(struct mp_handle *h)
{
	struct accepts *a = h->accepts;
	unsigned int i;

	if (!a || a->cancelled)
		return;
	a->cancelled = true;
	a->wanted[0] = a->wanted[1] = 0;
	for (i = 0; i < a->slots; i++)
		if (a->slot[i].armed)
			chan_cancel(h->front->ch, a->slot[i].id,
				    CHAN_OP_ACCEPT);
}

void accept_kick(const struct mp_handle *h)
{
	/* inet_shutdown() of a listening socket does this and no more. */
	sys_shutdown(h->file.fd, SHUT_WR);
}

void accept_free(struct mp_handle *h)
{
	struct front *f = h->front;
	unsigned int i;

	if (!h->accepts)
		return;
	for (i = 0; i < h->accepts->slots; i++)
		chan_unregister(f->ch, h->accepts->slot[i].id);
	pool_put(&f->accepts, h->accepts);
	h->accepts = NULL;
}

/* --- completions -------------------------------------------------------- */

static void take_peer(struct request *r, const struct accept_slot *s)
{
	r->peer_len = s->len < sizeof(r->peer) ? s->len : sizeof(r->peer);
	memcpy(r->peer, &s->addr, r->peer_len);
}

static void accepted(struct accept_slot *s, const struct chan_event *ev)
{
	struct mp_handle *h = s->handle;
	struct request *r = front_request(h, MP_OP_ACCEPT);

	take_peer(r, s);
	r->more = h->accepts->armed || h->accepts->wanted[0] ||
		  h->accepts->wanted[1];
	if (s->lw)
		front_unregistered(h->front, ev->result, true);
	spread_count(&h->place, h->front->connections, true);
	front_complete(r, ev->result | (s->lw ? MP_LWSOCKET : 0));
	h->accepts->ask = ev->nonempty || !chan_caps(h->front->ch)->nonempty;
	if (!h->accepts->ask)
		h->accepts->pending = 0;
}

/* An error ends what has not begun: to try again and again would only burn
 * time, and when it is worth it is the program's to say. */
static void failed(struct accept_slot *s, int result)
{
	struct accepts *a = s->handle->accepts;
	struct request *r;

	if (a->cancelled && result == -ECANCELED)
		return;
	a->wanted[0] = a->wanted[1] = 0;
	r = front_request(s->handle, MP_OP_ACCEPT);
	r->more = a->armed;
	front_complete(r, result);
}

void accept_done(struct accept_slot *s, const struct chan_event *ev)
{
	struct mp_handle *h = s->handle;

	s->armed = false;
	h->accepts->armed--;
	if (ev->result < 0) {
		h->front->lwsockets -= s->lw;
		failed(s, ev->result);
	} else {
		accepted(s, ev);
	}
	front_touch(h);
}

/* How many wait in the kernel: once for all completions of a turn, and not at
 * all when the kernel has said that there are none. */
static unsigned int backlog(int fd, unsigned int otherwise)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	info.tcpi_unacked = otherwise;
	if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return otherwise;
	return info.tcpi_unacked;
}

unsigned int accept_pending(struct mp_handle *h)
{
	struct accepts *a = h->accepts;

	if (a && a->ask) {
		a->ask = false;
		a->pending = backlog(h->file.fd,
				     chan_caps(h->front->ch)->nonempty);
	}
	return a ? a->pending : 0;
}
