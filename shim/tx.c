/* SPDX-License-Identifier: MIT */
/* See tx.h. */
#include <errno.h>
#include <string.h>

#include "direct.h"
#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "listener.h"
#include "lone.h"
#include "thread.h"
#include "tx.h"
#include "user.h"
#include "vsock.h"

/* A part of the queue. Two sizes: one for small responses, one for files and
 * long replies. */
struct tx_chunk {
	struct tx_chunk *next;
	uint32_t off, len;	/* sent so far; filled so far */
	uint32_t cap;
	bool big;
	char data[];
};

#define SMALL_ROOM (CHUNK_SIZE - sizeof(struct tx_chunk))
#define BIG_ROOM (BIG_CHUNK_SIZE - sizeof(struct tx_chunk))

/* From here on copying costs more than entering the kernel once: sent from
 * the program's memory when nothing is queued before it. */
#define DIRECT_MIN 12288

/* A longer part of a file is cheaper from the page cache: it is not copied at
 * all there, and twice here (measured with 64 KiB: 0.9 of plain). */
#define FILE_COPY_MAX 16384

/* So much output on one socket is worth an enter of its own. */
#define FLUSH_BYTES 32768

static struct tx_chunk *new_chunk(struct vsock *vs, size_t need)
{
	bool big = need > SMALL_ROOM;
	struct thread *th = vs->th;
	struct tx_chunk *c = pool_get(big ? &th->big_chunks_pool :
					    &th->chunks_pool);

	if (!c)
		return NULL;
	c->next = NULL;
	c->off = c->len = 0;
	c->cap = big ? BIG_ROOM : SMALL_ROOM;
	c->big = big;
	if (vs->tx_tail)
		vs->tx_tail->next = c;
	else
		vs->tx_head = c;
	vs->tx_tail = c;
	return c;
}

static void free_chunk(struct vsock *vs, struct tx_chunk *c)
{
	pool_put(c->big ? &vs->th->big_chunks_pool : &vs->th->chunks_pool, c);
}

/* Room for up to *len* more bytes in one piece: where, and how many. */
static char *reserve(struct vsock *vs, size_t len, size_t *room)
{
	struct tx_chunk *c = vs->tx_tail;

	if (!c || c->len == c->cap)
		c = new_chunk(vs, len);
	if (!c)
		return NULL;
	*room = c->cap - c->len < len ? c->cap - c->len : len;
	return c->data + c->len;
}

static void append_done(struct vsock *vs, size_t len)
{
	vs->tx_tail->len += (uint32_t)len;
	vs->tx_bytes += (uint32_t)len;
}

static bool append(struct vsock *vs, const char *data, size_t len)
{
	while (len) {
		size_t n;
		char *to = reserve(vs, len, &n);

		if (!to)
			return false;
		memcpy(to, data, n);
		append_done(vs, n);
		data += n;
		len -= n;
	}
	return true;
}

void tx_free(struct vsock *vs)
{
	struct tx_chunk *c;

	while ((c = vs->tx_head)) {
		vs->tx_head = c->next;
		free_chunk(vs, c);
	}
	vs->tx_tail = NULL;
	vs->tx_bytes = 0;
	vs->tx_flight = 0;
}

/* Bytes left the queue. The last chunk is kept for the next bytes only while
 * there are some in it: an idle connection holds no memory. */
static void consume(struct vsock *vs, size_t len)
{
	vs->tx_bytes -= (uint32_t)len;
	while (vs->tx_head) {
		struct tx_chunk *c = vs->tx_head;
		size_t left = c->len - c->off;

		if (len < left) {
			c->off += (uint32_t)len;
			return;
		}
		len -= left;
		vs->tx_head = c->next;
		free_chunk(vs, c);
	}
	vs->tx_tail = NULL;
}

static void flush_hot(struct thread *th)
{
	thread_flush(th);
	if (chan_ready(th->ch))
		thread_dispatch(th);
}

/* A send mostly ends while it is submitted; only one that had to wait needs
 * its end collected. */
bool tx_drain(struct vsock *vs)
{
	uint32_t before;

	do {
		before = vs->tx_bytes;
		if (!before && vs->tx == SLOT_IDLE)
			return true;
		vs_touch(vs);
		flush_hot(vs->th);
		if (vs->tx_bytes == before && chan_has_work(vs->th->ch))
			thread_reap_now(vs->th);
	} while (vs->tx_bytes < before);
	return !vs->tx_bytes && vs->tx == SLOT_IDLE;
}

