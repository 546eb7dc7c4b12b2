/* SPDX-License-Identifier: MIT */
/*
 * The buffers that the kernel receives into: one ring of them per channel.
 *
 * Owns: the buffers. Invariant: a buffer is either with the kernel (in the
 * ring) or lent (its id was in a completion and bufring_put() not called).
 * Called by: channel. The channel's lock is held.
 */
#ifndef MP_BUFRING_H
#define MP_BUFRING_H

#include <stddef.h>
#include <stdint.h>

struct ring;
struct io_uring_buf_ring;

struct bufring {
	struct io_uring_buf_ring *slots;
	char *data;
	unsigned int count;	/* power of two */
	unsigned int size;	/* bytes of one buffer */
	unsigned int lent;
	unsigned int group;
};

/* 0 or -errno. The data is touched as it is used. */
int bufring_open(struct bufring *b, struct ring *r, unsigned int group,
		 unsigned int count, unsigned int size);
void bufring_close(struct bufring *b);

static inline char *bufring_data(const struct bufring *b, unsigned int id)
{
	return b->data + (size_t)id * b->size;
}

static inline void bufring_take(struct bufring *b)
{
	__atomic_store_n(&b->lent, b->lent + 1, __ATOMIC_RELAXED);
}

void bufring_put(struct bufring *b, unsigned int id);

#endif
