/* SPDX-License-Identifier: MIT */
/* See queues.h. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "queues.h"
#include "tcp.h"

static uint64_t *inodes;
static size_t count;

static void add(uint64_t inode)
{
	uint64_t *list = realloc(inodes, (count + 1) * sizeof(*list));

	if (!list)
		return;
	inodes = list;
	inodes[count++] = inode;
}

static void part_name(const struct region_part *r, struct name *out)
{
	tcp_map(r->family, r->address, out->address);
	out->port = ntohs(r->port);
}

/* Listens where a partitioned listener does, and is not its number. */
static bool is_queue(const struct process *p, const struct descriptor *d,
		     const struct tcp_socket *s)
{
	struct name name;
	unsigned int i;

	for (i = 0; i < REGION_PARTS; i++) {
		const struct region_part *r = process_part(p, i);

		part_name(r, &name);
		if (r->used && r->fd != d->fd && name.port == s->local.port &&
		    !memcmp(name.address, s->local.address,
			    sizeof(name.address)))
			return true;
	}
	return false;
}

static bool has_parts(const struct process *p)
{
	unsigned int i;

	for (i = 0; p->head && i < REGION_PARTS; i++)
		if (process_part(p, i)->used)
			return true;
	return false;
}

static void read_process(const struct process *p)
{
	struct descriptors ds;
	struct tcp_table t;
	size_t i;

	if (!has_parts(p) || !tcp_read(p->pid, &t))
		return;
	descriptors_read(p->pid, &ds);
	for (i = 0; i < ds.count; i++) {
		const struct tcp_socket *s = tcp_by_inode(&t,
							  ds.list[i].inode);

		if (s && !strcmp(tcp_state(s->state), "LISTEN") &&
		    is_queue(p, &ds.list[i], s))
			add(s->inode);
	}
	descriptors_free(&ds);
	tcp_free(&t);
}

void queues_read(const struct processes *ps)
{
	size_t i;

	for (i = 0; i < ps->count; i++)
		read_process(&ps->list[i]);
}

bool queues_has(const struct descriptor *d)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (inodes[i] == d->inode)
			return true;
	return false;
}
