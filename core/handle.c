/* SPDX-License-Identifier: MIT */
/* See handle.h. */
#include <errno.h>

#include "cookie.h"
#include "handle.h"
#include "sys.h"

#define TABLE_BYTES (HANDLE_MAX * sizeof(struct handle_entry))

int handle_table_open(struct handle_table *t)
{
	t->entries = sys_map(TABLE_BYTES, MAP_PRIVATE | MAP_NORESERVE);
	if (!t->entries)
		return -ENOMEM;
	t->size = HANDLE_MAX;
	t->fresh = 1;
	t->free = 0;
	return 0;
}

void handle_table_close(struct handle_table *t)
{
	if (t->entries)
		sys_unmap(t->entries, TABLE_BYTES);
	t->entries = NULL;
	t->fresh = 0;
}

int handle_open(struct handle_table *t, void *owner)
{
	uint32_t index = t->free;

	if (index)
		t->free = t->entries[index].next_free;
	else if (t->fresh < t->size)
		index = t->fresh++;
	else
		return -ENOMEM;
	t->entries[index].owner = owner;
	return (int)index;
}

void handle_close(struct handle_table *t, uint32_t index)
{
	struct handle_entry *e = &t->entries[index];

	e->owner = NULL;
	e->gen = (e->gen + 1) & COOKIE_GEN_MASK;
	e->next_free = t->free;
	t->free = index;
}
