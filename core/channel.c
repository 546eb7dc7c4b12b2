/* SPDX-License-Identifier: MIT */
/*
 * A channel: one ring, its receive buffers, its handles, its batch.
 *
 * Owns: all of these. Invariant: a request is answered by a completion with
 * the cookie of the handle that it was made for, or that handle died.
 * Called by: the shim and the public interface (front.h), through channel.h.
 * The thread that created it.
 */
#include <errno.h>
#include <string.h>

#include "channel_state.h"
#include "stats.h"
#include "sys.h"
#include "trace.h"

unsigned int chan_buffers(const struct mp_channel *ch)
{
	return ch->buffers.count;
}

unsigned int chan_slots(const struct mp_channel *ch)
{
	return ring_caps(ch->ring)->slots;
}

const struct chan_caps *chan_caps(const struct mp_channel *ch)
{
	return &ch->caps;
}

int chan_fd(const struct mp_channel *ch)
{
	return ring_fd(ch->ring);
}

void chan_moved(struct mp_channel *ch, int fd)
{
	ring_moved(ch->ring, fd);
}

int chan_register(struct mp_channel *ch, void *owner)
{
	return handle_open(&ch->handles, owner);
}

void chan_unregister(struct mp_channel *ch, uint32_t handle)
{
	handle_close(&ch->handles, handle);
}

/* --- the batch ------------------------------------------------------- */

static void count_enter(struct mp_channel *ch)
{
	struct region_line *line = stat_line;
	unsigned int queued = ring_queued(ch->ring);

	trace1(submit, queued);
	stat_inc(STAT_enters);
	stat_add(STAT_submitted, queued);
	stat_store(&line->batch[stat_bucket(queued)], 1);
	line->buffers_lent = __atomic_load_n(&ch->buffers.lent,
					     __ATOMIC_RELAXED);
	ch->announced = 0;
}

/* What was submitted does not need its scratch memory any more. */
static int entered(struct mp_channel *ch, int ret)
{
	if (ring_room(ch->ring) == ch->entries) {
		ch->scratch_used = 0;
		ch->silent.sent = ch->silent.count;
	}
	ch->sure = 0;
	return ret < 0 ? ret : 0;
}

bool chan_announce(struct mp_channel *ch)
{
	return ++ch->announced >= ch->batch;
}

int mp_flush(struct mp_channel *ch)
{
	int ret = chan_check(ch);

	if (ret < 0)
		return ret;
	if (ch->front)
		ch->front->prepare(ch->front_arg);
	return chan_flush(ch);
}

int chan_flush(struct mp_channel *ch)
{
	if (!ring_queued(ch->ring)) {
		ch->announced = 0;
		return 0;
	}
	count_enter(ch);
	return entered(ch, ring_submit(ch->ring));
}

int chan_flush_reap(struct mp_channel *ch)
{
	count_enter(ch);
	return entered(ch, ring_reap(ch->ring));
}

/* A wait that may not sleep: without a time, since the kernel would set a timer
 * for it, which costs a virtual machine some 20 us, and without an enter when
 * that could bring nothing. */
static int look(struct mp_channel *ch)
{
	int ret;

	if (!ring_queued(ch->ring) && !chan_has_work(ch))
		return entered(ch, 0);
	/* One enter does a part of much work, and the part may be silent. */
	do
		ret = chan_flush_reap(ch);
	while (!ret && !chan_ready(ch) && ring_pending_work(ch->ring));
	return ret == -EBUSY ? 0 : ret;
}

int chan_wait(struct mp_channel *ch, int64_t timeout_ns, const sigset_t *mask)
{
	if (timeout_ns == 0)
		return look(ch);
	count_enter(ch);
	return entered(ch, ring_wait(ch->ring, 1 + ch->sure, timeout_ns, mask));
}

/* Requests that belong together need their entries in one piece. */
static void need_room(struct mp_channel *ch, unsigned int entries)
{
	while (ring_room(ch->ring) < entries ||
	       ch->scratch_used >= ch->entries) {
		/* Refused for now (memory, or completions to be collected
		 * first): the requests are still there. */
		if (chan_flush(ch) < 0)
			chan_flush_reap(ch);
	}
}

