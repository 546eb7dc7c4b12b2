/* SPDX-License-Identifier: MIT */
/*
 * Socket calls past the ring: of a descriptor, now, without waiting.
 *
 * Owns: nothing. A file of its own so that tests with a ring that is not the
 * kernel's can put another in its place. Called by: rx, tx.
 */
#ifndef SHIM_DIRECT_H
#define SHIM_DIRECT_H

#include <sys/socket.h>

/* As recvmsg(2) and sendmsg(2) with MSG_DONTWAIT: bytes, 0, or -errno. One part
 * without a name goes the shorter way. */
int direct_recv(int fd, struct msghdr *msg, int flags);
int direct_send(int fd, const struct msghdr *msg, int flags);

#endif
