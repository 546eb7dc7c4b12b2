/* SPDX-License-Identifier: MIT */
/* See entry.h. */
#include <errno.h>

#include "entry.h"
#include "epset.h"
#include "rx.h"
#include "vsock.h"

long shim_return(long ret)
{
	if (ret >= 0)
		return ret;
	errno = (int)-ret;
	return -1;
}

struct vsock *entry_lock(int fd, long *ret)
{
	struct vsock *vs;
	struct thread *th;

	for (;;) {
		vs = fd_lookup(fd, OBJ_SOCK);
		*ret = SHIM_PASS;
		if (!vs)
			return NULL;
		if (unlikely(!*shim_alive)) {
			entry_forked();
			continue;
		}
		th = vs->th;
		if (!lock_take(&th->lock)) {
			/* LIMIT: a signal handler that interrupted the shim
			 * itself finds the socket busy, as if it were full. */
			*ret = -EAGAIN;
			return NULL;
		}
		if (fd_object(fd) == (void *)vs && vs->kind == OBJ_SOCK)
			break;
		lock_give(&th->lock);
	}
	if (vs->life < VS_CLOSING)
		return vs;
	lock_give(&th->lock);
	*ret = -EBADF;
	return NULL;
}

/* The number is gone; what was sent on it is not. */
long entry_close(struct vsock *vs, int fd)
{
	vs->refs = 0;
	switch (vs->depth) {
	case DEPTH_LW:
		fd_set_object(fd, NULL);
		vs->fd = -1;
		fd_release(fd);
		vs_close(vs);
		return 0;
	case DEPTH_MATERIALISED:
		fd_set_object(fd, NULL);
		vs->fd = -1;
		fd_release_real(fd);
		vs_close(vs);
		return 0;
	case DEPTH_FD:
		if (!vs->listener) {
			vs_close(vs);
			return 0;
		}
		vs_close(vs);
		fd_set_object(fd, NULL);
		return SHIM_PASS;
	default:
		rx_free(vs);
		fd_set_object(fd, NULL);
		return SHIM_PASS;
	}
}
