/* SPDX-License-Identifier: MIT */
/*
 * The sockets and epoll sets among a process's descriptors: /proc/PID/fd and
 * fdinfo, proc(5).
 *
 * Owns: the list. Invariant: sorted by inode, so copies are neighbours.
 */
#ifndef CLI_DESCRIPTORS_H
#define CLI_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct descriptor {
	int fd;
	uint64_t inode;		/* of a socket */
	int set;		/* the kernel's set that it is in, or -1 */
	uint32_t events;	/* asked for there */
	bool shown;
};

struct descriptors {
	struct descriptor *list;
	size_t count;
	int *at;		/* by number: 1 + place in the list */
	int numbers;
};

void descriptors_read(pid_t pid, struct descriptors *out);
void descriptors_free(struct descriptors *ds);
struct descriptor *descriptors_find(const struct descriptors *ds, int fd);

/* It was shown, and so were its copies: they are the same socket. */
void descriptors_mark(struct descriptors *ds, const struct descriptor *d);

#endif
