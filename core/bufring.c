/* SPDX-License-Identifier: MIT */
/* See bufring.h. */
#include <liburing.h>

#include "bufring.h"
#include "ring.h"
#include "sys.h"

static size_t slots_bytes(const struct bufring *b)
{
	return b->count * sizeof(struct io_uring_buf);
}

static void add(struct bufring *b, unsigned int id)
{
	io_uring_buf_ring_add(b->slots, bufring_data(b, id), b->size,
			      (unsigned short)id,
			      io_uring_buf_ring_mask(b->count), 0);
	io_uring_buf_ring_advance(b->slots, 1);
}

int bufring_open(struct bufring *b, struct ring *r, unsigned int group,
		 unsigned int count, unsigned int size)
{
	unsigned int i;
	int ret = -ENOMEM;

	*b = (struct bufring){ .count = count, .size = size, .group = group };
	/* The kernel pins the descriptors' pages: a forked child must not
	 * copy them away from it. */
	b->slots = sys_map(slots_bytes(b), MAP_PRIVATE);
	b->data = sys_map((size_t)count * size, MAP_PRIVATE | MAP_NORESERVE);
	if (!b->slots || !b->data)
		goto fail;
	sys_call3(SYS_madvise, b->slots, slots_bytes(b), MADV_DONTFORK);
	ret = ring_register_buffers(r, b->slots, count, group);
	if (ret < 0)
		goto fail;
	io_uring_buf_ring_init(b->slots);
	for (i = 0; i < count; i++)
		add(b, i);
	return 0;
fail:
	bufring_close(b);
	return ret;
}

void bufring_close(struct bufring *b)
{
	if (b->slots)
		sys_unmap(b->slots, slots_bytes(b));
	if (b->data)
		sys_unmap(b->data, (size_t)b->count * b->size);
	b->slots = NULL;
	b->data = NULL;
}

void bufring_put(struct bufring *b, unsigned int id)
{
	/* Counted by the owner on its way into the ring, without the lock. */
	__atomic_store_n(&b->lent, b->lent - 1, __ATOMIC_RELAXED);
	add(b, id);
}
