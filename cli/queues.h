/* SPDX-License-Identifier: MIT */
/*
 * The accept queues of partitioned listeners: sockets of the library's, under
 * numbers that their program does not know.
 *
 * Owns: the list of inodes. Invariant: the number that the program listens on
 * is none of them, in no process.
 */
#ifndef CLI_QUEUES_H
#define CLI_QUEUES_H

#include <stdbool.h>

#include "descriptors.h"
#include "process.h"

/* Looks at what these processes have; a process without a channel of its own
 * may have inherited them. */
void queues_read(const struct processes *ps);

bool queues_has(const struct descriptor *d);

#endif