static uint64_t cookie_of(struct mp_channel *ch, uint32_t handle,
			  enum chan_op op)
{
	return cookie_make(op, handle_gen(&ch->handles, handle), handle);
}

/* --- requests -------------------------------------------------------- */

void chan_accept(struct mp_channel *ch, uint32_t handle, int fd,
		 struct sockaddr_storage *addr, socklen_t *len, bool lwsocket)
{
	need_room(ch, 1);
	ring_accept(ch->ring, cookie_of(ch, handle, CHAN_OP_ACCEPT), fd, addr,
		    len, lwsocket);
}

void chan_recv(struct mp_channel *ch, uint32_t handle, struct chan_file f)
{
	need_room(ch, 1);
	ring_recv(ch->ring, cookie_of(ch, handle, CHAN_OP_RECV), f,
		  BUFFER_GROUP, false);
}

void chan_recv_stream(struct mp_channel *ch, uint32_t handle,
		      struct chan_file f)
{
	need_room(ch, 1);
	ring_recv(ch->ring, cookie_of(ch, handle, CHAN_OP_RECV), f,
		  BUFFER_GROUP, true);
}

void chan_recv_bytes(struct mp_channel *ch, uint32_t handle,
		     struct chan_file f, void *buf, size_t len)
{
	need_room(ch, 1);
	ring_recv_bytes(ch->ring, cookie_of(ch, handle, CHAN_OP_RECV), f, buf,
			len, 0);
}

void chan_read(struct mp_channel *ch, uint32_t handle, struct chan_file f,
	       void *buf, size_t len)
{
	need_room(ch, 1);
	ring_read(ch->ring, cookie_of(ch, handle, CHAN_OP_RECV), f, buf, len);
}

void chan_write(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		const struct iovec *iov, unsigned int count)
{
	struct scratch *s;

	need_room(ch, 1);
	s = &ch->scratch[ch->scratch_used++];
	memcpy(s->iov, iov, count * sizeof(*iov));
	ring_writev(ch->ring, cookie_of(ch, handle, CHAN_OP_SEND), f, s->iov,
		    count);
}

void chan_connect(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		  const struct sockaddr *addr, socklen_t len)
{
	need_room(ch, 1);
	ring_connect(ch->ring, cookie_of(ch, handle, CHAN_OP_CONNECT), f, addr,
		     len);
}

/* SENDMSG's header must live until it is submitted, not longer. */
static void queue_send(struct mp_channel *ch, uint64_t cookie,
		       struct chan_file f, const struct iovec *iov,
		       unsigned int count, int flags, unsigned int how)
{
	struct scratch *s;

	flags |= MSG_WAITALL | MSG_NOSIGNAL;
	if (count == 1) {
		ring_send(ch->ring, cookie, f, iov->iov_base, iov->iov_len,
			  flags, how);
		return;
	}
	s = &ch->scratch[ch->scratch_used++];
	memset(&s->msg, 0, sizeof(s->msg));
	memcpy(s->iov, iov, count * sizeof(*iov));
	s->msg.msg_iov = s->iov;
	s->msg.msg_iovlen = count;
	ring_sendv(ch->ring, cookie, f, &s->msg, flags, how);
}

void chan_send(struct mp_channel *ch, uint32_t handle, struct chan_file f,
	       const struct iovec *iov, unsigned int count, int flags)
{
	need_room(ch, 1);
	queue_send(ch, cookie_of(ch, handle, CHAN_OP_SEND), f, iov, count,
		   flags, 0);
}

static int bytes_of(const struct iovec *iov, unsigned int count)
{
	size_t sum = 0;

	while (count--)
		sum += iov[count].iov_len;
	return (int)sum;
}

