/* SPDX-License-Identifier: MIT */
/*
 * Orphans: connections that a process has accepted from its partition and will
 * not serve, for whoever of its siblings comes first.
 *
 * They wait in a pair of unix sockets that all processes of a partitioned
 * listener have, one a message, as they would wait in the kernel's queue. Owns:
 * nothing; the pair is the partition's. Invariant: a connection is in a
 * process's hands, or in the pair, and ends with the last who has that.
 * Called by: listener, partition. The lock of the listener's thread is held, or
 * the listener is the kernel's.
 */
#ifndef SHIM_ORPHAN_H
#define SHIM_ORPHAN_H

#include "partition.h"

/* The pair, in p->orphans: 0 or -errno; and its end. */
int orphan_open(struct partition *p);
void orphan_close(struct partition *p);

/* Descriptor *fd*, accepted from *name*, is a sibling's from now on; it stays
 * open here. False: it can't be passed on. */
bool orphan_give(struct partition *p, int fd,
		 const struct sockaddr_storage *name, socklen_t len);

/* accept4(2) of what waits there, or -EAGAIN. */
long orphan_take(struct partition *p, struct sockaddr *addr, socklen_t *len,
		 int flags);

#endif
