/* SPDX-License-Identifier: MIT */
/* See rx_queue.h. */
#include <errno.h>
#include <string.h>

#include "rx.h"
#include "rx_queue.h"
#include "thread.h"
#include "vsock.h"

_Static_assert(sizeof(struct rx_piece) <= THREAD_PIECE_SIZE, "pool");

void rx_free_piece(struct vsock *vs, struct rx_piece *piece)
{
	struct thread *th = vs->th;

	if (piece->buffer >= 0 && th->ch)
		thread_put_buffer(th, (unsigned int)piece->buffer);
	if (piece->chunk)
		pool_put(piece->big ? &th->big_chunks_pool : &th->chunks_pool,
			 piece->chunk);
	pool_put(&th->pieces_pool, piece);
}

void rx_free(struct vsock *vs)
{
	struct rx_piece *piece;

	while ((piece = vs->rx_head)) {
		vs->rx_head = piece->next;
		rx_free_piece(vs, piece);
	}
	vs->rx_tail = NULL;
	vs->rx_bytes = 0;
}

/* Buffers are few and shared: sockets that are not read must not keep them
 * all. The copy is a page as well. */
static void copy_out(struct vsock *vs, struct rx_piece *piece)
{
	char *chunk = pool_get(&vs->th->chunks_pool);

	if (!chunk)
		return;
	memcpy(chunk, piece->data, piece->len);
	piece->data = piece->chunk = chunk;
	thread_put_buffer(vs->th, (unsigned int)piece->buffer);
	piece->buffer = -1;
	stat_inc(STAT_copied_out);
}

void rx_append(struct vsock *vs, struct rx_piece *piece)
{
	if (vs->rx_head)
		vs->rx_tail->next = piece;
	else
		vs->rx_head = piece;
	vs->rx_tail = piece;
	vs->rx_bytes += piece->len;
}

void rx_arrived(struct vsock *vs, const struct chan_event *ev)
{
	struct rx_piece *piece = pool_get(&vs->th->pieces_pool);

	/* Without 40 bytes of memory the connection can't go on correctly:
	 * it fails as it would for a kernel without memory. */
	if (!piece) {
		thread_put_buffer(vs->th, ev->buffer);
		rx_failed(vs, ENOBUFS);
		return;
	}
	*piece = (struct rx_piece){
		.data = ev->data,
		.len = (uint32_t)ev->result,
		.buffer = (int32_t)ev->buffer,
	};
	rx_append(vs, piece);
	vs->in_edge += vs->rx_bytes >= vs->lowat;
	stat_add(STAT_received, piece->len);
	if (chan_buffers_low(vs->th->ch))
		copy_out(vs, piece);
}

size_t rx_copy(struct vsock *vs, const struct iovec *iov,
			 size_t count, int flags)
{
	struct rx_piece *piece = vs->rx_head;
	uint32_t off = 0;
	size_t done = 0, i;

	for (i = 0; i < count; i++) {
		size_t pos = 0;

		while (piece && pos < iov[i].iov_len) {
			size_t n = piece->len - off;

			if (n > iov[i].iov_len - pos)
				n = iov[i].iov_len - pos;
			if (!(flags & MSG_TRUNC))
				memcpy((char *)iov[i].iov_base + pos,
				       piece->data + off, n);
			pos += n;
			done += n;
			off += (uint32_t)n;
			if (off == piece->len) {
				piece = piece->next;
				off = 0;
			}
		}
	}
	return done;
}

void rx_consume(struct vsock *vs, size_t len)
{
	vs->rx_bytes -= (uint32_t)len;
	while (len) {
		struct rx_piece *piece = vs->rx_head;

		if (len < piece->len) {
			piece->data += len;
			piece->len -= (uint32_t)len;
			return;
		}
		len -= piece->len;
		vs->rx_head = piece->next;
		if (!piece->next)
			vs->rx_tail = NULL;
		rx_free_piece(vs, piece);
	}
}
