/* SPDX-License-Identifier: MIT */
/*
 * How a libc name becomes a call on a socket of ours, or stays libc's.
 *
 * Owns: the way in and out. Invariant: the miss path (not our number) takes
 * no lock, allocates nothing and leaves errno alone.
 * Called by: the entry points only.
 */
#ifndef SHIM_ENTRY_H
#define SHIM_ENTRY_H

#include "fdtable.h"
#include "real.h"
#include "shim.h"
#include "thread.h"

/* What a body says when libc should do it after all. */
#define SHIM_PASS (-4095L)

/* The socket of a number, its lock held; or NULL and *ret: SHIM_PASS when it
 * is not ours, else -errno. */
struct vsock *entry_lock(int fd, long *ret);

/* The same for the most frequent case, in a process of one thread: NULL when
 * entry_lock() is to look. A handler that interrupts this has given the lock
 * back when it returns, and may have closed the socket. */
static inline struct vsock *entry_lock_alone(int fd, void *object)
{
	struct vsock *vs = object;
	struct thread *th;

	/* What is no socket may be no more than this byte. */
	if (unlikely(!__libc_single_threaded ||
		     *(uint8_t *)object != OBJ_SOCK || !*shim_alive ||
		     !lock_self_id))
		return NULL;
	th = vs->th;
	if (unlikely(__atomic_load_n(&th->lock.word, __ATOMIC_RELAXED)))
		return NULL;
	__atomic_store_n(&th->lock.word, (uint32_t)lock_self_id,
			 __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (likely(fd_object(fd) == (void *)vs && vs->kind == OBJ_SOCK &&
		   vs->life < VS_CLOSING)) {
		th->busy = vs;
		return vs;
	}
	lock_give(&th->lock);
	return NULL;
}

/* Gives the lock back. A call that goes on to libc needs a descriptor: a
 * lightweight socket gets one now. What the call returns, or SHIM_PASS. */
long entry_leave_to_libc(struct thread *th, struct vsock *vs, int fd, long ret);

static inline long entry_leave(struct thread *th, struct vsock *vs, int fd,
			       long ret)
{
	if (unlikely(ret == SHIM_PASS || shim_ending))
		return entry_leave_to_libc(th, vs, fd, ret);
	lock_give(&th->lock);
	return ret;
}

/* After our destructor nobody else will flush. */
void entry_flush(struct thread *th);

/* A number that libc is about to look at: it must be real. */
void entry_make_real(int fd);

/* The same: SHIM_PASS when libc may look now, else -errno. */
long entry_descriptor(int fd);

/*
 * The body of a libc function: *ours* is evaluated with `vs` locked, *libc*
 * when the number is not ours or *ours* is SHIM_PASS.
 */
#define SHIM_CALL(number, ours, libc)                                     \
	do {                                                              \
		void *object_ = fd_object(number);                        \
		struct vsock *vs;                                         \
		struct thread *th_;                                       \
		long ret_;                                                \
		if (likely(!object_))                                     \
			return libc;                                      \
		vs = entry_lock_alone(number, object_);                   \
		if (unlikely(!vs))                                        \
			vs = entry_lock(number, &ret_);                   \
		if (vs) {                                                 \
			th_ = vs->th;                                     \
			ret_ = (ours);                                    \
			ret_ = entry_leave(th_, vs, number, ret_);        \
		}                                                         \
		if (ret_ == SHIM_PASS)                                    \
			return libc;                                      \
		return (__typeof__(libc))shim_return(ret_);               \
	} while (0)

/* A call on something that is not ours may block, and our queued output with
 * it. Only then is it worth a question. */
static inline void entry_before_block(int fd)
{
	struct thread *th = self_thread;
	int flags;

	if (likely(!th || !thread_must_flush(th)))
		return;
	flags = sys_fcntl(fd, F_GETFL, 0);
	if (flags < 0 || flags & O_NONBLOCK)
		return;
	if (sys_is_file(fd))
		thread_before_delay();
	else
		thread_before_block();
}

/* In a child of raw clone(): the page was wiped, nothing is ours. */
void entry_forked(void);

/* True in a vfork child: it shares our memory and must not touch it. */
bool entry_foreign_process(void);

/* The same, asked only in programs that use vfork(). */
static inline bool entry_vfork_child(void)
{
	return unlikely(shim_vforked) && entry_foreign_process();
}

/* No number was left: true when there is room now, as free numbers that were
 * held are the program's again. */
static inline bool entry_make_room(void)
{
	return !entry_vfork_child() && fd_trim() > 0;
}

/* Bodies shared between families. Each has the socket locked.
 * entry_replace(): the same as close, but the number is taken over by dup2()
 * at once and must not be freed. */
long entry_close(struct vsock *vs, int fd);
void entry_replace(struct vsock *vs, int fd);

#endif
