/* SPDX-License-Identifier: MIT */
/*
 * See front.h: completions, and their dispatch.
 */
#include <errno.h>
#include <string.h>

#include "front.h"
#include "sys.h"

/* --- reading ------------------------------------------------------------ */

/* The first request of a descriptor asks as if it were a socket: what is none
 * says so and is asked again, and no connection pays for the question. A read
 * and a write may both find it out. */
static bool is_file(struct mp_handle *h, int result, bool asked)
{
	if (!asked && result == -ENOTSOCK && h->type != TYPE_SOCKET) {
		h->type = TYPE_FILE;
		return true;
	}
	if (result >= 0 && h->type == TYPE_UNKNOWN)
		h->type = TYPE_SOCKET;
	return false;
}

/* No buffer is free: again when one is given back. */
static void starve(struct mp_handle *h)
{
	struct front *f = h->front;

	if (!f->lent)
		return;
	h->starved = true;
	h->next_starved = f->starved;
	f->starved = h;
}

/* A piece of a stream. Its request stays at the head of the queue. */
static void stream_piece(struct mp_handle *h, const struct chan_event *ev)
{
	struct request *r = front_request(h, MP_OP_READ_STREAM);

	h->front->lent++;
	h->rx_seen = true;
	r->data = ev->data;
	r->buffer = ev->buffer;
	r->more = true;
	front_complete(r, ev->result);
}

static void stream_done(struct mp_handle *h, const struct chan_event *ev)
{
	if (ev->data && ev->result <= 0)
		chan_put_buffer(h->front->ch, ev->buffer);
	if (ev->result > 0)
		stream_piece(h, ev);
	else if (ev->result == -ENOBUFS)
		starve(h);
	else
		front_complete(queue_get(&h->rx), ev->result);
}

static void read_done(struct mp_handle *h, const struct chan_event *ev)
{
	const struct request *r = h->rx.head;
	bool lent = r->op == MP_OP_READ_STREAM;

	if (!ev->more) {
		h->rx_armed = false;
		h->rx_cancelled = false;
		front_touch(h);
	}
	if (is_file(h, ev->result, lent || h->rx_file))
		return;
	if (lent)
		stream_done(h, ev);
	else
		front_complete(queue_get(&h->rx), ev->result);
}

/* --- writing ------------------------------------------------------------ */

static void advance(struct request *r, size_t n)
{
	r->done += n;
	while (r->at < r->count && n >= r->iov[r->at].iov_len - r->skip) {
		n -= r->iov[r->at++].iov_len - r->skip;
		r->skip = 0;
	}
	r->skip += n;
}

static void written(struct mp_handle *h, size_t n)
{
	struct request *r;
	size_t part;

	while (n && (r = h->tx.head)) {
		part = r->len - r->done < n ? r->len - r->done : n;
		advance(r, part);
		n -= part;
		if (r->done < r->len)
			return;
		queue_get(&h->tx);
		front_complete(r, (int)r->done);
	}
}

/* A write that was begun tells what it did; the next one meets the error. */
static void write_done(struct mp_handle *h, const struct chan_event *ev)
{
	struct request *r;

	h->tx_armed = 0;
	front_touch(h);
	if (is_file(h, ev->result, h->tx_file))
		return;
	if (ev->result > 0) {
		written(h, (size_t)ev->result);
		return;
	}
	r = queue_get(&h->tx);
	front_complete(r, r->done ? (int)r->done : ev->result);
}

static void connect_done(struct mp_handle *h, const struct chan_event *ev)
{
	h->connect_armed = h->connect_cancelled = false;
	h->connects--;
	front_touch(h);
	if (!ev->result)
		h->type = TYPE_SOCKET;
	front_complete(queue_get(&h->tx), ev->result);
}

/* --- closing ------------------------------------------------------------ */

/* The close that was linked to a send that fell short: once more, behind the
 * rest. */
