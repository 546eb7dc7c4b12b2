/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that travel by SCM_RIGHTS.
 *
 * Owns: nothing. Invariant: a connection that has left under another number,
 * here or elsewhere, is not read ahead of any more.
 * Called by: io, around what is not ours. Threads: any, no lock is held.
 */
#ifndef SHIM_PASS_H
#define SHIM_PASS_H

#include <sys/socket.h>

/* Before sendmsg(2): what is in *msg* becomes the kernel's. */
void pass_before(const struct msghdr *msg);

/* After recvmsg(2): what came may be a copy of what this process has. */
void pass_after(const struct msghdr *msg);

#endif
