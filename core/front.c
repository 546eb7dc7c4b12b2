/* SPDX-License-Identifier: MIT */
/*
 * See front.h: how the front and its handles begin and end.
 */
#include <errno.h>
#include <string.h>

#include "front.h"
#include "sys.h"

#define BLOCK 65536

static size_t bitmap_bytes(const struct front *f)
{
	return (f->lwsockets_max + 63) / 64 * 8;
}

/* Others may wait for the same connections. Where the thread has ended its
 * requests can't be, and the end of the ring must do. */
static void leave_listeners(struct front *f)
{
	struct mp_handle *h, *next;

	for (h = f->listeners; h; h = next) {
		next = h->next_listener;
		if (mp_unregister(h) < 0)
			spread_leave(&h->place, false);
	}
}

/* Descriptors are the caller's, and partitions are left; the channel closes
 * its lightweight sockets itself. */
static void destroy(void *arg, bool forked)
{
	struct front *f = arg;

	if (!forked)
		leave_listeners(f);
	if (stat_line == &f->line)
		stat_line = &stats_rest.line;
	if (f->unregistered)
		sys_unmap(f->unregistered, bitmap_bytes(f));
	pool_close(&f->handles);
	pool_close(&f->requests);
	pool_close(&f->accepts);
	sys_unmap(f, sizeof(*f));
}

static void prepare(void *arg)
{
	front_prepare(arg);
}

static const struct chan_front calls = { prepare, destroy };

static int make(struct mp_channel *ch, struct front **out)
{
	struct front *f = sys_map(sizeof(*f), MAP_PRIVATE);

	if (!f)
		return -ENOMEM;
	f->ch = ch;
	f->handles = (struct pool){ .size = sizeof(struct mp_handle),
				    .block = BLOCK, .ends = true };
	f->requests = (struct pool){ .size = sizeof(struct request),
				     .block = BLOCK, .ends = true };
	f->accepts = (struct pool){ .size = sizeof(struct accepts),
				    .block = BLOCK, .ends = true };
	if (chan_caps(ch)->lwsocket)
		f->lwsockets_max = chan_slots(ch);
	if (f->lwsockets_max)
		f->unregistered = sys_map(bitmap_bytes(f), MAP_PRIVATE);
	if (f->lwsockets_max && !f->unregistered) {
		sys_unmap(f, sizeof(*f));
		return -ENOMEM;
	}
	/* Threads must not share a line of counters. */
	if (stat_line == &stats_rest.line)
		stat_line = &f->line;
	chan_set_front(ch, &calls, f);
	*out = f;
	return 0;
}

int front_get(struct mp_channel *ch, struct front **out)
{
	*out = chan_front_arg(ch);
	return *out ? 0 : make(ch, out);
}

/* --- handles ----------------------------------------------------------- */

void front_unregistered(struct front *f, int slot, bool yes)
{
	if (yes)
		f->unregistered[slot / 64] |= front_bit((unsigned int)slot);
	else
		f->unregistered[slot / 64] &= ~front_bit((unsigned int)slot);
}

static bool is_unregistered(const struct front *f, int slot)
{
	return (unsigned int)slot < f->lwsockets_max &&
	       f->unregistered[slot / 64] >> (slot % 64) & 1;
}

static int new_handle(struct front *f, struct mp_handle **out)
{
	struct mp_handle *h = pool_get(&f->handles);
	int id;

	if (!h)
		return -ENOMEM;
	memset(h, 0, sizeof(*h));
	id = chan_register(f->ch, h);
	if (id < 0) {
		pool_put(&f->handles, h);
		return id;
	}
	h->owner = OWNER_HANDLE;
	h->front = f;
	h->id = (uint32_t)id;
	*out = h;
	return 0;
}

void front_count(const struct front *f)
{
	const struct mp_handle *h;

	for (h = f->listeners; h; h = h->next_listener)
		spread_count(&h->place, f->connections, false);
}

void front_enlist(struct mp_handle *h)
{
	if (h->listed)
		return;
	h->next_listener = h->front->listeners;
	h->front->listeners = h;
	h->listed = true;
}

/* A partition of its own, for those who ask for one. */
static int partition(struct mp_handle *h, int fd,
		     const struct mp_cpu_mask *mask)
{
	int ret;

	if (!mask)
		return MP_PARTITION_NONE;
	if (h->file.lw)
		return -EINVAL;
	ret = spread_join(fd, mask, &h->place);
	if (ret < 0)
		return ret;
	h->file.fd = h->place.fd;
	front_enlist(h);
	return ret;
}

int mp_register(struct mp_channel *ch, int fd, void *cookie,
		const struct mp_cpu_mask *cpu_mask, struct mp_handle **out)
{
	struct mp_handle *h;
	struct front *f;
	int ret = chan_check(ch);

	if (ret < 0)
		return ret;
	ret = front_get(ch, &f);
	if (ret < 0)
		return ret;
	if (fd < 0 || ((fd & MP_LWSOCKET) &&
		       !is_unregistered(f, fd & ~MP_LWSOCKET)))
		return -EBADF;
	ret = new_handle(f, &h);
	if (ret < 0)
		return ret;
	h->cookie = cookie;
	h->file.fd = fd & ~MP_LWSOCKET;
	h->file.lw = fd & MP_LWSOCKET;
	ret = partition(h, fd, cpu_mask);
	if (ret < 0) {
		front_free(h);
		return ret;
	}
	if (h->file.lw) {
		h->type = TYPE_SOCKET;
		front_unregistered(f, h->file.fd, false);
	}
	h->state = HANDLE_OPEN;
	f->connections++;
	h->counted = true;
	*out = h;
	return ret;
}

