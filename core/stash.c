/* SPDX-License-Identifier: MIT */
/* See stash.h. */
#include <errno.h>
#include <string.h>

#include "stash.h"
#include "sys.h"

void stash_free(struct stash *s)
{
	if (s->events)
		sys_unmap(s->events, s->size * sizeof(*s->events));
	*s = (struct stash){ 0 };
}

int stash_grow(struct stash *s, unsigned int more)
{
	struct stash old = *s;
	unsigned int waiting = s->tail - s->head;

	if (!waiting)
		s->head = s->tail = 0;
	if (s->tail + more <= s->size)
		return 0;
	s->size = (waiting + more) * 2;
	s->events = sys_map(s->size * sizeof(*s->events), MAP_PRIVATE);
	if (!s->events) {
		*s = old;
		return -ENOMEM;
	}
	if (old.events)
		memcpy(s->events, old.events + old.head,
		       waiting * sizeof(*s->events));
	s->head = 0;
	s->tail = waiting;
	stash_free(&old);
	return 0;
}
