/* SPDX-License-Identifier: MIT */
/* See partition_table.h. */
#include <errno.h>
#include <string.h>

#include "clone.h"
#include "fdtable.h"
#include "partition_table.h"

#define TABLE_BYTES ((sizeof(struct steer_table) + 4095) & ~4095ul)

static const struct steer_fds no_fds = { -1, -1, -1 };

static void close_fds(struct steer_fds *fds)
{
	if (fds->sockets >= 0)
		sys_close(fds->sockets);
	if (fds->program >= 0)
		sys_close(fds->program);
	fds->sockets = fds->program = -1;
}

static int load_kernel(struct steer_fds *fds)
{
	int ret = steer_load(fds);

	if (ret < 0)
		*fds = no_fds;
	return ret;
}

static int load_memory(struct steer_fds *fds)
{
	*fds = no_fds;
	fds->table = sys_memfd_create("megapipe-partitions", MFD_CLOEXEC);
	if (fds->table >= 0 &&
	    sys_call3(SYS_ftruncate, fds->table, TABLE_BYTES, 0) < 0) {
		sys_close(fds->table);
		fds->table = -EFBIG;
	}
	return fds->table < 0 ? fds->table : 0;
}

static void init_table(struct steer_table *t, unsigned int made,
		       enum steer_step step)
{
	t->count = t->used = 1;
	t->made = made;
	t->step = step;
}

int table_load(struct partition *p, struct steer_fds *fds)
{
	enum steer_step step = STEER_EBPF;
	int ret = -EPERM;

	if (opts.partition == PARTITION_AUTO ||
	    opts.partition == PARTITION_EBPF)
		ret = load_kernel(fds);
	if (ret < 0 && opts.partition != PARTITION_EBPF) {
		step = opts.partition == PARTITION_HASH ? STEER_RANDOM :
							  STEER_CPU;
		ret = load_memory(fds);
	}
	if (ret < 0)
		return ret;
	p->table_fd = clone_hide(fds->table);
	fds->table = -1;
	if (p->table_fd >= 0)
		p->table = sys_map_file(NULL, TABLE_BYTES, p->table_fd, 0);
	if (p->table) {
		init_table(p->table, p->count, step);
		return 0;
	}
	table_unload(p, fds);
	return -ENOMEM;
}

int table_inherit(struct partition *p)
{
	p->table = sys_map_file(NULL, TABLE_BYTES, p->table_fd, 0);
	return p->table ? 0 : -EINVAL;
}

void table_unload(struct partition *p, struct steer_fds *fds)
{
	if (fds)
		close_fds(fds);
	if (p->table)
		sys_unmap(p->table, TABLE_BYTES);
	p->table = NULL;
	if (p->table_fd >= 0) {
		fd_unhide(p->table_fd);
		sys_close(p->table_fd);
	}
	p->table_fd = -1;
}

/* A program of what is active now. Another process may do the same with what
 * was true before: whoever is last has seen the last change. */
static int attach_classic(struct partition *p)
{
	static struct lock one;		/* the program is made in one place */
	bool by_cpu = p->table->step == STEER_CPU;
	uint32_t seen;
	int ret;

	if (!lock_take(&one))
		return 0;
	do {
		seen = __atomic_load_n(&p->table->changes, __ATOMIC_SEQ_CST);
		ret = steer_attach_classic(p->fd, p->table, by_cpu,
					   STEER_CPUS);
		/* Longer than net.core.optmem_max allows (20 KiB till 6.6). */
		if (ret == -ENOMEM && by_cpu)
			ret = steer_attach_classic(p->fd, p->table, false, 0);
	} while (seen != __atomic_load_n(&p->table->changes,
					 __ATOMIC_SEQ_CST));
	lock_give(&one);
	return ret;
}

int table_attach(struct partition *p, struct steer_fds *fds)
{
	unsigned int i;
	int ret = 0;

	if (p->table->step != STEER_EBPF)
		return attach_classic(p);
	for (i = 0; i < p->count && !ret; i++)
		ret = steer_add(fds->sockets, i, p->socks[i]);
	if (!ret)
		ret = steer_attach(p->fd, fds->program);
	close_fds(fds);
	return ret;
}

void table_changed(struct partition *p)
{
	static const uint64_t one = 1;

	__atomic_add_fetch(&p->table->changes, 1, __ATOMIC_SEQ_CST);
	if (p->table->step != STEER_EBPF)
		attach_classic(p);
	sys_write(p->change, &one, sizeof(one));
}

static void raise_to(__u32 *word, __u32 n)
{
	__u32 old = __atomic_load_n(word, __ATOMIC_RELAXED);

	while (old < n && !__atomic_compare_exchange_n(word, &old, n, false,
						       __ATOMIC_SEQ_CST,
						       __ATOMIC_RELAXED))
		;
}

static bool exchange_owner(struct partition *p, unsigned int i, __u32 from,
			   __u32 to)
{
	return __atomic_compare_exchange_n(&p->table->parts[i].owner, &from,
					   to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* The CPUs that the process runs on, or those it was told. */
static void set_cpus(struct steer_part *part, unsigned int i)
{
	struct opts_mask mask;

	_Static_assert(sizeof(mask) == sizeof(part->cpus), "one kind of mask");
	memset(part->cpus, 0, sizeof(part->cpus));
	if (opts.cpus) {
		opts_cpus_mask(opts.cpus, i, &mask);
		memcpy(part->cpus, &mask, sizeof(mask));
		return;
	}
	sys_call3(SYS_sched_getaffinity, 0, sizeof(part->cpus), part->cpus);
}

bool table_claim(struct partition *p)
{
	struct steer_table *t = p->table;
	struct steer_part *part;
	unsigned int i;

	if (__atomic_load_n(&t->shared, __ATOMIC_SEQ_CST))
		return false;
	for (i = 0; i < p->count; i++)
		if (exchange_owner(p, i, 0, (__u32)p->me))
			break;
	if (i == p->count)
		return false;
	part = &t->parts[i];
	part->held = 0;
	part->paused = 0;
	part->seen = STEER_READ(part->steered);
	set_cpus(part, i);
	p->mine = (int)i;
	p->paused = false;
	raise_to(&t->used, i + 1);
	raise_to(&t->count, i + 1);
	/* Given up meanwhile: as table_share() has left it. */
	if (__atomic_load_n(&t->shared, __ATOMIC_SEQ_CST))
		t->count = 1;
	table_changed(p);
	return true;
}

void table_release(struct partition *p)
{
	if (p->mine < 0)
		return;
	exchange_owner(p, (unsigned int)p->mine, (__u32)p->me, 0);
	p->mine = -1;
	table_changed(p);
}

void table_bury(struct partition *p, unsigned int i, uint32_t owner)
{
	if (exchange_owner(p, i, owner, 0))
		table_changed(p);
}

void table_share(struct partition *p)
{
	if (__atomic_exchange_n(&p->table->shared, 1, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&p->table->count, 1, __ATOMIC_SEQ_CST);
	table_changed(p);
}