uint32_t tx_unsent(struct vsock *vs)
{
	if (!vs_mine(vs) || tx_drain(vs))
		return vs->tx_bytes;
	if (vs->tx == SLOT_ARMED && !vs->tx_poll) {
		chan_cancel(vs->th->ch, vs->handle, CHAN_OP_SEND);
		vs->tx = SLOT_CANCELLING;
	}
	while (vs->tx == SLOT_CANCELLING) {
		if (shim_shared)
			listener_hold_all(vs->th);
		chan_flush_reap(vs->th->ch);
		thread_dispatch(vs->th);
	}
	vs_touch(vs);
	thread_set_sending(vs->th, true);
	return vs->tx_bytes;
}

/* A send that fails as the program has shut that side: a reset that came and
 * that nobody has met comes first (sk_stream_error()). */
static int unmet_error(struct vsock *vs)
{
	int err = 0;

	if (vs_mine(vs))
		thread_reap_now(vs->th);
	if (vs->err)
		err = vs_take_error(vs);
	else if (!vs->reset && !vs->refused &&
		 (vs_mine(vs) || vs->depth != DEPTH_LW))
		err = vs_ask_error(vs);
	return err ? -err : -EPIPE;
}

/* 0 when sending is possible, or what send() says. */
static int send_error(struct vsock *vs)
{
	int err = vs_take_error(vs);

	if (err)
		return -err;
	if (likely(!vs->shut_wr && !vs->reset && !vs->refused))
		return 0;
	return vs->shut_wr ? unmet_error(vs) : -EPIPE;
}

static size_t room_left(const struct vsock *vs)
{
	return vs->tx_bytes < vs->limits.send ?
		       vs->limits.send - vs->tx_bytes : 0;
}

void tx_took_much(struct vsock *vs)
{
	vs->full_turn = vs->th->turns;
}

/* The kernel's buffer may be full by now, though nobody was told: what our
 * queue took behind that would not leave, and no FIN after it, if the program
 * then blocks elsewhere or ends. So the kernel is asked until the loop has
 * turned. */
static bool may_be_full(const struct vsock *vs)
{
	return vs->full_turn == vs->th->turns;
}

void tx_kernel_full(struct vsock *vs)
{
	vs->kernel_full = true;
	vs->no_space = true;
	vs_touch(vs);
}

/* So many sends past the queue pay for a descriptor. */
#define LONG_SENDS 4

/* A descriptor needs no ring for it; a slot has no other way. */
static int call_send(struct vsock *vs, const struct msghdr *msg, int flags)
{
	const struct iovec *one = msg->msg_iov;

	if (vs->depth == DEPTH_LW && vs->long_sends++ >= LONG_SENDS)
		vs_materialise(vs, STAT_mat_long);
	if (vs->depth != DEPTH_LW)
		return direct_send(vs->fd, msg, flags);
	if (msg->msg_iovlen == 1 && one->iov_len <= USER_MAX_COUNT)
		return chan_call_send_bytes(vs->th->ch, vs_file(vs),
					    one->iov_base, one->iov_len,
					    flags);
	return chan_call_send(vs->th->ch, vs_file(vs), msg, flags);
}

static ssize_t put_direct(struct vsock *vs, const struct iovec *iov,
			  size_t count, size_t len, int flags)
{
	struct msghdr msg = {
		.msg_iov = (struct iovec *)iov, .msg_iovlen = count,
	};
	bool more = vs->corked || flags & MSG_MORE;
	int ret;

	flags = more ? MSG_MORE : 0;
	ret = call_send(vs, &msg, flags);

	if (ret < 0 && ret != -EAGAIN) {
		/* Another process may have shut that side alone. */
		if (ret == -EPIPE && vs->shared)
			vs_note_error(vs);
		else if (ret != -EFAULT && ret != -EINVAL)
			vs_refuse(vs);
		return ret;
	}
	if (ret > 0) {
		vs->held = more;
		tx_took_much(vs);
		stat_add(STAT_sent, (uint64_t)ret);
		stat_add(STAT_sent_direct, (uint64_t)ret);
	}
	if (ret < (ssize_t)len)
		tx_kernel_full(vs);
	return ret;
}

