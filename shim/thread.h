/* SPDX-License-Identifier: MIT */
/*
 * Threads that wait, and their channels.
 *
 * Owns: struct thread, the list of them, when a batch is flushed. Invariant:
 * only the thread itself enters its ring; others leave wants in its list
 * and wake it.
 * Called by: every entry point. The thread's lock is held, except in
 * thread_get(), thread_enter() and the fork and exit functions.
 */
#ifndef SHIM_THREAD_H
#define SHIM_THREAD_H

#include "shim.h"

/* Bytes of one receive piece and of a small chunk: pool object sizes. */
#define THREAD_PIECE_SIZE 40
#define CHUNK_SIZE 4096
#define BIG_CHUNK_SIZE (65536 + 64)

/* Output is queued, by whichever thread. Read without the lock, by the thread
 * itself: a thread that goes to block looks for what others left before. */
static inline bool thread_is_sending(const struct thread *th)
{
	return __atomic_load_n(&th->sending, __ATOMIC_RELAXED);
}

static inline void thread_set_sending(struct thread *th, bool sending)
{
	__atomic_store_n(&th->sending, sending, __ATOMIC_RELAXED);
}

/* Counts its sockets without a descriptor; read as above. */
static inline void thread_count_lw(struct thread *th, int by)
{
	__atomic_store_n(&th->lw_count, th->lw_count + (unsigned int)by,
			 __ATOMIC_RELAXED);
}

/* Is there one for another connection? The kernel accepts before it looks, and
 * a connection without a slot is closed. */
static inline bool thread_has_slot(const struct thread *th)
{
	return th->slots < chan_slots(th->ch);
}

/* Ends what is in a slot; nothing is in flight on it. */
static inline void thread_close_slot(struct thread *th, int slot)
{
	struct chan_file file = { .fd = slot, .lw = true };

	chan_call_close(th->ch, file);
	th->slots--;
}

/* Has it sockets that other threads may want and can't get at? */
static inline bool thread_is_exposed(const struct thread *th)
{
	return __atomic_load_n(&th->lw_count, __ATOMIC_RELAXED) &&
	       !__libc_single_threaded;
}

/* Does something wait for its next flush? */
static inline bool thread_has_unsent(const struct thread *th)
{
	return thread_is_sending(th) || !list_empty(&th->loose);
}

/* Is there anything to do before it blocks? */
static inline bool thread_must_flush(const struct thread *th)
{
	return thread_has_unsent(th) || thread_is_exposed(th);
}

/* The next in th->socks that will still be there after completions were looked
 * at: the closing ones may end by that. */
struct list *thread_next_sock(const struct thread *th, struct list *node);

/* The calling thread's channel, made at the first call; NULL and *why (-errno)
 * when none can be made. */
struct thread *thread_get(int *why);

/* Looks at every touched socket and hands the requests to the kernel. */
void thread_flush(struct thread *th);

/* The same, collects what completes, and turns it into facts. */
void thread_reap_now(struct thread *th);

/* The same, until the kernel has all that it takes now. */
void thread_flush_out(struct thread *th);

/* Turns completions that are there into facts: how many. */
int thread_dispatch(struct thread *th);

/* Flushes and waits, the lock given up meanwhile: 0 or -EINTR. */
int thread_wait(struct thread *th, int64_t timeout_ns, const sigset_t *mask);

/* A foreign thread left something to do. */
void thread_wake(struct thread *th);

void thread_put_buffer(struct thread *th, unsigned int buffer);

/* Before the calling thread blocks outside the shim: its output goes out. */
void thread_before_block(void);

/* The same before what takes a while but waits for no thread of this process:
 * its sockets need no descriptors for the others. */
void thread_before_delay(void);

/* The same around a call: meanwhile others do what the thread would. What
 * thread_leave() said is for thread_back(). */
bool thread_leave(void);
void thread_back(bool left);

/* What another thread asked for is done, or it may look again. */
void thread_served(struct thread *th);

/* The destructor of a thread's key: its sockets go back to the kernel, and its
 * channel ends. */
void thread_ended(void *arg);
void thread_close_channel(struct thread *th);

/* Before the process or its thread ends: until the kernel has taken what is
 * queued, or for opts.linger_ms: by all threads, or by this one. */
void thread_drain(bool all, bool last);

/* The program goes on without us, in destructors. */
void thread_give_all(void);

#endif
