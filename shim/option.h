/* SPDX-License-Identifier: MIT */
/*
 * Socket options of our sockets.
 *
 * Owns: which options are ours (TCP_CORK, SO_ERROR), which may ride in the
 * batch because they can't fail, and which need the kernel's answer.
 * Called by: sock, wait. The socket's lock is held. 0, -errno or SHIM_PASS.
 */
#ifndef SHIM_OPTION_H
#define SHIM_OPTION_H

#include "shim.h"

/* The program sets it, on whatever socket. */
void option_note(int level, int name);

/* Has the descriptor no option that only the kernel can follow? */
bool option_all_ours(int fd, bool listener);

/* How much may be queued for it, as the sizes of its buffers say. */
struct option_limits option_limits(int fd, bool listener);
struct option_limits option_default_limits(void);

long option_get(struct vsock *vs, int level, int name, void *val,
		socklen_t *len);
long option_set(struct vsock *vs, int level, int name, const void *val,
		socklen_t len);

#endif
