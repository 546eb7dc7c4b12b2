/* SPDX-License-Identifier: MIT */
/*
 * The table that the processes of a partitioned listener share, and the
 * kernel's part: who owns which socket.
 *
 * Owns: the table's content. Invariants: an owner is entered and removed by
 * compare-and-exchange; every change is told to all by the eventfd, and, where
 * a classic program chooses, followed by a new one.
 * Called by: partition.
 */
#ifndef SHIM_PARTITION_TABLE_H
#define SHIM_PARTITION_TABLE_H

#include "partition.h"

/* What is loaded before the sockets are made: p->table, p->table_fd, and what
 * is needed until table_attach(). 0 or -errno. */
int table_load(struct partition *p, struct steer_fds *fds);

/* p->table_fd was inherited. 0 or -errno. */
int table_inherit(struct partition *p);

/* The sockets listen: from now on the kernel asks the table. Gives *fds* up.
 * 0 or -errno. */
int table_attach(struct partition *p, struct steer_fds *fds);
void table_unload(struct partition *p, struct steer_fds *fds);

/* Something was changed: tells all. */
void table_changed(struct partition *p);

/* Claims a partition without an owner: p->mine. False: there is none. */
bool table_claim(struct partition *p);
void table_release(struct partition *p);

/* *owner* is dead and partition *i* its. */
void table_bury(struct partition *p, unsigned int i, uint32_t owner);

/* Nothing is kept apart any more. */
void table_share(struct partition *p);

#endif
