/* SPDX-License-Identifier: MIT */
/*
 * A lock of one word. Owns: nothing.
 *
 * While the process has one thread it costs two plain stores. A signal
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
	uint32_t word;		/* 0 free, 1 held, 2 held and waited for */
	int owner;		/* thread id of the holder */
};

extern __thread int lock_self_id __attribute__((tls_model("initial-exec")));

static inline int lock_self(void)
{
	if (!lock_self_id)
		lock_self_id = sys_gettid();
	return lock_self_id;
}

static inline bool lock_try(struct lock *l, uint32_t to)
{
	uint32_t expected = 0;

	return __atomic_compare_exchange_n(&l->word, &expected, to, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* In a process of one thread: who finds it held has interrupted the holder. */
static inline bool lock_take_alone(struct lock *l, int self)
{
	if (__atomic_load_n(&l->word, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&l->word, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&l->owner, self, __ATOMIC_RELAXED);
	return true;
}

/* False when this very thread holds it: we run in a signal handler. */
static inline bool lock_take(struct lock *l)
{
	int self = lock_self();

	if (__builtin_expect(__libc_single_threaded, 1))
		return lock_take_alone(l, self);
	if (!lock_try(l, 1)) {
		if (__atomic_load_n(&l->owner, __ATOMIC_RELAXED) == self)
			return false;
		while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE))
			sys_futex(&l->word, FUTEX_WAIT_PRIVATE, 2, NULL);
	}
	__atomic_store_n(&l->owner, self, __ATOMIC_RELAXED);
	return true;
}

static inline void lock_give(struct lock *l)
{
	__atomic_store_n(&l->owner, 0, __ATOMIC_RELAXED);
	if (__builtin_expect(__libc_single_threaded, 1)) {
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		__atomic_store_n(&l->word, 0, __ATOMIC_RELAXED);
		return;
	}
	if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
		sys_futex(&l->word, FUTEX_WAKE_PRIVATE, 1, NULL);
}

#endif
