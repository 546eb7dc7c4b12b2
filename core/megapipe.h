/* SPDX-License-Identifier: MIT */
/*
 * MegaPipe channels: batched, completion-based I/O on many sockets.
 *
 * After S. Han et al., "MegaPipe: A New Programming Interface for Scalable
 * Network I/O", OSDI'12. A channel belongs to the thread that created it; no
 * other thread may call anything here with it. Functions return 0, a count or
 * -errno and never touch errno.
 *
 * Requests are queued, not executed. They reach the kernel together when
 * MEGAPIPE_BATCH of them are queued, when no completion is left and the caller
 * waits, or when the caller asks (mp_flush()): the paper's three flush rules.
 */
#ifndef MP_MEGAPIPE_H
#define MP_MEGAPIPE_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mp_channel;

struct mp_params {
	unsigned int batch;	/* announced requests that cause a flush */
	unsigned int buffers;	/* receive buffers, a power of two */
	unsigned int slots;	/* lightweight sockets at most, 0: none */
};

/* Creates a channel for the calling thread. 0, or -ENOSYS, -EPERM (io_uring
 * is not there or not allowed), -ENOMEM (RLIMIT_MEMLOCK), -EMFILE.
 * Linux 6.1 (DEFER_TASKRUN). */
int mp_create(const struct mp_params *params, struct mp_channel **out);

/* Ends everything that is pending and frees the channel. */
void mp_destroy(struct mp_channel *ch);

/* Hands the queued requests to the kernel. 0 or -errno. */
int mp_flush(struct mp_channel *ch);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
