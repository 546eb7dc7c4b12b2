/* SPDX-License-Identifier: MIT */
/*
 * How a channel begins and ends, and whose it is.
 *
 * Owns: the number of the calling thread. Invariant: a channel that could not
 * be made whole leaves nothing behind. Called by: the shim and programs,
 * through megapipe.h and channel.h. Any thread.
 */
#include <errno.h>

#include "channel_state.h"
#include "sys.h"

/* 256 submission entries: a batch of 32 sockets with a few requests each
 * goes out in one call; 16 KiB of locked memory. */
#define RING_ENTRIES 256
/* When RLIMIT_MEMLOCK is short: smaller, but not uselessly small. */
#define RING_ENTRIES_MIN 32

#define CHANNEL_BYTES 4096
_Static_assert(sizeof(struct mp_channel) <= CHANNEL_BYTES, "one page");

/* A page of its own, which a forked child finds empty. */
#define THREAD_BYTES 4096

/* The calling thread's number since its first mp_create(). Of our own: the
 * kernel gives the number of a thread that has ended to another. */
static __thread uint64_t self;
static uint64_t threads;

static size_t scratch_bytes(const struct mp_channel *ch)
{
	return ch->entries * sizeof(struct scratch);
}

static int open_ring(struct mp_channel *ch, unsigned int slots)
{
	int ret;

	for (ch->entries = RING_ENTRIES;; ch->entries /= 2) {
		ret = ring_open(ch->entries, slots, &ch->ring);
		if (ret != -ENOMEM || ch->entries == RING_ENTRIES_MIN)
			return ret;
	}
}

static int open_buffers(struct mp_channel *ch, unsigned int count)
{
	int ret;

	do {
		ret = bufring_open(&ch->buffers, ch->ring, BUFFER_GROUP, count,
				   CHAN_BUFFER_SIZE);
		count /= 2;
	} while (ret == -ENOMEM && count >= 8);
	return ret;
}

static int open_thread(struct mp_channel *ch)
{
	ch->thread = sys_map(THREAD_BYTES, MAP_PRIVATE);
	if (!ch->thread)
		return -ENOMEM;
	sys_call3(SYS_madvise, ch->thread, THREAD_BYTES, MADV_WIPEONFORK);
	if (!self)
		self = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
	*ch->thread = (struct owner){ .number = self, .tid = sys_gettid() };
	return 0;
}

static int create(struct mp_channel *ch, const struct mp_options *p)
{
	const struct ring_caps *caps;
	int ret = open_thread(ch);

	if (ret < 0)
		return ret;
	ret = open_ring(ch, p->lwsockets);
	if (ret < 0)
		goto fail;
	ret = handle_table_open(&ch->handles);
	if (ret < 0)
		goto fail_ring;
	ret = open_buffers(ch, p->buffers);
	if (ret < 0)
		goto fail_handles;
	ch->scratch = sys_map(scratch_bytes(ch), MAP_PRIVATE);
	if (!ch->scratch) {
		ret = -ENOMEM;
		goto fail_buffers;
	}
	caps = ring_caps(ch->ring);
	ch->caps.lwsocket = caps->install && caps->slots;
	ch->caps.sockopt = caps->sockopt;
	ch->caps.nonempty = caps->accept_poll_first;
	ch->batch = p->batch;
	return 0;

fail_buffers:
	bufring_close(&ch->buffers);
fail_handles:
	handle_table_close(&ch->handles);
fail_ring:
	ring_close(ch->ring);
fail:
	sys_unmap(ch->thread, THREAD_BYTES);
	return ret;
}

/* What a program of a later release knows and we do not must be zero, as with
 * the kernel's structures that grow. */
static bool all_zero(const char *from, const char *to)
{
	while (from < to)
		if (*from++)
			return false;
	return true;
}

static int read_options(struct mp_options *p, const struct mp_options *from)
{
	if (from->size < sizeof(*p))
		return -EINVAL;
	if (!all_zero((const char *)(from + 1),
		      (const char *)from + from->size))
		return -E2BIG;
	*p = *from;
	if (p->flags)
		return -E2BIG;
	if (!p->batch || !p->buffers || (p->buffers & (p->buffers - 1)) ||
	    p->buffers > CHAN_BUFFERS_MAX)
		return -EINVAL;
	return 0;
}

int mp_create(const struct mp_options *options, struct mp_channel **out)
{
	struct mp_options p = MP_OPTIONS_INIT;
	struct mp_channel *ch;
	int ret = options ? read_options(&p, options) : 0;

	if (ret < 0)
		return ret;
	ch = sys_map(CHANNEL_BYTES, MAP_PRIVATE);
	if (!ch)
		return -ENOMEM;
	ret = create(ch, &p);
	if (ret < 0) {
		sys_unmap(ch, CHANNEL_BYTES);
		/* Set-up flags that a kernel before 6.1 does not know. */
		return ret == -EINVAL ? -ENOSYS : ret;
	}
	*out = ch;
	return 0;
}

int chan_check(const struct mp_channel *ch)
{
	if (__builtin_expect(ch->thread->number == self && self, 1))
		return 0;
	return ch->thread->number ? -EPERM : -ECHILD;
}

/* A ring whose thread has ended can be ended by any other, but not while one
 * has the kernel's number of it: unless that is the caller. */
static bool may_destroy(const struct mp_channel *ch)
{
	return !chan_check(ch) || ch->thread->tid == sys_gettid() ||
	       sys_tgkill(sys_getpid(), ch->thread->tid, 0) == -ESRCH;
}

int mp_destroy(struct mp_channel *ch)
{
	bool forked = !ch->thread->number;

	if (!forked && !may_destroy(ch))
		return -EPERM;
	if (ch->front)
		ch->front->destroy(ch->front_arg, forked);
	if (forked) {
		chan_forget(ch);
	} else {
		ring_close(ch->ring);
		bufring_close(&ch->buffers);
		handle_table_close(&ch->handles);
		sys_unmap(ch->scratch, scratch_bytes(ch));
		sys_unmap(ch->thread, THREAD_BYTES);
	}
	sys_unmap(ch, CHANNEL_BYTES);
	return 0;
}

void chan_set_front(struct mp_channel *ch, const struct chan_front *front,
		    void *arg)
{
	ch->front = front;
	ch->front_arg = arg;
}

void *chan_front_arg(const struct mp_channel *ch)
{
	return ch->front_arg;
}

void chan_forget(struct mp_channel *ch)
{
	ring_forget(ch->ring);
	handle_table_close(&ch->handles);
	sys_unmap(ch->scratch, scratch_bytes(ch));
	sys_unmap(ch->thread, THREAD_BYTES);
	/* The buffers stay: sockets that were inherited may hold some. */
}