void chan_try_send(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		   const struct iovec *iov, unsigned int count, int flags)
{
	struct silent *silent = &ch->silent;

	need_room(ch, 1);
	if (silent->count == SILENT_MAX || !ring_caps(ch->ring)->silent) {
		queue_send(ch, cookie_of(ch, handle, CHAN_OP_SEND), f, iov,
			   count, flags, RING_ONCE);
		return;
	}
	silent->sends[silent->count++] = (struct silent_send){
		.handle = handle,
		.gen = handle_gen(&ch->handles, handle),
		.len = bytes_of(iov, count),
	};
	queue_send(ch, cookie_of(ch, handle, CHAN_OP_TRY), f, iov, count,
		   flags, RING_ONCE | RING_SILENT);
}

void chan_try_send_bytes(struct mp_channel *ch, uint32_t handle,
			 struct chan_file f, const void *buf, size_t len,
			 int flags)
{
	struct silent *silent = &ch->silent;
	uint32_t gen = handle_gen(&ch->handles, handle);
	bool says = silent->count == SILENT_MAX || !ring_caps(ch->ring)->silent;

	need_room(ch, 1);
	if (__builtin_expect(!says, 1))
		silent->sends[silent->count++] = (struct silent_send){
			.handle = handle, .gen = gen, .len = (int)len,
		};
	ring_send(ch->ring,
		  cookie_make(says ? CHAN_OP_SEND : CHAN_OP_TRY, gen, handle),
		  f, buf, len, flags | MSG_WAITALL | MSG_NOSIGNAL,
		  says ? RING_ONCE : RING_ONCE | RING_SILENT);
}

void chan_send_close(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		     const struct iovec *iov, unsigned int count, int flags)
{
	need_room(ch, 2);
	queue_send(ch, cookie_of(ch, handle, CHAN_OP_SEND), f, iov, count,
		   flags | MSG_MORE, RING_LINK);
	ring_close_file(ch->ring, cookie_of(ch, handle, CHAN_OP_CLOSE), f, 0);
}

/* One completion when all goes well, two otherwise: so that a wait sleeps on
 * in the one case only. */
void chan_try_send_close(struct mp_channel *ch, uint32_t handle,
			 struct chan_file f, const struct iovec *iov,
			 unsigned int count, int flags)
{
	bool silent = ring_caps(ch->ring)->silent;

	need_room(ch, 2);
	queue_send(ch, cookie_of(ch, handle, CHAN_OP_SEND), f, iov, count,
		   flags | MSG_MORE, RING_LINK | RING_ONCE);
	ring_close_file(ch->ring, cookie_of(ch, handle, CHAN_OP_CLOSE), f,
			silent ? RING_SILENT : 0);
	ch->sure += silent;
}

void chan_close(struct mp_channel *ch, uint32_t handle, struct chan_file f)
{
	need_room(ch, 1);
	ring_close_file(ch->ring, cookie_of(ch, handle, CHAN_OP_CLOSE), f, 0);
}

void chan_expect(struct mp_channel *ch)
{
	ch->sure++;
}

void chan_poll(struct mp_channel *ch, uint32_t handle, struct chan_file f,
	       unsigned int events, bool stream)
{
	need_room(ch, 1);
	ring_poll(ch->ring, cookie_of(ch, handle, CHAN_OP_POLL), f, events,
		  stream);
}

void chan_poll_room(struct mp_channel *ch, uint32_t handle, struct chan_file f)
{
	need_room(ch, 1);
	ring_poll(ch->ring, cookie_of(ch, handle, CHAN_OP_ROOM), f, EPOLLOUT,
		  false);
}

void chan_setsockopt(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		     int level, int name, const void *val, unsigned int len)
{
	struct scratch *s;

	need_room(ch, 1);
	s = &ch->scratch[ch->scratch_used++];
	memcpy(s->option, val, len);
	ring_setsockopt(ch->ring, cookie_of(ch, handle, CHAN_OP_SETOPT), f,
			level, name, s->option, (int)len);
}

void chan_cancel(struct mp_channel *ch, uint32_t handle, enum chan_op op)
{
	need_room(ch, 1);
	ring_cancel(ch->ring, cookie_make(CHAN_OP_NONE, 0, 0),
		    cookie_of(ch, handle, op));
}

