/* SPDX-License-Identifier: MIT */
/*
 * Processes that run with the library, and the memory in which they show
 * themselves.
 *
 * Owns: the mappings, read-only. Invariant: nothing here stops or changes the
 * process; what is read may be newer in one field than in the next.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../core/region.h"
#include "../core/stats.h"

struct process {
	pid_t pid, parent;
	char name[32];
	bool library;			/* is the library loaded? */
	bool other_version;		/* of it than of this command */
	const struct region_head *head;	/* NULL: it has no channel */
	size_t mapped;
};

struct processes {
	struct process *list;
	size_t count;
	size_t denied;		/* could not be looked at */
	size_t other_version;	/* picked, and not in the list */
};

/*
 * The processes that the words (PIDs, names; none: all) pick and that have
 * the library; a PID or name picks its descendants too. 0, or EXIT_NOTHING
 * after having said why there is none.
 */
int processes_find(char *const *words, struct processes *out);
void processes_free(struct processes *ps);

/* Looks again at the same words, for a screen that is kept up to date. */
int processes_again(char *const *words, struct processes *ps);

static inline const struct region_line *process_line(const struct process *p,
						     unsigned int i)
{
	size_t at = i ? REGION_LINES_AT + i * sizeof(struct region_line) :
			REGION_REST_AT;

	return (const void *)((const char *)p->head + at);
}

/* Line 0 always counts; others while their channel lives. */
static inline bool process_line_used(const struct process *p, unsigned int i)
{
	return !i || process_line(p, i)->state == LINE_LIVE;
}

/* A record that was read in one piece: false when it is nobody's. */
bool process_sock(const struct process *p, uint32_t i,
		  struct region_sock *out);

static inline const struct region_part *process_part(const struct process *p,
						     unsigned int i)
{
	return (const struct region_part *)((const char *)p->head +
					    REGION_PARTS_AT) + i;
}

/* Why number *fd* is the kernel's; 0 when nothing is known. */
uint32_t process_left(const struct process *p, int fd);

uint64_t process_sum(const struct process *p, enum stat_id id);

/* Seconds since a CLOCK_MONOTONIC time of that process. */
double process_age(const struct process *p, int64_t since_ns);

#endif
