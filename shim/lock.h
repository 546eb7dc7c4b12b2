/* SPDX-License-Identifier: MIT */
/*
 * A lock of one word. Owns: nothing.
 *
 * While the process has one thread it costs a plain store. A signal
 * handler that interrupts its own thread inside the shim must not wait for
 * that thread: lock_take() then says so.
 */
#ifndef SHIM_LOCK_H
#define SHIM_LOCK_H

#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#include "../core/sys.h"

struct lock {
	uint32_t word;		/* 0 free, or the holder's thread id */
};

#define LOCK_WAITED 0x80000000u	/* ... and somebody waits for it */

extern __thread int lock_self_id __attribute__((tls_model("initial-exec")));

static inline int lock_self(void)
{
	if (!lock_self_id)
		lock_self_id = sys_gettid();
	return lock_self_id;
}

static inline bool lock_is_mine(const struct lock *l)
{
	uint32_t word = __atomic_load_n(&l->word, __ATOMIC_RELAXED);

	return (word & ~LOCK_WAITED) == (uint32_t)lock_self();
}

/* *found: what it was. The holder is known from the instant that it is held:
 * a handler may run right behind that. */
static inline bool lock_try(struct lock *l, uint32_t to, uint32_t *found)
{
	*found = 0;
	return __atomic_compare_exchange_n(&l->word, found, to, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Who has waited takes it as waited for: others may have come. */
static inline void lock_wait(struct lock *l, uint32_t self, uint32_t found)
{
	do {
		if (found && (found & LOCK_WAITED ||
			      __atomic_compare_exchange_n(
				      &l->word, &found, found | LOCK_WAITED,
				      false, __ATOMIC_RELAXED,
				      __ATOMIC_RELAXED)))
			sys_futex(&l->word, FUTEX_WAIT_PRIVATE,
				  found | LOCK_WAITED, NULL);
	} while (!lock_try(l, self | LOCK_WAITED, &found));
}

/* False when this very thread holds it: we run in a signal handler. */
static inline bool lock_take(struct lock *l)
{
	uint32_t self = (uint32_t)lock_self(), found;

	/* In a process of one thread who finds it held has interrupted it. */
	if (__builtin_expect(__libc_single_threaded, 1)) {
		if (__atomic_load_n(&l->word, __ATOMIC_RELAXED))
			return false;
		__atomic_store_n(&l->word, self, __ATOMIC_RELAXED);
		return true;
	}
	if (lock_try(l, self, &found))
		return true;
	if ((found & ~LOCK_WAITED) == self)
		return false;
	lock_wait(l, self, found);
	return true;
}

static inline void lock_give(struct lock *l)
{
	if (__builtin_expect(__libc_single_threaded, 1)) {
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		__atomic_store_n(&l->word, 0, __ATOMIC_RELAXED);
	} else if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) &
		   LOCK_WAITED) {
		sys_futex(&l->word, FUTEX_WAKE_PRIVATE, 1, NULL);
	}
}

#endif
