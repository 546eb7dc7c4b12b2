/* SPDX-License-Identifier: MIT */
/* See thread.h. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "listener.h"
#include "thread.h"
#include "tx.h"
#include "view.h"
#include "vsock.h"

struct lock shim_lock;
bool shim_shared;
bool shim_vforked;
bool shim_leaving;
bool shim_ending;
struct list shim_threads = LIST_INIT(shim_threads);
__thread struct thread *self_thread;
__thread int lock_self_id;

static struct pool thread_pool = POOL_INIT(sizeof(struct thread), 16384);
static struct list ended_threads = LIST_INIT(ended_threads);
static pthread_key_t end_key;
static bool end_key_made;

/* Pool blocks: a few dozen objects at a time. */
#define BLOCK 65536

static void init_pools(struct thread *th)
{
	th->socks_pool = (struct pool)POOL_INIT(sizeof(struct vsock), BLOCK);
	/* Listeners too: of both there are few. */
	th->ents_pool = (struct pool)POOL_INIT(LISTENER_BYTES, BLOCK);
	th->pieces_pool = (struct pool)POOL_INIT(THREAD_PIECE_SIZE, BLOCK);
	th->accepts_pool =
		(struct pool)POOL_INIT(sizeof(struct accept_req), BLOCK);
	th->chunks_pool = (struct pool)POOL_INIT(CHUNK_SIZE, 2 * BLOCK);
	th->big_chunks_pool =
		(struct pool)POOL_INIT(BIG_CHUNK_SIZE, 4 * BIG_CHUNK_SIZE);
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

static int open_channel(struct thread *th)
{
	struct mp_options options = {
		.size = sizeof(options),
		.batch = opts.batch,
		.buffers = power_of_two(opts.buffers),
		.lwsockets = opts.lwsocket == LWSOCKET_OFF ? 0 : opts.slots,
	};
	int ret = mp_create(&options, &th->ch);

	if (ret < 0)
		return ret;
	chan_moved(th->ch, fd_hide(chan_fd(th->ch)));
	ret = chan_register(th->ch, th);
	if (ret > 0)
		th->handle = (uint32_t)ret;
	view_channel_open(th);
	shim_tell("channel of thread %d: %u buffers, %u lightweight sockets",
		  lock_self(), chan_buffers(th->ch), chan_slots(th->ch));
	return 0;
}

/* What is left of the thread is used again by the next new one; sockets that
 * hold read-ahead bytes still point at it and keep it as it is. */
void thread_close_channel(struct thread *th)
{
	struct list *node;

	while ((node = list_pop(&th->sets)))
		__atomic_store_n(&list_entry(node, struct epset, owned)->th,
				 NULL, __ATOMIC_RELEASE);
	if (th->wake_fd >= 0) {
		fd_unhide(th->wake_fd);
		sys_close(th->wake_fd);
		th->wake_fd = -1;
	}
	fd_unhide(chan_fd(th->ch));
	mp_destroy(th->ch);
	th->ch = NULL;
	th->handle = 0;
	th->wake_armed = th->look_again = false;
	thread_set_sending(th, false);
	if (!lock_take(&shim_lock))
		return;
	view_channel_close(th);
	list_remove(&th->all);
	list_append(&ended_threads, &th->all);
	lock_give(&shim_lock);
}

struct list *thread_next_sock(const struct thread *th, struct list *node)
{
	do {
		node = node->next;
	} while (node != &th->socks &&
		 list_entry(node, struct vsock, owned)->life >= VS_CLOSING);
	return node;
}

static struct thread *fresh_thread(void)
{
	struct thread *th = pool_get(&thread_pool);

	if (!th)
		return NULL;
	memset(th, 0, sizeof(*th));
	th->kind = OBJ_THREAD;
	th->wake_fd = -1;
	th->turns = 1;
	list_init(&th->updates);
	list_init(&th->later);
	list_init(&th->socks);
	list_init(&th->sets);
	list_init(&th->listeners);
	list_init(&th->loose);
	init_pools(th);
	return th;
}

static struct thread *new_thread(int *why)
{
	struct list *node = list_pop(&ended_threads);
	struct thread *th = node ? list_entry(node, struct thread, all) :
				   fresh_thread();

	if (!th) {
		*why = -ENOMEM;
		return NULL;
	}
	*why = open_channel(th);
	if (*why < 0) {
		list_append(&ended_threads, &th->all);
		return NULL;
	}
	list_append(&shim_threads, &th->all);
	return th;
}

struct thread *thread_get(int *why)
{
	struct thread *th = self_thread;

	if (likely(th))
		return th;
	*why = -EBUSY;
	if (!lock_take(&shim_lock))
		return NULL;
	if (!end_key_made)
		end_key_made = !pthread_key_create(&end_key, thread_ended);
	th = new_thread(why);
	lock_give(&shim_lock);
	if (!th)
		return NULL;
	th->tid = lock_self();
	th->self = pthread_self();
	th->cancelled = true;	/* perhaps before it was known here */
	self_thread = th;
	if (end_key_made)
		pthread_setspecific(end_key, th);
	return th;
}

void thread_put_buffer(struct thread *th, unsigned int buffer)
{
	chan_put_buffer(th->ch, buffer);
}

/* --- completions ----------------------------------------------------- */

static void wake_complete(struct thread *th, const struct chan_event *ev)
{
	uint64_t count;

	if (!ev->more)
		th->wake_armed = false;
	if (th->wake_fd >= 0)
		sys_read(th->wake_fd, &count, sizeof(count));
}

int thread_dispatch(struct thread *th)
{
	struct chan_event ev;
	int n = 0;

	for (; chan_dispatch(th->ch, &ev); n++) {
		switch (*(uint8_t *)ev.owner) {
		case OBJ_SOCK:
			vs_complete(ev.owner, &ev);
			break;
		case OBJ_ACCEPT:
			listener_complete(ev.owner, &ev);
			break;
		case OBJ_SET:
			ep_complete(ev.owner, &ev);
			break;
		case OBJ_PARTITION:
			partition_complete(ev.owner, &ev);
			break;
		case OBJ_THREAD:
			wake_complete(ev.owner, &ev);
			break;
		default:
			break;
		}
	}
	th->found += (uint32_t)n;
	return n;
}

/* --- the batch ------------------------------------------------------- */

static void update_all(struct thread *th)
{
	struct list *node;

	thread_set_sending(th, false);
	while ((node = list_pop(&th->updates)))
		vs_update(list_entry(node, struct vsock, update));
}

/* What need not be armed before the thread sleeps. */
static void touch_later(struct thread *th)
{
	struct list *node;

	while ((node = list_pop(&th->later))) {
		list_entry(node, struct vsock, update)->later = false;
		list_append(&th->updates, node);
	}
	th->turning = true;
	update_all(th);
	th->turning = false;
}

void thread_flush(struct thread *th)
{
	bool before = th->sending;

	/* Sends that ended while they were submitted make way for the bytes
	 * that gathered behind them. */
	if (chan_ready(th->ch))
		thread_dispatch(th);
	update_all(th);
	mp_flush(th->ch);
	/* Submitted is not done: a cancelled receive still holds its file. */
	if (before)
		thread_set_sending(th, true);
}

void thread_reap_now(struct thread *th)
{
	if (shim_shared)
		listener_hold_all(th);
	update_all(th);
	chan_flush_reap(th->ch);
	thread_dispatch(th);
}

/* While there is one thread nobody can leave us anything. */
static void arm_wake(struct thread *th)
{
	if (th->wake_armed || !th->handle || __libc_single_threaded)
		return;
	if (th->wake_fd < 0) {
		int fd = sys_eventfd(0, O_CLOEXEC | O_NONBLOCK);

		if (fd < 0)
			return;
		th->wake_fd = fd_hide(fd);
	}
	chan_poll(th->ch, th->handle, (struct chan_file){ .fd = th->wake_fd },
		  EPOLLIN, true);
	th->wake_armed = true;
}

/* A receive brought less than its buffer holds and there is more: mostly the
 * FIN, which the kernel would report with the data. */
static void look_again(struct thread *th)
{
	if (likely(!th->look_again))
		return;
	th->look_again = false;
	update_all(th);
	chan_flush_reap(th->ch);
	thread_dispatch(th);
	th->look_again = false;
}

int thread_wait(struct thread *th, int64_t timeout_ns, const sigset_t *mask)
{
	uint32_t found = th->found;
	struct list *node;
	bool all;
	int ret;

	if (unlikely(!list_empty(&th->loose)))
		listener_give_loose(th);
	touch_later(th);
	for (node = th->sets.next; node != &th->sets; node = node->next)
		ep_arm(list_entry(node, struct epset, owned));
	arm_wake(th);
	listener_arm_all(th, timeout_ns != 0);
	/* To end a request is to look at all completions: they may be what the
	 * program would sleep for. */
	if (unlikely(th->found != found))
		timeout_ns = 0;
	th->turns++;
	th->sleeping = true;
	lock_give(&th->lock);
	ret = chan_wait(th->ch, timeout_ns, mask);
	all = !chan_is_behind(th->ch);
	lock_take(&th->lock);
	th->sleeping = false;
	thread_dispatch(th);
	th->synced += all;
	look_again(th);
	if (unlikely(th->exclusive))
		listener_withdraw_all(th);
	if (unlikely(th->askers)) {
		update_all(th);
		thread_served(th);
	}
	return ret;
}

void thread_wake(struct thread *th)
{
	static const uint64_t one = 1;

	if (th->sleeping && th->wake_fd >= 0)
		sys_write(th->wake_fd, &one, sizeof(one));
}

/* Requests carry a queue's first parts only: so many rounds at most while
 * the kernel takes them. */
#define FLUSH_ROUNDS 64

void thread_flush_out(struct thread *th)
{
	int i;

	th->busy = NULL;
	if (!list_empty(&th->loose))
		listener_give_loose(th);
	for (i = 0; i < FLUSH_ROUNDS; i++) {
		thread_reap_now(th);
		/* One enter finishes 20 requests at most when it does not
		 * wait (IO_LOCAL_TW_DEFAULT_MAX, Linux 6.13). */
		if (!th->sending && !chan_has_work(th->ch))
			return;
	}
}

void thread_served(struct thread *th)
{
	if (likely(!th->askers))
		return;
	__atomic_add_fetch(&th->served, 1, __ATOMIC_RELAXED);
	sys_futex(&th->served, FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
}

/* Nobody else can get at a socket that has no descriptor while its thread is
 * elsewhere, perhaps waiting for them. */
static void materialise_all(struct thread *th)
{
	vs_materialise_all(th, STAT_mat_block);
	listener_expose_all(th);
	thread_served(th);
}

static void before_call(struct thread *th, bool waits_for_threads)
{
	if (!*shim_alive || !lock_take(&th->lock))
		return;
	/* Not only submitted: a cancelled receive holds its file, and so a
	 * FIN back, until its end was collected. */
	if (th->ch)
		thread_flush_out(th);
	if (th->ch && waits_for_threads && thread_is_exposed(th))
		materialise_all(th);
	lock_give(&th->lock);
}

void thread_before_block(void)
{
	struct thread *th = self_thread;

	if (unlikely(th && thread_must_flush(th)))
		before_call(th, true);
}

void thread_before_delay(void)
{
	struct thread *th = self_thread;

	if (unlikely(th && thread_has_unsent(th)))
		before_call(th, false);
}

bool thread_leave(void)
{
	struct thread *th = self_thread;

	if (likely(!th))
		return false;
	thread_before_block();
	if (__libc_single_threaded || !lock_take(&th->lock))
		return false;
	/* Another thread may have queued something since. */
	if (th->ch && thread_has_unsent(th))
		thread_flush_out(th);
	th->away = true;
	thread_served(th);
	lock_give(&th->lock);
	return true;
}

void thread_back(bool left)
{
	struct thread *th = self_thread;

	if (likely(!left) || !th || !lock_take(&th->lock))
		return;
	th->away = false;
	lock_give(&th->lock);
}
