/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which partition of a listener takes a new connection: the table that the
 * processes of a server share, and the policy that reads it.
 *
 * Owns: the layout of the table and steer_pick(), which is compiled twice, for
 * the kernel's program (steer.bpf.c) and natively. Invariant: steer_pick()
 * only reads, takes any content of the table, and chooses an active partition
 * if there is one. Called by: both. No library, no system call.
 */
#ifndef BPF_STEER_H
#define BPF_STEER_H

#include <linux/types.h>

/* Partitions of one listener: as many sockets. A power of two. */
#define STEER_PARTS 128
/* CPUs that a mask can name; those above have no partition of their own. */
#define STEER_CPUS 256
#define STEER_WORDS (STEER_CPUS / 64)

/*
 * A partition: one listening socket. It is active while it has an owner that
 * takes connections. The owner alone writes held, seen and cpus, the kernel's
 * program steered, mark and since. A cache line.
 */
struct steer_part {
	__u32 owner;		/* process, 0: none */
	__u32 paused;		/* the owner takes no connections now */
	__u32 held;		/* connections that the owner has */
	__u32 steered;		/* connections sent here, ever */
	__u32 seen;		/* ... of these, taken by the owner */
	__u32 spare;
	__u32 mark;		/* seen at the time of since */
	__u32 since;		/* when the queue was seen to move last */
	__u64 cpus[STEER_WORDS];
};

struct steer_table {
	__u32 count;		/* partitions to choose from; 0 always is one */
	__u32 made;		/* partitions that there are */
	__u32 changes;		/* counts what is owned, left, paused */
	__u32 used;		/* of these, up to the last that had an owner */
	__u32 shared;		/* given up: all take what number 0 gets */
	__u32 step;		/* how the kernel chooses: enum steer_step */
	__u32 stopped;		/* by shutdown(2): listens no more */
	__u32 spare[9];
	struct steer_part parts[STEER_PARTS];
};

/* A partition of another CPU must be lighter by an eighth and a few to be
 * worth the cache misses. Workers that get everything from one CPU then
 * differ from their mean by about an eighth. */
#define STEER_SLACK 16

/* Time in units of 2^20 ns, about a millisecond. A queue that has not moved
 * for so long belongs to an owner that is stopped or busy with something else:
 * others are preferred, as they would be the first to accept from one queue.
 * It gets a connection now and then, which shows whether it is back. */
#define STEER_TICK(ns) ((__u32)((ns) >> 20))
#define STEER_PATIENCE 20
#define STEER_CHANCE 1000
#define STEER_STUCK (1u << 24)

#define STEER_READ(x) (*(const volatile __typeof__(x) *)&(x))
#define STEER_INLINE static inline __attribute__((always_inline))

STEER_INLINE int steer_active(const struct steer_part *p)
{
	return STEER_READ(p->owner) && !STEER_READ(p->paused);
}

/* Connections on their way. A count that can't be true is none: a new owner
 * has not written seen yet. */
STEER_INLINE __u32 steer_queued(const struct steer_part *p)
{
	__u32 queued = STEER_READ(p->steered) - STEER_READ(p->seen);

	return queued < 1u << 16 ? queued : 0;
}

STEER_INLINE int steer_stuck(const struct steer_part *p, __u32 now)
{
	__u32 age = now - STEER_READ(p->since);

	return steer_queued(p) && STEER_READ(p->mark) == STEER_READ(p->seen) &&
	       age > STEER_PATIENCE && age < STEER_CHANCE;
}

/* What a partition has to do: connections held, and on their way. */
STEER_INLINE __u32 steer_weight(const struct steer_part *p, __u32 now)
{
	return STEER_READ(p->held) + steer_queued(p) +
	       (steer_stuck(p, now) ? STEER_STUCK : 0);
}