static void close_done(struct mp_handle *h, const struct chan_event *ev)
{
	struct front *f = h->front;

	h->close_armed = false;
	if (ev->result == -ECANCELED) {
		front_touch(h);
		return;
	}
	if (h->file.lw)
		f->lwsockets--;
	spread_leave(&h->place, true);
	h->state = HANDLE_DEAD;
	if (h->counted)
		f->connections--;
	h->counted = false;
	front_count(f);
	front_complete(h->close, ev->result);
}

static void deliver(const struct chan_event *ev)
{
	struct mp_handle *h = ev->owner;

	if (*(uint8_t *)ev->owner == OWNER_ACCEPT) {
		accept_done(ev->owner, ev);
		return;
	}
	switch (ev->op) {
	case CHAN_OP_RECV:
		read_done(h, ev);
		break;
	case CHAN_OP_SEND:
		write_done(h, ev);
		break;
	case CHAN_OP_CONNECT:
		connect_done(h, ev);
		break;
	case CHAN_OP_CLOSE:
		close_done(h, ev);
		break;
	default:
		break;
	}
}

/* A completion may need a request of its own: it is not read before there is
 * memory for one. */
int front_drain(struct front *f)
{
	struct chan_event ev;

	while (pool_ready(&f->requests)) {
		if (!chan_dispatch(f->ch, &ev))
			return 0;
		deliver(&ev);
	}
	return -ENOMEM;
}

/* --- dispatch ----------------------------------------------------------- */

static void fill(struct mp_completion *out, struct request *r)
{
	struct mp_handle *h = r->handle;

	out->op = r->op;
	out->result = r->result;
	out->cookie = h->cookie;
	out->handle = h;
	out->data = r->data;
	out->buffer = r->buffer;
	out->more = r->more;
	out->pending = 0;
	out->peer_len = r->peer_len;
	if (r->op == MP_OP_ACCEPT) {
		out->pending = accept_pending(h);
		memcpy(&out->peer, r->peer, r->peer_len);
	}
	if (r->data)
		h->front->told[r->buffer / 64] |= front_bit(r->buffer);
	front_drop(r);
	if (out->op == MP_OP_CLOSE)
		front_free(h);
}

static int take(struct front *f, struct mp_completion *out, unsigned int max)
{
	unsigned int n;

	for (n = 0; n < max && f->done.head; n++)
		fill(&out[n], queue_get(&f->done));
	return (int)n;
}

/* The second of the flush rules: nothing is left to report. *until* is the
 * end of the wait, < 0: none, 0: now. */
static int wait_until(struct front *f, int64_t until)
{
	int64_t left = -1;
	int ret;

	front_prepare(f);
	if (f->done.head)
		return 0;
	if (until > 0) {
		left = until - sys_now_ns();
		left = left > 0 ? left : 0;
	}
	ret = until && left ? chan_wait(f->ch, left, NULL) :
			      chan_flush_reap(f->ch);
	if (front_drain(f) < 0 && ret >= 0)
		ret = -ENOMEM;
	if (f->done.head)
		return 0;
	return ret < 0 ? ret : until && left ? 0 : -ETIME;
}

static int wait_first(struct front *f, int timeout_ms)
{
	int64_t until = timeout_ms;
	int ret;

	if (timeout_ms > 0)
		until = sys_now_ns() + (int64_t)timeout_ms * 1000000;
	do {
		ret = wait_until(f, until);
	} while (!f->done.head && ret >= 0);
	return f->done.head || ret == -ETIME ? 0 : ret;
}

int mp_dispatch_many(struct mp_channel *ch, struct mp_completion *out,
		     unsigned int max, int timeout_ms)
{
	struct front *f;
	int ret = chan_check(ch);

	if (ret < 0)
		return ret;
	if (!max)
		return -EINVAL;
	ret = front_get(ch, &f);
	if (ret < 0)
		return ret;
	if (!f->done.head && (ret = front_drain(f)) < 0)
		return ret;
	if (!f->done.head && (ret = wait_first(f, timeout_ms)) < 0)
		return ret;
	return take(f, out, max);
}

int mp_dispatch(struct mp_channel *ch, struct mp_completion *out,
		int timeout_ms)
{
	return mp_dispatch_many(ch, out, 1, timeout_ms);
}
