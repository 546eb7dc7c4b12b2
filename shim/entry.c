/* SPDX-License-Identifier: MIT */
/* See entry.h. */
#include <errno.h>

#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "leftover.h"
#include "listener.h"
#include "rx_queue.h"
#include "rx_request.h"
#include "tx.h"
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
	if (vs->life < VS_CLOSING) {
		th->busy = vs;
		return vs;
	}
	lock_give(&th->lock);
	*ret = -EBADF;
	return NULL;
}

long entry_leave_to_libc(struct thread *th, struct vsock *vs, int fd, long ret)
{
	/* The socket may be gone: its number says so. */
	if (unlikely(ret == SHIM_PASS) && fd_object(fd) == (void *)vs &&
	    vs->depth == DEPTH_LW) {
		int err = vs_materialise(vs, STAT_mat_call);

		if (err)
			ret = err;
	}
	if (unlikely(shim_ending))
		entry_flush(th);
	lock_give(&th->lock);
	return ret;
}

void entry_flush(struct thread *th)
{
	if (th == self_thread && th->ch)
		thread_flush_out(th);
}

void entry_make_real(int fd)
{
	struct vsock *vs;
	struct thread *th;
	long ret;

	vs = fd_lookup(fd, OBJ_SOCK) ? entry_lock(fd, &ret) : NULL;
	if (!vs)
		return;
	th = vs->th;
	entry_leave(th, vs, fd, SHIM_PASS);
}

long entry_descriptor(int fd)
{
	struct vsock *vs;
	struct thread *th;
	void *object = fd_object(fd);
	long ret;

	if (likely(!object))
		return SHIM_PASS;
	if (*(uint8_t *)object == OBJ_PRIVATE ||
	    *(uint8_t *)object == OBJ_HELD)
		return -EBADF;
	vs = entry_lock(fd, &ret);
	if (!vs)
		return ret;
	th = vs->th;
	ret = vs_materialise(vs, STAT_mat_option);
	lock_give(&th->lock);
	return ret ? ret : SHIM_PASS;
}

/* Another number of the socket, when *fd* is given up. */
static int other_number(const struct vsock *vs, int fd)
{
	int i;

	for (i = 0; i < FD_TABLE_MAX; i++)
		if (i != fd && fd_object(i) == (const void *)vs)
			return i;
	return -1;
}

/* Requests of another thread that is elsewhere hold the file: the peer must
 * not wait for that thread to hear of the end. */
static void end_connection(const struct vsock *vs, int fd, bool unread)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);

	if (vs->shared || vs->listener)
		return;
	sys_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	/* As tcp_close(): a reset when something was not read, or if it was
	 * asked for. */
	if (unread || sys_unread(fd) > 0 ||
	    (linger.l_onoff && !linger.l_linger))
		sys_call3(SYS_connect, fd, &none, sizeof(none));
	else
		sys_shutdown(fd, SHUT_RDWR);
}

/* The last number of a given socket. */
static void close_given(struct vsock *vs, int fd)
{
	static const struct linger rst = { .l_onoff = 1 };
	bool unread = vs->rx_bytes > 0;

	leftover_close(vs);
	fd_set_object(fd, NULL);
	if (vs->listener && vs->listener->part) {
		listener_pass_on(vs);
		partition_closed(vs->listener->part, fd);
		vs->listener->part = NULL;
	}
	if (!vs->listener && tx_is_ours(vs)) {
		/* What is queued goes first, under a number of its own. */
		vs->fd = sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);
		vs->depth = vs->slot >= 0 ? DEPTH_MATERIALISED : DEPTH_FD;
		vs_close(vs);
		return;
	}
	if (!vs->listener && vs_mine(vs))
		rx_quiesce(vs);
	else if (vs->rx || vs->tx || vs->slot >= 0)
		end_connection(vs, fd, unread);
	if (unread && !vs->shared)
		sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
	rx_free(vs);
	vs->fd = -1;
	vs->refs = 0;
	vs->life = VS_DEAD;
	if (vs_mine(vs)) {
		vs_update(vs);
		return;
	}
	vs_touch(vs);
	thread_wake(vs->th);
	vs_put(vs);
}

/* Its thread may be blocked for long: the peer hears of the end now. */
static void give_from_blocked(struct vsock *vs)
{
	if (unlikely(vs_is_left(vs)) && !vs->listener)
		vs_give_now(vs, STAT_handover_thread);
}

/* The number is gone; what was sent on it is not. */
long entry_close(struct vsock *vs, int fd)
{
	if (vs->refs > 1) {
		vs->refs--;
		if (vs->fd == fd)
			vs->fd = other_number(vs, fd);
		fd_set_object(fd, NULL);
		leftover_rename(vs, fd);
		return SHIM_PASS;
	}
	give_from_blocked(vs);
	if (fd_object(fd) != (void *)vs) {
		fd_set_object(fd, NULL);
		return SHIM_PASS;
	}
	trace2(close, fd, vs->depth);
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
		close_given(vs, fd);
		return SHIM_PASS;
	}
}

void entry_replace(struct vsock *vs, int fd)
{
	if (vs->refs == 1)
		give_from_blocked(vs);
	if (fd_object(fd) != (void *)vs) {
		fd_set_object(fd, NULL);
		return;
	}
	if (vs->refs > 1 || vs->depth == DEPTH_GIVEN) {
		entry_close(vs, fd);
		return;
	}
	/* Requests that are still to come need the file under a number that
	 * stays theirs. */
	if (vs->depth == DEPTH_FD && !vs->listener)
		vs->fd = sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);
	else if (!vs->listener)
		vs->fd = -1;
	trace2(close, fd, vs->depth);
	fd_set_object(fd, NULL);
	vs->refs = 0;
	vs_close(vs);
}
