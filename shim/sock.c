/* SPDX-License-Identifier: MIT */
/*
 * Entry points: listening, accepting, names, shutdown.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <string.h>

#include "clone.h"
#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "listener.h"
#include "option.h"
#include "rx_queue.h"
#include "tx.h"
#include "user.h"
#include "vsock.h"

/* Never in order on what is connected, as the kernel will say. */
SHIM_EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	SHIM_CALL(fd, SHIM_PASS, real.bind(fd, addr, len));
}

static long sock_listen(struct vsock *vs, int fd, int backlog)
{
	int ret;

	if (!vs->listener)
		return SHIM_PASS;
	ret = (int)sys_call3(SYS_listen, fd, backlog, 0);

	if (!ret) {
		if (vs->listener->part)
			partition_backlog(vs->listener->part, backlog);
		vs->listener->stopped = false;
		vs_touch(vs);
	}
	return ret;
}

static int plain_listen(int fd, int backlog)
{
	struct partition *p = fd_lookup(fd, OBJ_PARTITION);
	int ret = real.listen(fd, backlog);

	if (!ret && p)
		partition_backlog(p, backlog);
	else if (!ret)
		partition_listened(fd, backlog);
	return ret;
}

SHIM_EXPORT int listen(int fd, int backlog)
{
	SHIM_CALL(fd, sock_listen(vs, fd, backlog),
		  plain_listen(fd, backlog));
}

/* What the program's own socket has, or this process's part of it. */
static long accept_first(struct vsock *vs, int fd, struct sockaddr *addr,
			 socklen_t *len, int flags)
{
	struct partition *p = vs->listener->part;
	bool given = vs->depth == DEPTH_GIVEN;
	long ret = listener_accept_slot(vs, addr, len, flags);

	if (ret != -EOPNOTSUPP)
		return ret;
	ret = sys_call4(SYS_accept4, p && !given ? partition_sock(p) : fd,
			addr, len, flags);
	if (ret < 0)
		return ret;
	if (partition_is_own(p) && !given)
		partition_took(p);
	listener_accepted_fd(vs, (int)ret);
	return ret;
}

static long accept_now(struct vsock *vs, int fd, struct sockaddr *addr,
		       socklen_t *len, int flags)
{
	struct partition *p = vs->listener->part;
	long ret = accept_first(vs, fd, addr, len, flags);

	listener_taken(vs);
	if (ret != -EAGAIN)
		return ret;
	vs->listener->polled = false;
	if (likely(!p))
		return ret;
	ret = vs->depth == DEPTH_GIVEN ?
		      partition_accept_native(p, addr, len, flags) :
		      partition_accept(p, addr, len, flags);
	if (ret >= 0)
		listener_accepted_fd(vs, (int)ret);
	return ret;
}

/* Under load our own queue is never empty: what nobody else serves takes
 * turns with it. */
static long take_theirs(struct vsock *vs, struct sockaddr *addr,
			socklen_t *len, int flags)
{
	struct partition *p = vs->listener->part;
	long ret = -EAGAIN;

	if (likely(!p || !p->elsewhere || vs->depth == DEPTH_GIVEN))
		return ret;
	p->theirs_next = !p->theirs_next;
	if (p->theirs_next)
		ret = partition_accept(p, addr, len, flags);
	if (ret >= 0)
		listener_accepted_fd(vs, (int)ret);
	return ret;
}

/* A queued connection, or what the kernel has: its queue may hold one for
 * which no request of ours waits. */
