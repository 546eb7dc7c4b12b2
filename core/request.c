/* SPDX-License-Identifier: MIT */
/*
 * See front.h: calls that make requests.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "front.h"
#include "sys.h"

struct request *front_request(struct mp_handle *h, enum mp_op op)
{
	struct request *r = pool_get(&h->front->requests);

	if (!r)
		return NULL;
	memset(r, 0, offsetof(struct request, peer));
	r->handle = h;
	r->op = (uint8_t)op;
	return r;
}

void front_complete(struct request *r, int result)
{
	r->result = result;
	queue_put(&r->handle->front->done, r);
}

void front_drop(struct request *r)
{
	pool_put(&r->handle->front->requests, r);
}

/* May a request be made of it? */
static int usable(const struct mp_handle *h)
{
	int ret = chan_check(h->front->ch);

	if (ret < 0)
		return ret;
	return h->state == HANDLE_OPEN ? 0 : -EBADF;
}

static int enqueue(struct mp_handle *h, struct queue *q, struct request *r)
{
	queue_put(q, r);
	front_touch(h);
	front_announce(h);
	return 0;
}

/* A request with one piece of memory. */
static int make(struct mp_handle *h, enum mp_op op, const void *base,
		size_t len, struct request **out)
{
	int ret = usable(h);

	if (ret < 0)
		return ret;
	if (len > FRONT_BYTES_MAX)
		return -EINVAL;
	*out = front_request(h, op);
	if (!*out)
		return -ENOMEM;
	(*out)->one = (struct iovec){ (void *)base, len };
	(*out)->iov = &(*out)->one;
	(*out)->count = 1;
	(*out)->len = len;
	return 0;
}

int mp_read(struct mp_handle *h, void *buf, size_t size)
{
	struct request *r;
	int ret = size ? make(h, MP_OP_READ, buf, size, &r) : -EINVAL;

	return ret < 0 ? ret : enqueue(h, &h->rx, r);
}

int mp_read_stream(struct mp_handle *h)
{
	struct request *r;
	int ret = make(h, MP_OP_READ_STREAM, NULL, 0, &r);

	return ret < 0 ? ret : enqueue(h, &h->rx, r);
}

int mp_write(struct mp_handle *h, const void *buf, size_t size)
{
	struct request *r;
	int ret = size ? make(h, MP_OP_WRITE, buf, size, &r) : -EINVAL;

	return ret < 0 ? ret : enqueue(h, &h->tx, r);
}

int mp_writev(struct mp_handle *h, const struct iovec *iov,
	      unsigned int count)
{
	struct request *r;
	size_t len = 0;
	unsigned int i;
	int ret;

	if (!count || count > IOV_MAX)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (iov[i].iov_len > FRONT_BYTES_MAX - len)
			return -EINVAL;
		len += iov[i].iov_len;
	}
	ret = len ? make(h, MP_OP_WRITE, NULL, len, &r) : -EINVAL;
	if (ret < 0)
		return ret;
	r->iov = iov;
	r->count = count;
	return enqueue(h, &h->tx, r);
}

int mp_connect(struct mp_handle *h, const struct sockaddr *addr,
	       socklen_t len)
{
	struct request *r;
	int ret = make(h, MP_OP_CONNECT, addr, len, &r);

	if (ret < 0)
		return ret;
	h->connects++;
	return enqueue(h, &h->tx, r);
}

int mp_disconnect(struct mp_handle *h, int how)
{
	struct request *r;
	int ret;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	ret = make(h, MP_OP_DISCONNECT, NULL, 0, &r);
	if (ret < 0)
		return ret;
	r->result = how;
	return enqueue(h, &h->tx, r);
}

int mp_close(struct mp_handle *h)
{
	struct request *r;
	int ret = make(h, MP_OP_CLOSE, NULL, 0, &r);

	if (ret < 0)
		return ret;
	h->close = r;
	h->state = HANDLE_CLOSING;
	spread_pause(&h->place);
	front_touch(h);
	front_announce(h);
	return 0;
}

/* A request that waits before it tries would wait for ever on what does not
 * listen, so that is asked here, once. */
static int become_listener(struct mp_handle *h)
{
	socklen_t len = sizeof(int);
	int listens = 0;
	int ret = h->file.lw ? 0 :
		  sys_getsockopt(h->file.fd, SOL_SOCKET, SO_ACCEPTCONN,
				 &listens, &len);

	if (ret < 0)
		return ret;
	if (!listens)
		return -EINVAL;
	h->accepts = pool_get(&h->front->accepts);
	if (!h->accepts)
		return -ENOMEM;
	memset(h->accepts, 0, sizeof(*h->accepts));
	h->front->connections--;
	h->counted = false;
	front_enlist(h);
	return 0;
}

int mp_accept(struct mp_handle *h, unsigned int count, int is_lwsocket)
{
	unsigned int *wanted;
	int ret = usable(h);

	if (!ret && !count)
		ret = -EINVAL;
	if (!ret && !h->accepts)
		ret = become_listener(h);
	if (ret < 0)
		return ret;
	wanted = &h->accepts->wanted[is_lwsocket != 0];
	*wanted = *wanted > MP_FOREVER - count ? MP_FOREVER : *wanted + count;
	front_touch(h);
	front_announce(h);
	return 0;
}

int mp_buffer_release(struct mp_channel *ch, unsigned int buffer)
{
	struct front *f;
	struct mp_handle *h;
	int ret = chan_check(ch);

	if (ret < 0)
		return ret;
	f = chan_front_arg(ch);
	if (!f || buffer >= chan_buffers(ch) ||
	    !(f->told[buffer / 64] & front_bit(buffer)))
		return -EINVAL;
	f->told[buffer / 64] &= ~front_bit(buffer);
	f->lent--;
	chan_put_buffer(ch, buffer);
	while ((h = f->starved)) {
		f->starved = h->next_starved;
		h->starved = false;
		front_touch(h);
	}
	return 0;
}