/* --- calls: one request, waited for ---------------------------------- */

static uint64_t call_cookie(struct mp_channel *ch)
{
	need_room(ch, 1);
	return cookie_make(CHAN_OP_SYNC, ++ch->sync_seq, 0);
}

/* The request completes while it is submitted (none of the calls below can
 * wait), so its completion is there after one enter, among others that keep
 * their turn. Nothing else is collected: a connection that was accepted now
 * would be in the hands of a program that may be about to stop listening. */
static int finish_call(struct mp_channel *ch, uint64_t cookie)
{
	int res = -EIO, ret = chan_flush(ch);

	if (ret < 0)
		return ret;
	while (!(ret = ring_find(ch->ring, cookie, &res))) {
		ret = chan_flush_reap(ch);
		if (ret < 0 && ret != -EINTR)
			return ret;
	}
	return ret < 0 ? ret : res;
}

int chan_call_install(struct mp_channel *ch, int slot)
{
	uint64_t cookie = call_cookie(ch);

	ring_install(ch->ring, cookie, slot);
	return finish_call(ch, cookie);
}

int chan_call_accept(struct mp_channel *ch, int fd,
		     struct sockaddr_storage *addr, socklen_t *len)
{
	uint64_t cookie = call_cookie(ch);

	ring_accept_now(ch->ring, cookie, fd, addr, len);
	return finish_call(ch, cookie);
}

/* All in one enter. The newest is found first: it is looked for from there. */
void chan_call_install_all(struct mp_channel *ch, const int *slots, int *fds,
			   unsigned int count)
{
	uint64_t cookies[CHAN_INSTALL_MAX];
	unsigned int i;

	need_room(ch, count);
	for (i = 0; i < count; i++) {
		cookies[i] = cookie_make(CHAN_OP_SYNC, ++ch->sync_seq, 0);
		ring_install(ch->ring, cookies[i], slots[i]);
	}
	while (count--)
		fds[count] = finish_call(ch, cookies[count]);
}

int chan_call_send(struct mp_channel *ch, struct chan_file f,
		   const struct msghdr *msg, int flags)
{
	uint64_t cookie = call_cookie(ch);

	ring_sendv(ch->ring, cookie, f, msg, flags | MSG_NOSIGNAL, RING_ONCE);
	return finish_call(ch, cookie);
}

int chan_call_send_bytes(struct mp_channel *ch, struct chan_file f,
			 const void *buf, size_t len, int flags)
{
	uint64_t cookie = call_cookie(ch);

	ring_send(ch->ring, cookie, f, buf, len, flags | MSG_NOSIGNAL,
		  RING_ONCE);
	return finish_call(ch, cookie);
}

int chan_call_recv(struct mp_channel *ch, struct chan_file f,
		   struct msghdr *msg, int flags)
{
	uint64_t cookie = call_cookie(ch);

	ring_recv_into(ch->ring, cookie, f, msg, flags | MSG_DONTWAIT);
	return finish_call(ch, cookie);
}

int chan_call_recv_bytes(struct mp_channel *ch, struct chan_file f, void *buf,
			 size_t len, int flags)
{
	uint64_t cookie = call_cookie(ch);

	ring_recv_bytes(ch->ring, cookie, f, buf, len, flags | MSG_DONTWAIT);
	return finish_call(ch, cookie);
}

int chan_call_getsockopt(struct mp_channel *ch, struct chan_file f, int name,
			 void *val, int len)
{
	uint64_t cookie = call_cookie(ch);

	ring_getsockopt(ch->ring, cookie, f, SOL_SOCKET, name, val, len);
	return finish_call(ch, cookie);
}

int chan_call_inq(struct mp_channel *ch, struct chan_file f)
{
	uint64_t cookie = call_cookie(ch);

	ring_siocinq(ch->ring, cookie, f);
	return finish_call(ch, cookie);
}