static long sock_accept(struct vsock *vs, int fd, struct sockaddr *addr,
			socklen_t *len, int flags)
{
	long ret;

	if (!vs->listener || flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return SHIM_PASS;
	vs->listener->flags = flags;
	ret = take_theirs(vs, addr, len, flags);
	if (unlikely(ret != -EAGAIN))
		return ret;
	ret = listener_take(vs, addr, len, flags);
	if (unlikely(vs->depth == DEPTH_GIVEN) && vs_settle(vs))
		return ret == -EAGAIN ? SHIM_PASS : ret;
	if (ret != -EAGAIN)
		return ret;
	ret = accept_now(vs, fd, addr, len, flags);
	if (ret == -EMFILE && entry_make_room())
		ret = accept_now(vs, fd, addr, len, flags);
	return ret;
}

/* The kernel's listener in this process: all take what number 0 gets. */
static int plain_accept(int fd, struct sockaddr *addr, socklen_t *len,
			int flags)
{
	struct partition *p = fd_lookup(fd, OBJ_PARTITION);
	int saved = errno, ret;

	if (unlikely(p))
		partition_share(p);
	entry_before_block(fd);
	ret = real.accept4(fd, addr, len, flags);
	if (likely(!p || ret >= 0 || errno != EAGAIN))
		return ret;
	ret = (int)shim_return(partition_accept_native(p, addr, len, flags));
	if (ret >= 0)
		errno = saved;
	return ret;
}

SHIM_EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *len,
			int flags)
{
	SHIM_CALL(fd, sock_accept(vs, fd, addr, len, flags),
		  plain_accept(fd, addr, len, flags));
}

SHIM_EXPORT int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	SHIM_CALL(fd, sock_accept(vs, fd, addr, len, 0),
		  plain_accept(fd, addr, len, 0));
}

static void stop_listening(struct vsock *vs)
{
	listener_stop(vs);
	listener_reset_queue(vs);
	if (vs->listener->part)
		partition_stop(vs->listener->part);
	vs->listener->stopped = true;
	vs->in_edge++;
	ep_notify(vs);
}

/* connect(AF_UNSPEC) on a listener stops it; on a connection it is rare
 * enough to be the kernel's. */
static long sock_connect(struct vsock *vs, const struct sockaddr *addr,
			 socklen_t len)
{
	/* Anything but this is refused, and changes nothing. */
	if (len < sizeof(addr->sa_family) ||
	    len > sizeof(struct sockaddr_storage) || user_bad(addr, len) ||
	    addr->sa_family != AF_UNSPEC)
		return SHIM_PASS;
	if (vs->listener) {
		stop_listening(vs);
		return SHIM_PASS;
	}
	/* What went before goes out; what was not read is lost. */
	vs_quiesce(vs);
	rx_free(vs);
	vs_give_back(vs, STAT_handover_call);
	return SHIM_PASS;
}

static int plain_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct partition *p = fd_lookup(fd, OBJ_PARTITION);
	int ret;

	entry_before_block(fd);
	ret = real.connect(fd, addr, len);
	if (unlikely(p) && !ret)
		partition_stop(p);	/* AF_UNSPEC */
	return ret;
}

SHIM_EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	SHIM_CALL(fd, sock_connect(vs, addr, len),
		  plain_connect(fd, addr, len));
}

/* After what was queued before it. */
static long sock_shutdown(struct vsock *vs, int fd, int how)
{
	bool wr = how == SHUT_WR || how == SHUT_RDWR;
	int ret;

	if (vs->listener) {
		if (how == SHUT_RD || how == SHUT_RDWR)
			stop_listening(vs);
		return SHIM_PASS;
	}
	if (!tx_is_ours(vs) || how < SHUT_RD || how > SHUT_RDWR)
		return vs->depth == DEPTH_LW ? -EINVAL : SHIM_PASS;
	if (vs->reset)
		return -ENOTCONN;
	if (unlikely(vs_is_left(vs)))
		tx_push(vs);
	if (unlikely(vs_is_left(vs)) && !vs->tx_bytes && vs->tx == SLOT_IDLE) {
		ret = sys_shutdown(vs->fd, how);
	} else if (!vs_mine(vs) || (wr && !tx_drain(vs))) {
		vs->shut_pending = (uint8_t)(1 + how);
		thread_set_sending(vs->th, true);
		ret = 0;
	} else {
		ret = vs_materialise(vs, STAT_mat_shutdown);
		if (!ret)
			ret = sys_shutdown(fd, how);
	}
	if (ret)
		return ret;
	vs->shut_wr |= wr;
	vs->shut_rd |= how != SHUT_WR;
	vs->in_edge++;
	vs->out_edge++;
	vs_touch(vs);
	thread_wake(vs->th);
	ep_notify(vs);
	/* Data may still come and be read, with an EOF between: only the
	 * kernel can tell (tcp_recvmsg() after RCV_SHUTDOWN). */
	if (how == SHUT_RD)
		vs_give_back(vs, STAT_handover_call);
	return 0;
}

