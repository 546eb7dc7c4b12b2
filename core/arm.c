/* SPDX-License-Identifier: MIT */
/*
 * See front.h: what a handle's queues become just before they are handed over.
 */
#include <errno.h>
#include <string.h>

#include "front.h"
#include "sys.h"

/* The bytes of one send. What is more is sent when they are gone. */
#define SEND_MAX (1u << 30)

/* A connection that lives for one request needs no multishot receive, which
 * tries again, arms a poll and must be cancelled. */
static void arm_stream(struct mp_handle *h)
{
	if (h->rx_seen)
		chan_recv_stream(h->front->ch, h->id, h->file);
	else
		chan_recv(h->front->ch, h->id, h->file);
}

static void cancel_queue(struct queue *q)
{
	struct request *r;

	while ((r = queue_get(q)))
		front_complete(r, -ECANCELED);
}

static void update_rx(struct mp_handle *h)
{
	struct mp_channel *ch = h->front->ch;
	const struct request *r = h->rx.head;

	if (h->rx_armed) {
		if (h->state == HANDLE_CLOSING && !h->rx_cancelled) {
			h->rx_cancelled = true;
			chan_cancel(ch, h->id, CHAN_OP_RECV);
		}
		return;
	}
	if (h->state == HANDLE_CLOSING) {
		cancel_queue(&h->rx);
		return;
	}
	if (!r || h->starved || h->connects)
		return;
	h->rx_armed = true;
	h->rx_file = h->type == TYPE_FILE;
	if (r->op == MP_OP_READ_STREAM)
		arm_stream(h);
	else if (h->rx_file)
		chan_read(ch, h->id, h->file, r->one.iov_base, r->len);
	else
		chan_recv_bytes(ch, h->id, h->file, r->one.iov_base, r->len);
}

/* --- writing ------------------------------------------------------------ */

/* What goes out with one send: the first pieces of the writes that wait. */
struct gather {
	struct iovec iov[CHAN_SEND_PARTS];
	unsigned int count, requests;
	size_t len;
	bool all;		/* everything that is queued */
	bool more;		/* there was no room for the next one */
};

/* False when there is no room for all of it. */
static bool gather_one(struct gather *g, const struct request *r)
{
	size_t skip = r->skip, left;
	unsigned int i;

	for (i = r->at; i < r->count; i++, skip = 0) {
		left = r->iov[i].iov_len - skip;
		if (!left)
			continue;
		if (g->count == CHAN_SEND_PARTS || g->len == SEND_MAX)
			return false;
		if (left > SEND_MAX - g->len)
			left = SEND_MAX - g->len;
		g->iov[g->count++] = (struct iovec){
			(char *)r->iov[i].iov_base + skip, left
		};
		g->len += left;
		if (left < r->iov[i].iov_len - skip)
			return false;
	}
	return true;
}

static void gather(struct gather *g, const struct mp_handle *h)
{
	const struct request *r;

	g->count = g->requests = 0;
	g->len = 0;
	g->all = g->more = false;
	for (r = h->tx.head; r && r->op == MP_OP_WRITE; r = r->next) {
		unsigned int before = g->count;
		bool whole = gather_one(g, r);

		if (g->count > before)
			g->requests++;
		if (!whole) {
			g->more = true;
			return;
		}
	}
	g->all = !r;
}

static void arm_write(struct mp_handle *h)
{
	struct mp_channel *ch = h->front->ch;
	struct gather g;

	gather(&g, h);
	h->tx_armed = (uint8_t)g.requests;
	h->tx_file = h->type == TYPE_FILE;
	if (h->tx_file) {
		chan_write(ch, h->id, h->file, g.iov, g.count);
	} else if (g.all && h->state == HANDLE_CLOSING && !h->rx_armed &&
		   h->type == TYPE_SOCKET) {
		/* The FIN rides on the last bytes. */
		h->close_armed = true;
		chan_send_close(ch, h->id, h->file, g.iov, g.count, 0);
	} else {
		/* The rest follows at once: no short segment before it. */
		chan_send(ch, h->id, h->file, g.iov, g.count,
			  g.more ? MSG_MORE : 0);
	}
}

/* The ring's own shutdown always goes to a worker thread (kernel fact): done
 * here, on a descriptor. What is queued before it has been sent. */
static int disconnect(struct mp_handle *h, int how)
{
	int ret, fd = h->file.fd;

	if (!h->file.lw)
		return sys_shutdown(fd, how);
	fd = chan_call_install(h->front->ch, fd);
	if (fd < 0)
		return fd;
	ret = sys_shutdown(fd, how);
	sys_close(fd);
	return ret;
}

static void update_tx(struct mp_handle *h)
{
	struct request *r;

	while ((r = h->tx.head) && !h->tx_armed && !h->connect_armed) {
		if (r->op == MP_OP_WRITE) {
			arm_write(h);
		} else if (r->op == MP_OP_CONNECT) {
			h->connect_armed = true;
			chan_connect(h->front->ch, h->id, h->file,
				     r->one.iov_base, (socklen_t)r->len);
		} else {
			queue_get(&h->tx);
			front_complete(r, disconnect(h, r->result));
		}
	}
}

/* A connection that nothing is to be written to is of no use to who closes, and
 * minutes may pass until the kernel gives it up. */
static void cancel_connect(struct mp_handle *h)
{
	const struct request *r;

	if (!h->connect_armed || h->connect_cancelled)
		return;
	for (r = h->tx.head; r; r = r->next)
		if (r->op == MP_OP_WRITE)
			return;
	h->connect_cancelled = true;
	chan_cancel(h->front->ch, h->id, CHAN_OP_CONNECT);
}

/* A file with a request in flight sends no FIN (kernel fact), so the close
 * comes last. */
static void update_close(struct mp_handle *h)
{
	if (h->state != HANDLE_CLOSING)
		return;
	cancel_connect(h);
	if (h->tx.head || front_in_flight(h))
		return;
	if (h->accepts)
		accept_kick(h);
	h->close_armed = true;
	chan_close(h->front->ch, h->id, h->file);
}

static void update(struct mp_handle *h)
{
	if (h->state == HANDLE_DEAD)
		return;
	if (h->accepts)
		accept_arm(h);
	update_rx(h);
	update_tx(h);
	update_close(h);
}

void front_prepare(struct front *f)
{
	struct mp_handle *h;

	while ((h = f->touched)) {
		f->touched = h->next;
		h->touched = false;
		update(h);
	}
}

void front_announce(struct mp_handle *h)
{
	struct front *f = h->front;

	if (!chan_announce(f->ch))
		return;
	front_prepare(f);
	chan_flush(f->ch);
}