static void unlink_touched(struct mp_handle *h)
{
	struct front *f = h->front;
	struct mp_handle **p = &f->touched, *before = NULL;

	while (*p != h) {
		before = *p;
		p = &before->next;
	}
	*p = h->next;
	if (f->touched_last == h)
		f->touched_last = before;
}

static void unlink_starved(struct mp_handle *h)
{
	struct mp_handle **p = &h->front->starved;

	while (*p != h)
		p = &(*p)->next_starved;
	*p = h->next_starved;
}

static void unlink_listener(struct mp_handle *h)
{
	struct mp_handle **p = &h->front->listeners;

	while (*p != h)
		p = &(*p)->next_listener;
	*p = h->next_listener;
}

void front_free(struct mp_handle *h)
{
	struct front *f = h->front;

	if (h->touched)
		unlink_touched(h);
	if (h->starved)
		unlink_starved(h);
	if (h->listed)
		unlink_listener(h);
	if (h->counted)
		f->connections--;
	accept_free(h);
	chan_unregister(f->ch, h->id);
	h->touched = h->starved = h->listed = h->counted = false;
	h->state = HANDLE_FREE;
	pool_put(&f->handles, h);
}

/* --- the end of what is pending ---------------------------------------- */

bool front_in_flight(const struct mp_handle *h)
{
	return h->rx_armed || h->tx_armed || h->connect_armed ||
	       h->close_armed || (h->accepts && h->accepts->armed);
}

void front_cancel(struct mp_handle *h)
{
	struct mp_channel *ch = h->front->ch;

	if (h->rx_armed && !h->rx_cancelled) {
		h->rx_cancelled = true;
		chan_cancel(ch, h->id, CHAN_OP_RECV);
	}
	if (h->tx_armed)
		chan_cancel(ch, h->id, CHAN_OP_SEND);
	if (h->connect_armed)
		chan_cancel(ch, h->id, CHAN_OP_CONNECT);
	accept_cancel(h);
}

/* What is there for the handle is given up: connections are closed. */
static void discard(struct front *f, struct request *r)
{
	struct chan_file file = { .fd = r->result & ~MP_LWSOCKET,
				  .lw = r->result & MP_LWSOCKET };

	if (r->op == MP_OP_ACCEPT && r->result >= 0) {
		if (file.lw) {
			front_unregistered(f, file.fd, false);
			f->lwsockets--;
		}
		chan_call_close(f->ch, file);
	}
	if (r->data) {
		f->lent--;
		chan_put_buffer(f->ch, r->buffer);
	}
	front_drop(r);
}

static void drop_queue(struct queue *q)
{
	struct request *r;

	while ((r = queue_get(q)))
		front_drop(r);
}

static void discard_done(struct mp_handle *h)
{
	struct front *f = h->front;
	struct queue keep = { NULL, NULL }, all = f->done;
	struct request *r;

	while ((r = queue_get(&all))) {
		if (r->handle == h)
			discard(f, r);
		else
			queue_put(&keep, r);
	}
	f->done = keep;
}

/* The kernel must be done with the caller's memory. */
static void await_end(struct mp_handle *h)
{
	struct front *f = h->front;

	bool kick = h->accepts && h->accepts->armed;

	front_cancel(h);
	while (front_in_flight(h)) {
		chan_flush_reap(f->ch);
		if (front_drain(f) < 0 || !front_in_flight(h))
			continue;
		if (!chan_ready(f->ch))
			chan_wait(f->ch, -1, NULL);
		front_drain(f);
	}
	if (kick)
		accept_kick(h);
}

int mp_unregister(struct mp_handle *h)
{
	struct front *f = h->front;
	int ret = chan_check(f->ch);

	if (ret < 0)
		return ret;
	if (h->state != HANDLE_OPEN)
		return -EBADF;
	h->state = HANDLE_DEAD;
	spread_pause(&h->place);
	await_end(h);
	drop_queue(&h->rx);
	drop_queue(&h->tx);
	discard_done(h);
	spread_leave(&h->place, false);
	if (h->file.lw)
		front_unregistered(f, h->file.fd, true);
	front_free(h);
	return 0;
}

int mp_to_fd(struct mp_handle *h)
{
	struct front *f = h->front;
	int fd, ret = chan_check(f->ch);

	if (ret < 0)
		return ret;
	if (h->state != HANDLE_OPEN)
		return -EBADF;
	if (!h->file.lw)
		return h->file.fd;
	fd = chan_call_install(f->ch, h->file.fd);
	if (fd < 0)
		return fd;
	/* Requests in flight keep the socket that they began with. */
	chan_call_close(f->ch, h->file);
	f->lwsockets--;
	h->file = (struct chan_file){ .fd = fd };
	return fd;
}
