/* SPDX-License-Identifier: MIT */
/*
 * Entry point: splice(), from a socket into a pipe and back; and sendfile()
 * from a socket, which does the same.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <sys/stat.h>

#include "entry.h"
#include "handover.h"
#include "rx.h"
#include "splice.h"
#include "tx.h"
#include "vsock.h"

/* In place of the other descriptor, for the side that is written to. */
#define WRITTEN_TO (-2)
/* ... where the kernel will refuse to move anything. */
#define REFUSED (-1)

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
	if (vs->depth == DEPTH_GIVEN)
		vs_settle(vs);
	return ret;
}

/* splice() moves pages: the socket is the kernel's from here on. False when
 * nothing of it is left here. */
static bool give(struct vsock *vs, int fd)
{
	if (vs->depth == DEPTH_GIVEN)
		return true;
	if (!vs_mine(vs))
		vs_give_now(vs, STAT_handover_call);
	else if (vs_give_back(vs, STAT_handover_call) == 1)
		return false;
	return fd_object(fd) == (void *)vs;
}

static bool is_pipe(int fd)
{
	struct stat st;

	return sys_call3(SYS_fstat, fd, &st, 0) == 0 && S_ISFIFO(st.st_mode);
}

/* A receive that was under way brings its bytes first. */
static long splice_from(struct vsock *vs, int fd, int out_fd, size_t len)
{
	long ret;

	if (vs->listener)
		return SHIM_PASS;
	if (out_fd == REFUSED || !is_pipe(out_fd)) {
		give(vs, fd);
		return SHIM_PASS;
	}
	if (vs->rx_bytes)
		return splice_queued(vs, out_fd, len);
	if (!give(vs, fd))
		return SHIM_PASS;
	ret = vs_end_receive(vs);
	if (ret)
		return ret;
	if (vs->rx_bytes)
		return splice_queued(vs, out_fd, len);
	/* An error is behind the bytes that came before it. */
	ret = vs->err && sys_unread(fd) > 0 ? 0 : vs_given_error(vs);
	return ret ? ret : SHIM_PASS;
}

/* What is queued goes first. */
static long splice_to(struct vsock *vs, int fd)
{
	long ret = 0;

	if (vs->listener || !give(vs, fd))
		return SHIM_PASS;
	while (!ret && tx_is_ours(vs)) {
		if (!vs->th->sleeping)
			tx_push(vs);
		if (!tx_is_ours(vs))
			break;
		vs->no_space = true;
		if (vs->nonblock || !vs_mine(vs))
			ret = -EAGAIN;
		else
			thread_wait(vs->th, -1, NULL);
	}
	if (!ret)
		ret = vs_given_error(vs);
	return ret ? ret : SHIM_PASS;
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
	ret = out_fd == WRITTEN_TO ? splice_to(vs, fd) :
				     splice_from(vs, fd, out_fd, len);
	return entry_leave(th, vs, fd, ret);
}

SHIM_EXPORT ssize_t splice(int in_fd, off64_t *in_off, int out_fd,
			   off64_t *out_off, size_t len, unsigned int flags)
{
	bool moves = !in_off && len && out_fd >= 0 && !fd_object(out_fd);
	long ret = before_splice(in_fd, moves ? out_fd : REFUSED, len);

	if (ret == SHIM_PASS)
		ret = before_splice(out_fd, WRITTEN_TO, 0);
	if (ret != SHIM_PASS)
		return shim_return(ret);
	return real.splice(in_fd, in_off, out_fd, out_off, len, flags);
}

long splice_sendfile(int out_fd, int in_fd, const void *offset, size_t len)
{
	bool moves = !offset && len && out_fd >= 0 && !fd_object(out_fd);

	return before_splice(in_fd, moves ? out_fd : REFUSED, len);
}
