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

void *pool_get(struct pool *p)
{
	void *object = p->free;

	if (object) {
		p->free = *link_of(object);
		p->used++;
		return object;
	}
	if ((size_t)(p->end - p->next) < p->size) {
		char *block = sys_map(p->block, MAP_PRIVATE);

		if (!block)
			return NULL;
		p->next = block;
		p->end = block + p->block;
	}
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