static size_t total(const struct iovec *iov, size_t count)
{
	size_t sum = 0, i;

	for (i = 0; i < count; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* Room in the queue, after trying to empty it; 0 and no_space when full. */
static size_t make_room(struct vsock *vs)
{
	size_t room = vs->kernel_full ? 0 : room_left(vs);

	if (!room && !vs->kernel_full && vs_mine(vs)) {
		tx_drain(vs);
		room = room_left(vs);
	}
	if (!room)
		vs->no_space = true;
	return room;
}

/* A request is counted once: what is added to it rides along. Much of it goes
 * at once, while it is in the cache, and its memory is used again for the next:
 * a batch of long replies would be a batch of cold ones. */
static bool leaves_now(struct vsock *vs, bool first)
{
	bool alone = lone_write(vs);

	return (first && chan_announce(vs->th->ch)) || alone ||
	       vs->tx_bytes - vs->tx_flight >= FLUSH_BYTES;
}

static void note_queued(struct vsock *vs, int flags)
{
	bool first = vs->later || !list_linked(&vs->update);

	vs->more = flags & MSG_MORE;
	vs->outlived = true;
	vs->th->last = vs;
	thread_set_sending(vs->th, true);
	vs_touch(vs);
	if (unlikely(vs_is_left(vs))) {
		tx_push(vs);
	} else if (!vs_mine(vs)) {
		thread_wake(vs->th);
	} else if (leaves_now(vs, first)) {
		flush_hot(vs->th);
		lone_sent(vs->th);
	}
}

/* The most frequent write: to a connection about which there is nothing to say,
 * from good addresses, and so little that one part of the queue holds it. */
static bool is_small(const struct vsock *vs, const struct iovec *iov,
		     size_t count, size_t *len)
{
	size_t i;

	if (vs->unusual || vs->err || vs->polled || vs->depth == DEPTH_GIVEN ||
	    !vs_mine(vs) || may_be_full(vs))
		return false;
	*len = 0;
	for (i = 0; i < count; i++) {
		if ((uintptr_t)iov[i].iov_base < USER_FIRST ||
		    iov[i].iov_len > SMALL_ROOM)
			return false;
		*len += iov[i].iov_len;
		if (*len > SMALL_ROOM)
			return false;
	}
	return *len && *len <= room_left(vs);
}

/* False: without memory, or there is only room for a part. */
static bool put_small(struct vsock *vs, const struct iovec *iov, size_t count,
		      size_t len, int flags)
{
	size_t room, i;
	char *to = reserve(vs, len, &room);

	if (unlikely(!to || room < len))
		return false;
	for (i = 0; i < count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	append_done(vs, len);
	note_queued(vs, flags);
	return true;
}

ssize_t tx_put(struct vsock *vs, const struct iovec *iov, size_t count,
	       int flags)
{
	size_t len, room, done = 0, i;
	bool bad;
	int err;

	if (likely(is_small(vs, iov, count, &len)) &&
	    likely(put_small(vs, iov, count, len, flags)))
		return (ssize_t)len;
	len = total(iov, count);
	err = send_error(vs);
	if (err || !len)
		return err;
	bad = user_bad_parts(iov, count, len);
	if (unlikely(bad && !vs_mine(vs)))
		return -EFAULT;
	/* The kernel finds out how far a bad address can be read. */
	if ((len >= DIRECT_MIN || unlikely(bad || may_be_full(vs))) &&
	    vs_mine(vs) && !vs->kernel_full && vs->depth != DEPTH_GIVEN &&
	    tx_drain(vs)) {
		err = send_error(vs);	/* of what went before */
		return err ? err : put_direct(vs, iov, count, len, flags);
	}
	if (unlikely(vs_is_left(vs)) && vs->tx == SLOT_IDLE && !vs->tx_bytes &&
	    !vs->kernel_full)
		return put_direct(vs, iov, count, len, flags);
	room = make_room(vs);
	if (unlikely(bad && room))
		return -EFAULT;
	for (i = 0; i < count && done < room; i++) {
		size_t n = iov[i].iov_len;

		if (n > room - done)
			n = room - done;
		if (!append(vs, iov[i].iov_base, n))
			break;
		done += n;
	}
	if (done < len)
		vs->no_space = true;
	if (!done)
		return -EAGAIN;
	note_queued(vs, flags);
	return (ssize_t)done;
}

ssize_t tx_put_file(struct vsock *vs, int in_fd, off_t *offset, size_t len)
{
	int err = send_error(vs);
	off_t pos = offset ? *offset :
		sys_call3(SYS_lseek, in_fd, 0, SEEK_CUR);
	size_t done = 0, n;
	ssize_t got = 0;

	if (err)
		return err;
	if (pos < 0 || fd_object(in_fd))
		return -EOPNOTSUPP;
	/* Only the owner can let the kernel do it; another thread queues as
	 * much as there is room for, in order. */
	if (!vs_mine(vs)) {
		n = vs->kernel_full ? 0 : room_left(vs);
		if (!n && len) {
			vs->no_space = true;
			return -EAGAIN;
		}
		len = len < n ? len : n;
	} else if (len > FILE_COPY_MAX || vs->kernel_full ||
		   may_be_full(vs) || room_left(vs) < len) {
		return -EOPNOTSUPP;
	}
	/* In one piece: one read. */
	if (vs->tx_tail && vs->tx_tail->cap - vs->tx_tail->len < len)
		new_chunk(vs, len);
	while (done < len) {
		char *to = reserve(vs, len - done, &n);

		got = to ? sys_pread(in_fd, to, n, pos + (off_t)done) : -ENOMEM;
		if (got <= 0)
			break;
		append_done(vs, (size_t)got);
		done += (size_t)got;
	}
	/* An empty chunk that was made for nothing must not stay. */
	if (!vs->tx_bytes)
		tx_free(vs);
	if (!done)
		return got < 0 ? -EOPNOTSUPP : 0;
	if (offset)
		*offset = pos + (off_t)done;
	else
		sys_call3(SYS_lseek, in_fd, (off_t)done, SEEK_CUR);
	note_queued(vs, 0);
	return (ssize_t)done;
}

/* Nothing but the end of the send depends on its end, so that it may be told
 * at the next look, and a failure ends the receive as well: tried once, it
 * wakes the thread only when it falls short. A long one mostly does. */
static bool end_may_wait(const struct vsock *vs)
{
	return vs->life == VS_OPEN && vs->rx == SLOT_ARMED && !vs->unusual &&
	       !vs->tx_short && vs->tx_flight < FLUSH_BYTES && tx_is_low(vs);
}

/* The most frequent send: one part. */
static bool arm_one(struct vsock *vs)
{
	const struct tx_chunk *c = vs->tx_head;
	bool more = vs->corked || vs->more;

	if (c->next)
		return false;
	vs->tx_flight = vs->tx_bytes;
	if (!end_may_wait(vs))
		return false;
	vs->tx = SLOT_ARMED;
	vs->held = more;
	vs->tx_counted = true;
	stat_add(STAT_sent, vs->tx_flight);
	chan_try_send_bytes(vs->th->ch, vs->handle, vs_file(vs),
			    c->data + c->off, vs->tx_flight,
			    more ? MSG_MORE : 0);
	return true;
}

void tx_arm(struct vsock *vs, bool close)
{
	struct iovec iov[CHAN_SEND_PARTS];
	struct tx_chunk *c = vs->tx_head;
	unsigned int count;
	bool more = vs->corked || vs->more;

	if (likely(!close) && likely(arm_one(vs)))
		return;
	vs->tx_flight = 0;
	for (count = 0; c && count < CHAN_SEND_PARTS; c = c->next, count++) {
		iov[count].iov_base = c->data + c->off;
		iov[count].iov_len = c->len - c->off;
		vs->tx_flight += c->len - c->off;
	}
	vs->tx = SLOT_ARMED;
	if (close && !c) {
		vs->fin = SLOT_ARMED;
		(vs->tx_short ? chan_send_close : chan_try_send_close)(
			vs->th->ch, vs->handle, vs_file(vs), iov, count, 0);
		return;
	}
	more = more || c;
	vs->held = more;
	vs->tx_counted = !c && end_may_wait(vs);
	/* Its end may be told after a long sleep. */
	if (vs->tx_counted)
		stat_add(STAT_sent, vs->tx_flight);
	(vs->tx_counted ? chan_try_send : chan_send)(
		vs->th->ch, vs->handle, vs_file(vs), iov, count,
		more ? MSG_MORE : 0);
}

void tx_push(struct vsock *vs)
{
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	while (vs->tx_bytes && vs->tx == SLOT_IDLE) {
		struct tx_chunk *c = vs->tx_head;
		bool more = c->next || vs->corked || vs->more;
		long ret;

		iov.iov_base = c->data + c->off;
		iov.iov_len = c->len - c->off;
		ret = sys_call3(SYS_sendmsg, vs->fd, &msg,
				MSG_DONTWAIT | MSG_NOSIGNAL |
					(more ? MSG_MORE : 0));
		if (ret == -EAGAIN)
			return;
		vs->held = more;
		vs->tx_flight = (uint32_t)(iov.iov_len);
		tx_done(vs, (int)ret);
	}
}

/* Room again: an edge for who was told EAGAIN. */
static void room_again(struct vsock *vs)
{
	if (vs->no_space && !vs->kernel_full && tx_is_low(vs)) {
		vs->no_space = false;
		vs->out_edge++;
	}
}

static void count_sent(struct vsock *vs, int result)
{
	uint64_t sent = result > 0 ? (uint64_t)result : 0;

	if (vs->tx_counted)
		sent -= vs->tx_flight;	/* 0, unless it fell short */
	vs->tx_counted = false;
	if (sent)
		stat_add(STAT_sent, sent);
}

void tx_done(struct vsock *vs, int result)
{
	count_sent(vs, result);
	vs->tx_short = result == -EAGAIN ||
		       (result >= 0 && (uint32_t)result < vs->tx_flight);
	vs->tx_flight = 0;
	if (result >= 0) {
		consume(vs, (size_t)result);
	} else if (result != -ECANCELED && result != -EAGAIN &&
		   result != -EINTR) {
		tx_free(vs);
		/* EPIPE means that the error itself was reported before. */
		if (result != -EPIPE)
			vs->err = -result;
		vs_refuse(vs);
	}
	room_again(vs);
}
