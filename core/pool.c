/* SPDX-License-Identifier: MIT */
/* See pool.h. */
#include "pool.h"
#include "sys.h"

/* The link stands behind the first word of a freed object: that goes on saying
 * what it is, to look-ups that hold no lock and just found it. */
static void **link_of(void *object)
{
	return (void **)object + 1;
}

static bool add_block(struct pool *p)
{
	char *block = sys_map(p->block, MAP_PRIVATE);

	if (!block)
		return false;
	p->next = block;
	p->end = block + p->block;
	if (p->ends) {
		p->end -= sizeof(p->newest);
		*(void **)p->end = p->newest;
		p->newest = block;
	}
	return true;
}

bool pool_ready(struct pool *p)
{
	return p->free || (size_t)(p->end - p->next) >= p->size ||
	       add_block(p);
}

void pool_close(struct pool *p)
{
	while (p->newest) {
		char *block = p->newest;

		p->newest = *(void **)(block + p->block - sizeof(p->newest));
		sys_unmap(block, p->block);
	}
	p->free = NULL;
	p->next = p->end = NULL;
	p->used = 0;
}

void *pool_get(struct pool *p)
{
	void *object = p->free;

	if (object) {
		p->free = *link_of(object);
		p->used++;
		return object;
	}
	if ((size_t)(p->end - p->next) < p->size && !add_block(p))
		return NULL;
	object = p->next;
	p->next += p->size;
	p->used++;
	return object;
}

void pool_put(struct pool *p, void *object)
{
	*link_of(object) = p->free;
	p->free = object;
	p->used--;
}