/* One more is on its way there. */
STEER_INLINE void steer_note(struct steer_part *p, __u32 now)
{
	__u32 seen = STEER_READ(p->seen);

	if (!steer_queued(p) || p->mark != seen ||
	    now - p->since >= STEER_CHANCE) {
		p->mark = seen;
		p->since = now;
	}
	__sync_fetch_and_add(&p->steered, 1);
}

/* The compiler must not know what is in *x*: else it leaves out the bound that
 * older verifiers (6.1) need, as it has seen one before, on a copy. */
#ifdef __bpf__
#define STEER_FORGET(x) asm volatile("" : "+r"(x))
#else
#define STEER_FORGET(x) ((void)(x))
#endif

STEER_INLINE int steer_has_cpu(const struct steer_part *p, __u32 cpu)
{
	__u32 word = cpu / 64;

	STEER_FORGET(word);
	return cpu < STEER_CPUS &&
	       STEER_READ(p->cpus[word % STEER_WORDS]) >> (cpu % 64) & 1;
}

/* What the search for a partition knows: the question, and the lightest so far
 * of this CPU (local) and of all (any). */
struct steer_search {
	const struct steer_table *table;
	__u32 cpu, now;
	__u32 any, any_weight;
	__u32 local, local_weight;
};

/* Looks at one partition; 1: it was the last. */
STEER_INLINE long steer_look(__u32 i, struct steer_search *s)
{
	const struct steer_part *p;
	__u32 weight;

	if (i >= STEER_READ(s->table->count))
		return 1;
	STEER_FORGET(i);
	i &= STEER_PARTS - 1;
	p = &s->table->parts[i];
	if (!steer_active(p))
		return 0;
	weight = steer_weight(p, s->now);
	if (weight < s->any_weight) {
		s->any_weight = weight;
		s->any = i;
	}
	if (weight < s->local_weight && steer_has_cpu(p, s->cpu)) {
		s->local_weight = weight;
		s->local = i;
	}
	return 0;
}

/* The kernel's verifier follows a loop of ours through every turn (0.1 s), but
 * looks at the body of its own once (bpf_loop(): Linux 5.17). */
#ifdef __bpf__
static long steer_turn(__u32 i, void *search)
{
	return steer_look(i, search);
}
#define STEER_EACH(search) bpf_loop(STEER_PARTS, steer_turn, search, 0)
#else
#define STEER_EACH(search)                                                \
	for (__u32 i = 0; i < STEER_PARTS && !steer_look(i, search); i++) \
		;
#endif

/* The lightest partition of this CPU, or the lightest of all when that is
 * clearly lighter; 0 when none is active. */
STEER_INLINE __u32 steer_pick(const struct steer_table *t, __u32 cpu,
			      __u32 now)
{
	struct steer_search s = { t, cpu, now, 0, ~0u, 0, ~0u };

	STEER_EACH(&s);
	if (s.local_weight != ~0u &&
	    s.local_weight <= s.any_weight + s.any_weight / 8 + STEER_SLACK)
		s.any = s.local;
	return s.any & (STEER_PARTS - 1);
}

#ifndef __bpf__
#include <stdbool.h>

enum steer_step { STEER_EBPF, STEER_CPU, STEER_RANDOM };

/* What the loader leaves: the table's map, the sockets' map, the program. */
struct steer_fds {
	int table, sockets, program;
};

/* Loads the kernel's program. 0, or -errno: -EPERM without CAP_BPF, -EINVAL
 * without CAP_PERFMON (the loader is a program that calls bpf()), -ENOTSUP
 * when built without it. Nothing is left open then. */
int steer_load(struct steer_fds *out);

/* A listening socket takes place *index*; the group of *sock* is steered. */
int steer_add(int sockets, __u32 index, int sock);
int steer_attach(int sock, int program);

/* A choice without privileges and without weights, of what is active now: a
 * classic program, by CPU or at random. Index is the order of listen(), as
 * long as no member is closed. */
int steer_attach_classic(int sock, const struct steer_table *t, bool by_cpu,
			 unsigned int cpus);
#endif

#endif
