/* SPDX-License-Identifier: MIT */
/*
 * Entry point: splice(), from a socket into a pipe and back.
 * Owns: nothing. Threads: any.
 */
#include "entry.h"
#include "handover.h"
#include "rx.h"
#include "vsock.h"

/* Bytes that were read ahead go into the pipe by write(). */
static long splice_queued(struct vsock *vs, int out_fd, size_t len)
{
	char buf[CHAN_BUFFER_SIZE];
	struct iovec iov = { buf, len < sizeof(buf) ? len : sizeof(buf) };
	long ret = rx_take(vs, &iov, 1, MSG_PEEK);

	if (ret > 0)
		ret = sys_write(out_fd, buf, (size_t)ret);
	if (ret <= 0)
		return ret;
	iov.iov_len = (size_t)ret;
	rx_take(vs, &iov, 1, 0);
	return ret;
}

/* splice() moves pages: what we have not read is the kernel's from here on. A
 * receive that was under way brings its bytes first. */
static long splice_socket(struct vsock *vs, int fd, int out_fd, size_t len)
{
	bool queued = out_fd >= 0 && len;

	if (vs->listener)
		return SHIM_PASS;
	if (vs->depth != DEPTH_GIVEN && !(queued && vs->rx_bytes) &&
	    (vs_give_back(vs, STAT_handover_call) == 1 ||
	     fd_object(fd) != (void *)vs))
		return SHIM_PASS;
	if (queued && vs->rx_bytes)
		return splice_queued(vs, out_fd, len);
	if (unlikely(vs->err)) {
		vs_touch(vs);		/* it can go now */
		return vs->depth == DEPTH_GIVEN ? vs_given_error(vs) :
						  -vs_take_error(vs);
	}
	return SHIM_PASS;
}

static long before_splice(int fd, int out_fd, size_t len)
{
	struct vsock *vs;
	struct thread *th;
	long ret;

	if (likely(!fd_object(fd)))
		return SHIM_PASS;
	vs = entry_lock(fd, &ret);
	if (!vs)
		return ret;
	th = vs->th;
	ret = splice_socket(vs, fd, out_fd, len);
	lock_give(&th->lock);
	return ret;
}

SHIM_EXPORT ssize_t splice(int in_fd, off64_t *in_off, int out_fd,
			   off64_t *out_off, size_t len, unsigned int flags)
{
	long ret = before_splice(in_fd, in_off || fd_object(out_fd) ? -1 :
							     out_fd, len);

	if (ret == SHIM_PASS)
		ret = before_splice(out_fd, -1, 0);
	if (ret != SHIM_PASS)
		return shim_return(ret);
	return real.splice(in_fd, in_off, out_fd, out_off, len, flags);
}
