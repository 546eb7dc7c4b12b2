/* SPDX-License-Identifier: MIT */
/*
 * Description: the buffer ring without a kernel. See fake.h.
 *
 * Buffers are given out first in, first out, as the kernel does. A buffer
 * that is given back is overwritten: who still reads it is found out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

/* One buffer ring at a time: a test has one channel. */
static struct bufring *ring_of_buffers;
static unsigned char *lent_bits;	/* by id: 1 with the program */
static unsigned int *queue;		/* ids that the kernel has */
static unsigned int queue_head, queue_len;

int bufring_open(struct bufring *b, struct ring *r, unsigned int group,
		 unsigned int count, unsigned int size)
{
	unsigned int i;

	*b = (struct bufring){ .count = count, .size = size, .group = group };
	if (fake.buffers_error)
		return fake.buffers_error;
	if (count > fake.max_buffers)
		return -ENOMEM;
	if (!count || count & (count - 1))
		return -EINVAL;
	if (ring_of_buffers)
		fake_die("two buffer rings");
	b->data = malloc((size_t)count * size);
	lent_bits = calloc(count, 1);
	queue = malloc(count * sizeof(*queue));
	if (!b->data || !lent_bits || !queue)
		fake_die("out of memory");
	for (i = 0; i < count; i++)
		queue[i] = i;
	queue_head = 0;
	queue_len = count;
	ring_of_buffers = b;
	return 0;
}

void bufring_close(struct bufring *b)
{
	if (ring_of_buffers != b)
		return;
	free(b->data);
	free(lent_bits);
	free(queue);
	b->data = NULL;
	ring_of_buffers = NULL;
	queue_len = 0;
}

void bufring_put(struct bufring *b, unsigned int id)
{
	if (b != ring_of_buffers || id >= b->count)
		fake_die("a buffer that is not of this ring is given back");
	if (!lent_bits[id])
		fake_die("a buffer is given back twice");
	if (!b->lent)
		fake_die("a buffer is given back that nobody counted");
	lent_bits[id] = 0;
	b->lent--;
	memset(bufring_data(b, id), 0xdd, b->size);
	queue[(queue_head + queue_len++) % b->count] = id;
}

int fake_take_buffer(struct bufring **from)
{
	unsigned int id;

	*from = ring_of_buffers;
	if (!ring_of_buffers || !queue_len)
		return -1;
	id = queue[queue_head];
	queue_head = (queue_head + 1) % ring_of_buffers->count;
	queue_len--;
	lent_bits[id] = 1;
	return (int)id;
}

unsigned int fake_free_buffers(void)
{
	return queue_len;
}

unsigned int fake_lent(void)
{
	return ring_of_buffers ? ring_of_buffers->count - queue_len : 0;
}