/* A connection of which only the receiving side is shut is the kernel's, as in
 * sock_shutdown(); the other shutdowns show in its state. */
static int plain_shutdown(int fd, int how)
{
	struct partition *p = fd_lookup(fd, OBJ_PARTITION);
	bool ours = fd_lookup(fd, OBJ_SOCK);
	int ret;

	if (unlikely(p) && (how == SHUT_RD || how == SHUT_RDWR))
		partition_stop(p);
	ret = real.shutdown(fd, how);
	if (ret || how != SHUT_RD || shim_off || entry_vfork_child())
		return ret;
	/* Another thread has adopted it meanwhile: as one of ours, too. */
	if (fd_mark_kernels(fd) && unlikely(!ours && fd_lookup(fd, OBJ_SOCK)))
		shutdown(fd, how);
	return ret;
}

SHIM_EXPORT int shutdown(int fd, int how)
{
	SHIM_CALL(fd, sock_shutdown(vs, fd, how), plain_shutdown(fd, how));
}

static long give_name(const void *name, socklen_t have, struct sockaddr *addr,
		      socklen_t *len)
{
	if ((int)*len < 0)
		return -EINVAL;
	memcpy(addr, name, *len < have ? *len : have);
	*len = have;
	return 0;
}

/* The peer's name came with the connection; the kernel forgets it when the
 * connection is gone, and so must we. */
static long sock_getpeername(struct vsock *vs, struct sockaddr *addr,
			     socklen_t *len)
{
	if (vs->depth != DEPTH_LW || !vs->peer_len || user_bad(addr, 1) ||
	    user_bad(len, sizeof(*len)))
		return SHIM_PASS;
	if (vs->reset || vs->refused || (vs->eof && vs->shut_wr)) {
		long ret = vs_materialise(vs, STAT_mat_name);

		return ret ? ret : SHIM_PASS;
	}
	return give_name(&vs->peer, vs->peer_len, addr, len);
}

SHIM_EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	SHIM_CALL(fd, sock_getpeername(vs, addr, len),
		  real.getpeername(fd, addr, len));
}

static long sock_getsockname(struct vsock *vs)
{
	long ret = vs_materialise(vs, STAT_mat_name);

	return ret ? ret : SHIM_PASS;
}

SHIM_EXPORT int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	SHIM_CALL(fd, sock_getsockname(vs), real.getsockname(fd, addr, len));
}

static int plain_getsockopt(int fd, int level, int name, void *val,
			    socklen_t *len)
{
	struct partition *p = fd_lookup(fd, OBJ_PARTITION);
	int ret = real.getsockopt(fd, level, name, val, len), asked;

	if (likely(!partition_any) || ret || level != SOL_SOCKET ||
	    name != SO_REUSEPORT || (!p && !partition_lent_port(fd)))
		return ret;
	asked = p ? p->reuseport : 0;
	memcpy(val, &asked, *len);
	return 0;
}

static int plain_setsockopt(int fd, int level, int name, const void *val,
			    socklen_t len)
{
	struct partition *p = fd_lookup(fd, OBJ_PARTITION);

	if (likely(!p))
		return real.setsockopt(fd, level, name, val, len);
	return (int)shim_return(partition_option(p, level, name, val, len));
}

SHIM_EXPORT int getsockopt(int fd, int level, int name, void *val,
			   socklen_t *len)
{
	SHIM_CALL(fd, option_get(vs, level, name, val, len),
		  plain_getsockopt(fd, level, name, val, len));
}

SHIM_EXPORT int setsockopt(int fd, int level, int name, const void *val,
			   socklen_t len)
{
	option_note(level, name);
	clone_note_option(level, name);
	SHIM_CALL(fd, option_set(vs, level, name, val, len),
		  plain_setsockopt(fd, level, name, val, len));
}
