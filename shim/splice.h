/* SPDX-License-Identifier: MIT */
/*
 * sendfile() from a connection. Owns: nothing. Called by: io.
 */
#ifndef SHIM_SPLICE_H
#define SHIM_SPLICE_H

#include "fdtable.h"
#include "shim.h"

/* sendfile(2) whose source is an object of ours: into a pipe, as splice() does
 * it. Bytes, -errno, or SHIM_PASS: the kernel's turn, which refuses any other
 * target. */
long splice_sendfile(int out_fd, int in_fd, const void *offset, size_t len);

static inline long splice_before_sendfile(int out_fd, int in_fd,
					  const void *offset, size_t len)
{
	if (likely(!fd_object(in_fd)))
		return SHIM_PASS;
	return splice_sendfile(out_fd, in_fd, offset, len);
}

#endif
