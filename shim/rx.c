/* SPDX-License-Identifier: MIT */
/* See rx.h. */
#include <errno.h>
#include <string.h>

#include "direct.h"
#include "epset.h"
#include "rx.h"
#include "rx_queue.h"
#include "rx_request.h"
#include "thread.h"
#include "user.h"
#include "vsock.h"

void rx_failed(struct vsock *vs, int err)
{
	vs->err = err;
	vs->reset = true;
	vs->in_edge++;
	vs->out_edge++;
}

static size_t total(const struct iovec *iov, size_t count)
{
	size_t sum = 0, i;

	for (i = 0; i < count; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* A call that may bring so much takes its time: what others wait for does not
 * wait for that, too. */
#define LONG_CALL 65536

static int call_recv(struct vsock *vs, struct msghdr *msg, size_t len,
		     int flags)
{
	struct mp_channel *ch = vs->th->ch;
	const struct iovec *one = msg->msg_iov;
	bool ring = vs->depth == DEPTH_LW;

	/* A descriptor needs no ring, but if there is something to send. */
	if (len >= LONG_CALL && vs_mine(vs) && vs->depth != DEPTH_GIVEN)
		ring |= vs_send_last(vs->th);
	if (!ring)
		return direct_recv(vs->fd, msg, flags);
	if (msg->msg_iovlen == 1 && len <= USER_MAX_COUNT)
		return chan_call_recv_bytes(ch, vs_file(vs), one->iov_base, len,
					    flags);
	return chan_call_recv(ch, vs_file(vs), msg, flags);
}

/* An end that is none: a send took the error, perhaps one that went along. */
static bool send_met_error(struct vsock *vs)
{
	if (vs->err || !vs_mine(vs) || !chan_ready(vs->th->ch))
		return false;
	thread_dispatch(vs->th);
	return vs->err;
}

/* Straight from the kernel into the program's memory, from *skip* bytes on.
 * Only while no receive request waits. */
static ssize_t take_direct(struct vsock *vs, const struct iovec *iov,
			   size_t count, size_t skip, int flags)
{
	struct iovec part[16];
	struct msghdr msg = { .msg_iov = part };
	size_t i, len = 0;
	int ret;

	for (i = 0; i < count && msg.msg_iovlen < 16; i++) {
		size_t n = iov[i].iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		part[msg.msg_iovlen].iov_base = (char *)iov[i].iov_base + skip;
		part[msg.msg_iovlen++].iov_len = n - skip;
		len += n - skip;
		skip = 0;
	}
	flags &= MSG_PEEK | MSG_TRUNC;
	/* What was told of before is not news afterwards. */
	if (vs->rx_watch && vs_mine(vs) && chan_ready(vs->th->ch))
		thread_dispatch(vs->th);
	ret = call_recv(vs, &msg, len, flags);
	if (unlikely(ret == 0) && len && send_met_error(vs))
		return -vs_take_error(vs);
	if (!(flags & MSG_PEEK)) {
		vs->rx_more = false;
		rx_answered(vs, ret);
	}
	if (ret == 0 && msg.msg_iovlen && !(flags & MSG_PEEK)) {
		vs->eof = true;
		vs->in_edge++;
		ep_notify(vs);
	}
	if (ret > 0)
		stat_add(STAT_received, (uint64_t)ret);
	return ret;
}

ssize_t rx_direct(struct vsock *vs, const struct iovec *iov, size_t count,
		  int flags)
{
	return take_direct(vs, iov, count, 0, flags);
}

/* Nothing is queued: brings in what the kernel has for us. Afterwards the
 * queue has bytes, or the request waits, or (rx idle) the kernel may be read
 * directly. */
static void pull(struct vsock *vs)
{
	struct thread *th = vs->th;

	if (vs->rx == SLOT_ARMED && !vs->rx_poll) {
		while (!vs->rx_bytes && !vs->eof && chan_has_work(th->ch))
			thread_reap_now(th);
		return;
	}
	if (vs->rx_watch && chan_ready(th->ch))
		thread_dispatch(th);
	if (!rx_is_free(vs))
		rx_quiesce(vs);
}

/* Someone looks without taking: all that has come must be in the queue. */
static void gather(struct vsock *vs)
{
	uint32_t before;

	do {
		before = vs->rx_bytes;
		if (!vs_mine(vs) || vs->eof || vs->reset || vs->giving)
			return;
		vs_touch(vs);
		thread_reap_now(vs->th);
	} while (vs->rx_bytes > before && vs->rx_bytes < rx_limit(vs));
}

static bool may_read_directly(const struct vsock *vs)
{
	return vs_mine(vs) && rx_is_free(vs) && !vs->eof && !vs->reset &&
	       !vs->shut_rd && vs->depth != DEPTH_GIVEN;
}

/* Does nothing take its bytes now? Another thread's, which is outside its ring:
 * a receive that waits there does not run meanwhile, and what it brought before
 * is in memory; or none waits. */
static bool owner_is_frozen(struct vsock *vs)
{
	if (vs_mine(vs) || !vs->th->ch || vs->depth == DEPTH_LW ||
	    vs->depth == DEPTH_GIVEN)
		return false;
	if (vs->th->sleeping)
		return (vs->rx == SLOT_IDLE || vs->rx_poll) && !vs->eof &&
		       !vs->reset && !vs->shut_rd;
	thread_dispatch(vs->th);
	return !vs->eof && !vs->reset && !vs->shut_rd;
}

/* There are bytes, and may be more of them in the kernel: also if reading ahead
 * had stopped. */
static bool for_owner(struct vsock *vs)
{
	bool stopped = vs->rx_bytes >= rx_limit(vs), frozen;

	if (!vs->rx_more && !stopped)
		return false;
	frozen = owner_is_frozen(vs);
	vs->rx_more |= frozen && stopped;
	return frozen;
}

static bool may_read_for_owner(struct vsock *vs)
{
	return owner_is_frozen(vs) && !vs->rx_bytes && !vs->err;
}

ssize_t rx_before_error(struct vsock *vs, const struct iovec *iov, size_t count,
			int flags)
{
	ssize_t ret;

	if (vs->refused) {
		ret = take_direct(vs, iov, count, 0, flags);
		if (ret > 0)
			return ret;
	}
	return -vs_take_error(vs);
}

/* A stream that is read in small parts comes through memory of ours, much at
 * once: to copy it once more, in the cache, costs less than a call for each. */
#define SMALL_PARTS 12288
#define REFILL_SIZE 65536

static bool may_refill(const struct vsock *vs)
{
	return vs->bulk && may_read_directly(vs) && !vs->shared &&
	       vs->lowat == 1 && vs->limits.receive >= REFILL_SIZE &&
	       vs->rx_bytes <= CHAN_BUFFER_SIZE;
}

/* Behind what is queued: what recv(2) says. *full*: there may be more. */
static ssize_t refill(struct vsock *vs, bool *full)
{
	struct thread *th = vs->th;
	struct rx_piece *piece = pool_get(&th->pieces_pool);
	char *chunk = piece ? pool_get(&th->big_chunks_pool) : NULL;
	struct iovec iov = { chunk, REFILL_SIZE - vs->rx_bytes };
	ssize_t ret = chunk ? take_direct(vs, &iov, 1, 0, 0) : -ENOMEM;

	*full = ret == (ssize_t)iov.iov_len;
	if (ret > 0) {
		*piece = (struct rx_piece){
			.data = chunk, .len = (uint32_t)ret, .buffer = -1,
			.chunk = chunk, .big = true,
		};
		rx_append(vs, piece);
		vs->rx_more = *full;
		/* Not so much any more? */
		vs->bulk -= !vs->rx_watch && ret < 2 * CHAN_BUFFER_SIZE;
		return ret;
	}
	if (chunk)
		pool_put(&th->big_chunks_pool, chunk);
	if (piece)
		pool_put(&th->pieces_pool, piece);
	return ret;
}

/* Some of what was refilled may have come since the last event, and the program
 * leaves it for now: that is told. */
static void tell_refilled(struct vsock *vs)
{
	vs->in_edge++;
	ep_notify(vs);
}

/* What the kernel has, from *skip* bytes on, the way that suits. */
static ssize_t take_kernel(struct vsock *vs, const struct iovec *iov,
			   size_t count, size_t skip, int flags)
{
	struct iovec rest;
	ssize_t ret = -ENOMEM;
	size_t got;
	bool full;

	vs->parts = count == 1 && iov->iov_len && iov->iov_len < SMALL_PARTS &&
		    !(flags & (MSG_PEEK | MSG_TRUNC)) && may_refill(vs) &&
		    !user_bad(iov->iov_base, iov->iov_len);
	if (vs->parts)
		ret = refill(vs, &full);
	if (ret == -ENOMEM)
		return take_direct(vs, iov, count, skip, flags);
	if (ret <= 0)
		return ret;
	rest.iov_base = (char *)iov->iov_base + skip;
	rest.iov_len = iov->iov_len - skip;
	got = rx_copy(vs, &rest, 1, 0);
	rx_consume(vs, got);
	if (vs->rx_bytes)
		tell_refilled(vs);
	return (ssize_t)got;
}

/* It would be known. */
static bool nothing_came(const struct vsock *vs)
{
	return vs->rx_watch && !vs->kernel_in && !vs->polled && vs_mine(vs) &&
	       !chan_has_work(vs->th->ch);
}

static ssize_t take_empty(struct vsock *vs, const struct iovec *iov,
			  size_t count, int flags)
{
	ssize_t ret;

	if (unlikely(vs->err) && may_read_directly(vs))
		return rx_before_error(vs, iov, count, flags);
	/* The kernel tells an error of its own behind the bytes. */
	ret = !vs->err && may_read_directly(vs) ? 0 : -vs_take_error(vs);
	if (ret)
		return ret;
	if (vs->eof || vs->reset || vs->shut_rd) {
		vs->eof_taken = vs->eof;
		vs_touch(vs);
		return 0;
	}
	if (!may_read_directly(vs) && !may_read_for_owner(vs))
		return vs->rx_bytes || vs->eof || vs->err || vs->reset ?
			       rx_take(vs, iov, count, flags) : -EAGAIN;
	if (nothing_came(vs))
		return -EAGAIN;
	ret = take_kernel(vs, iov, count, 0, flags);
	vs->eof_taken = vs->eof;
	if (ret < 0 && ret != -EAGAIN && ret != -EFAULT) {
		rx_failed(vs, (int)-ret);
		vs->err = 0;
		vs->kernel_err = false;
		vs->polled &= (uint8_t)~EPOLLERR;
		ep_notify(vs);
	}
	return ret;
}

/* Behind what was queued: how many bytes more. */
static size_t take_more(struct vsock *vs, const struct iovec *iov,
			size_t count, size_t skip, int flags)
{
	ssize_t more = take_kernel(vs, iov, count, skip, flags);

	if (more > 0)
		return (size_t)more;
	if (more < 0 && more != -EAGAIN && more != -EFAULT) {
		rx_failed(vs, (int)-more);
		ep_notify(vs);
	}
	return 0;
}

/* The requests of another thread's socket stand still, as it can't enter its
 * ring while we hold its lock. */
static bool owner_is_out(const struct vsock *vs)
{
	return !vs_mine(vs) && !vs->th->sleeping;
}

/* More is in the kernel, or may be, and no request of ours waits for it. Of
 * another thread's socket rx_take() has asked whether its owner is frozen. */
static bool may_go_on(const struct vsock *vs, bool frozen)
{
	if (unlikely(vs->depth == DEPTH_GIVEN))
		return (vs->rx == SLOT_IDLE || owner_is_out(vs)) &&
		       !vs->eof && !vs->reset && (!vs->err || vs->refused);
	/* After a fork nothing is received ahead. */
	return (vs->rx_more || unlikely(vs->shared && vs->th->forked)) &&
	       (frozen || may_read_directly(vs));
}

/* A program that asks for so much, and a buffer was full: the next bytes are
 * better received into its own memory than through many small buffers. One that
 * asks for less, but not for little, has a stream when so much has come. */
#define BULK_MIN 16384

static void note_bulk(struct vsock *vs, size_t want)
{
	uint32_t enough = want < BULK_MIN ? BULK_MIN : CHAN_BUFFER_SIZE;

	if (want < CHAN_BUFFER_SIZE || vs->rx_bytes < enough)
		return;
	vs->bulk = BULK_PATIENCE;
}

/* The kernel has said that there is more: what the receive that waits is about
 * to bring. */
static void reap_more(struct vsock *vs, size_t want)
{
	uint32_t before;

	do {
		before = vs->rx_bytes;
		if (before >= want || !vs->rx_more || !vs_mine(vs) ||
		    vs->rx != SLOT_ARMED || before >= rx_limit(vs) ||
		    !chan_has_work(vs->th->ch))
			return;
		thread_reap_now(vs->th);
	} while (vs->rx_bytes > before);
}

/* The most frequent read: there is one receive, smaller than its buffer, the
 * kernel had no more, and all of it fits. */
static bool is_whole(const struct vsock *vs, const struct iovec *iov,
		     size_t count, int flags)
{
	const struct rx_piece *piece = vs->rx_head;

	return count == 1 && !(flags & ~MSG_DONTWAIT) && piece &&
	       vs->rx_bytes == piece->len && piece->len <= iov->iov_len &&
	       piece->len < CHAN_BUFFER_SIZE && !vs->rx_more && !vs->bulk &&
	       !vs->unusual && !vs->eof && !vs->shared &&
	       piece->len < vs->limits.receive && vs_mine(vs) &&
	       vs->depth != DEPTH_GIVEN &&
	       (uintptr_t)iov->iov_base >= USER_FIRST;
}

static ssize_t take_whole(struct vsock *vs, void *to)
{
	struct rx_piece *piece = vs->rx_head;
	uint32_t len = piece->len;

	memcpy(to, piece->data, len);
	vs->rx_head = vs->rx_tail = NULL;
	vs->rx_bytes = 0;
	rx_free_piece(vs, piece);
	vs_touch(vs);
	return len;
}

static ssize_t take(struct vsock *vs, const struct iovec *iov, size_t count,
		    int flags)
{
	size_t want = total(iov, count), got;
	bool frozen = false;

	if (flags & MSG_PEEK && vs->rx_bytes < want)
		gather(vs);
	else if (!vs->rx_bytes && vs_mine(vs) && !vs->eof &&
		 (!vs->err || vs->refused))
		pull(vs);
	else if (likely(vs_mine(vs)))
		reap_more(vs, want);
	if (unlikely(!vs_mine(vs)) && vs->rx_bytes && vs->rx_bytes < want)
		frozen = for_owner(vs);
	if (!vs->rx_bytes)
		return take_empty(vs, iov, count, flags);
	if (unlikely(vs->rx_bytes < want && vs_mine(vs) && !vs->giving &&
		     vs->rx_bytes >= rx_limit(vs))) {
		/* Reading ahead had stopped: the kernel has the rest. */
		if (!rx_is_free(vs))
			rx_quiesce(vs);
		vs->rx_more |= !vs->rx_watch;
	}
	if (unlikely(user_bad_parts(iov, count, vs->rx_bytes)) &&
	    !(flags & MSG_TRUNC))
		return -EFAULT;
	note_bulk(vs, want);
	got = rx_copy(vs, iov, count, flags);
	if (!(flags & MSG_PEEK))
		rx_consume(vs, got);
	/* More is in the kernel and fits: a short read would mean that the
	 * socket is drained (edge-triggered programs rely on it). */
	if (got < want && may_go_on(vs, frozen))
		got += take_more(vs, iov, count, got, flags);
	if (flags & MSG_PEEK)
		return (ssize_t)got;
	vs_touch(vs);
	if (vs->eof)
		ep_notify(vs);
	return (ssize_t)got;
}

/* Another thread's, which sleeps, and no receive waits, as there was enough to
 * read: it is to ask for the next. */
static void wake_owner(struct vsock *vs)
{
	if (vs->life != VS_OPEN || vs->eof || vs->reset ||
	    vs->depth == DEPTH_GIVEN || vs->rx_watch ||
	    (vs->rx != SLOT_IDLE && !vs->rx_poll))
		return;
	vs_touch(vs);
	thread_wake(vs->th);
}

ssize_t rx_take(struct vsock *vs, const struct iovec *iov, size_t count,
		int flags)
{
	ssize_t ret;

	if (likely(is_whole(vs, iov, count, flags)))
		return take_whole(vs, iov->iov_base);
	ret = take(vs, iov, count, flags);
	if (unlikely(!vs_mine(vs)) && !(flags & MSG_PEEK))
		wake_owner(vs);
	return ret;
}

/* Can the kernel be asked? Not for what has ended; but a side that was shut by
 * the program goes on receiving, without us. */
static bool shows_all(struct vsock *vs)
{
	if (unlikely(vs->shut_rd))
		return vs->depth != DEPTH_LW;
	return !vs->eof && !vs->reset && (vs_mine(vs) || owner_is_frozen(vs));
}

/* Completions that are in memory are counted here, what they have not brought
 * by the kernel: nothing moves between the two looks, as only an enter that
 * collects lets a receive go on that waits (DEFER_TASKRUN). */
int rx_readable(struct vsock *vs)
{
	ssize_t got;
	bool full;
	int n = 0;

	if (vs->depth != DEPTH_GIVEN && !shows_all(vs))
		return (int)vs->rx_bytes;
	/* It is about to be read in parts, and how much there is is known when
	 * it is here. */
	if (vs->parts && may_refill(vs)) {
		got = refill(vs, &full);
		if (got > 0)
			tell_refilled(vs);
		else if (got < 0 && got != -EAGAIN && got != -ENOMEM)
			rx_failed(vs, (int)-got);
		if (got > 0 && !full)
			return (int)vs->rx_bytes;
	}
	if (vs->depth != DEPTH_LW)
		n = sys_unread(vs->fd);
	else
		n = chan_call_inq(vs->th->ch, vs_file(vs));
	if (vs_mine(vs) && chan_ready(vs->th->ch))
		thread_dispatch(vs->th);
	vs->rx_more |= n > 0;
	return (int)vs->rx_bytes + (n > 0 ? n : 0);
}