int chan_call_outq(struct mp_channel *ch, struct chan_file f)
{
	uint64_t cookie = call_cookie(ch);

	ring_siocoutq(ch->ring, cookie, f);
	return finish_call(ch, cookie);
}

int chan_call_close(struct mp_channel *ch, struct chan_file f)
{
	uint64_t cookie = call_cookie(ch);

	ring_close_file(ch->ring, cookie, f, 0);
	return finish_call(ch, cookie);
}

/* --- completions ----------------------------------------------------- */

bool chan_ready(const struct mp_channel *ch)
{
	return ring_ready(ch->ring) || ch->silent.head != ch->silent.sent;
}

bool chan_is_behind(const struct mp_channel *ch)
{
	return ring_pending_work(ch->ring);
}

bool chan_has_work(const struct mp_channel *ch)
{
	return chan_ready(ch) || ring_pending_work(ch->ring);
}

/* A send that was to be silent has something to say. */
static void fell_short(struct silent *silent, uint32_t handle, uint32_t gen)
{
	unsigned int i;

	for (i = silent->head; i < silent->count; i++)
		if (silent->sends[i].handle == handle &&
		    silent->sends[i].gen == gen)
			silent->sends[i].handle = 0;
}

/* The next send that said nothing and so is done. Not while a completion may
 * be where it can't be seen. */
static bool next_silent(struct mp_channel *ch, struct chan_event *ev)
{
	struct silent *silent = &ch->silent;

	while (silent->head != silent->sent && !ring_overflowed(ch->ring)) {
		struct silent_send *s = &silent->sends[silent->head++];

		if (silent->head == silent->count)
			silent->head = silent->sent = silent->count = 0;
		ev->owner = s->handle ? handle_owner(&ch->handles, s->handle,
						     s->gen) : NULL;
		if (!ev->owner)
			continue;
		stat_inc(STAT_completed);
		ev->handle = s->handle;
		ev->op = CHAN_OP_SEND;
		ev->result = s->len;
		ev->more = ev->nonempty = false;
		ev->data = NULL;
		return true;
	}
	return false;
}

/* A completion that nobody waits for must not keep what it brought. */
static void drop(struct mp_channel *ch, const struct ring_event *re)
{
	if (re->flags & RING_F_BUFFER)
		bufring_put(&ch->buffers, re->buffer);
	if (cookie_op(re->cookie) != CHAN_OP_NONE)
		stat_inc(STAT_stale);
}

bool chan_dispatch(struct mp_channel *ch, struct chan_event *ev)
{
	struct ring_event re;

	while (ring_next(ch->ring, &re)) {
		ev->handle = cookie_index(re.cookie);
		if (re.flags & RING_F_BUFFER)
			bufring_take(&ch->buffers);
		ev->op = cookie_op(re.cookie);
		if (__builtin_expect(ev->op == CHAN_OP_TRY, 0)) {
			ev->op = CHAN_OP_SEND;
			fell_short(&ch->silent, ev->handle,
				   cookie_gen(re.cookie));
		}
		ev->owner = ev->op == CHAN_OP_NONE ?
				    NULL :
				    handle_owner(&ch->handles, ev->handle,
						 cookie_gen(re.cookie));
		if (!ev->owner) {
			drop(ch, &re);
			continue;
		}
		stat_inc(STAT_completed);
		ev->result = re.res;
		trace3(complete, ev->op, ev->result, ev->handle);
		ev->more = re.flags & RING_F_MORE;
		ev->nonempty = re.flags & RING_F_NONEMPTY;
		ev->buffer = re.buffer;
		ev->data = re.flags & RING_F_BUFFER ?
				   bufring_data(&ch->buffers, re.buffer) :
				   NULL;
		return true;
	}
	return next_silent(ch, ev);
}

void chan_put_buffer(struct mp_channel *ch, unsigned int buffer)
{
	bufring_put(&ch->buffers, buffer);
}

bool chan_buffers_low(const struct mp_channel *ch)
{
	return ch->buffers.lent > ch->buffers.count / 2;
}
