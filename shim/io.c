/* SPDX-License-Identifier: MIT */
/*
 * Entry points: receiving and sending.
 * Owns: nothing; each call of a family becomes rx_take() or tx_put().
 * Threads: any.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "listener.h"
#include "pass.h"
#include "rx.h"
#include "splice.h"
#include "thread.h"
#include "tx.h"
#include "user.h"
#include "vsock.h"

/* --- receiving ------------------------------------------------------- */

/* The bytes of a socket that was given back, until they are gone. */
static long recv_given(struct vsock *vs, const struct iovec *iov, size_t count,
		       int flags)
{
	long ret;

	if (unlikely(flags & (MSG_OOB | MSG_ERRQUEUE)))
		return SHIM_PASS;
	ret = vs_end_receive(vs);
	if (ret)
		return ret;
	ret = SHIM_PASS;
	if (vs->rx_bytes)
		ret = rx_take(vs, iov, count, flags);
	else if (vs->err)
		ret = rx_before_error(vs, iov, count, flags);
	else if (vs->rx != SLOT_IDLE &&
		 (vs->nonblock || flags & MSG_DONTWAIT))
		/* The owner can't enter its ring while we hold its lock. */
		ret = rx_direct(vs, iov, count, flags);
	vs_settle(vs);
	return ret;
}

/* What our queue can't answer exactly is answered by the kernel. */
static bool recv_needs_kernel(const struct vsock *vs, int flags)
{
	if (flags & (MSG_OOB | MSG_ERRQUEUE))
		return true;
	return !vs->nonblock && !(flags & MSG_DONTWAIT) && !vs->rx_bytes &&
	       !vs->eof && !vs->err && !vs->reset;
}

/* On its way back: the rest of the way is gone now, as what is here is not all
 * that there is to read. False: it is the kernel's. */
static bool given_rest(struct vsock *vs)
{
	int fd = vs->fd;

	vs_give_now(vs, (enum stat_id)(vs->giving - 1));
	return fd_object(fd) == (void *)vs;
}

static long io_recv(struct vsock *vs, const struct iovec *iov, size_t count,
		    int flags)
{
	if (vs->listener)
		return SHIM_PASS;
	if (unlikely(vs->giving) && vs->depth != DEPTH_GIVEN &&
	    !given_rest(vs))
		return SHIM_PASS;
	if (vs->depth == DEPTH_GIVEN)
		return recv_given(vs, iov, count, flags);
	if (unlikely(recv_needs_kernel(vs, flags))) {
		vs_give_back(vs, STAT_handover_blocking);
		return SHIM_PASS;
	}
	return rx_take(vs, iov, count, flags);
}

/* read() does not clamp its size before it looks at the address. */
static long io_read(struct vsock *vs, const struct iovec *iov)
{
	if (user_beyond(iov->iov_base, iov->iov_len))
		return -EFAULT;
	return iov->iov_len ? io_recv(vs, iov, 1, 0) : 0;
}

static long io_recv_one(struct vsock *vs, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, user_count(len) };

	if (user_beyond(buf, iov.iov_len))
		return -EFAULT;
	return io_recv(vs, &iov, 1, flags);
}

SHIM_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	struct iovec iov = { buf, len };

	SHIM_CALL(fd, io_read(vs, &iov),
		  (entry_before_block(fd), real.read(fd, buf, len)));
}

SHIM_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	struct iovec iov = { buf, len };

	if (len > size)
		return real.__read_chk(fd, buf, len, size);
	SHIM_CALL(fd, io_read(vs, &iov),
		  real.__read_chk(fd, buf, len, size));
}

SHIM_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	SHIM_CALL(fd, io_recv_one(vs, buf, len, flags),
		  (entry_before_block(fd), real.recv(fd, buf, len, flags)));
}

SHIM_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size,
			       int flags)
{
	if (len > size)
		return real.__recv_chk(fd, buf, len, size, flags);
	SHIM_CALL(fd, io_recv_one(vs, buf, len, flags),
		  real.__recv_chk(fd, buf, len, size, flags));
}

/* TCP gives no address with data. */
static long recv_from(struct vsock *vs, void *buf, size_t size, int flags,
		      socklen_t *len)
{
	long ret = io_recv_one(vs, buf, size, flags);

	if (ret < 0 || !len)
		return ret;
	if (user_bad(len, sizeof(*len)))
		return -EFAULT;
	*len = 0;
	return ret;
}

SHIM_EXPORT ssize_t recvfrom(int fd, void *buf, size_t size, int flags,
			     struct sockaddr *addr, socklen_t *len)
{
	SHIM_CALL(fd, recv_from(vs, buf, size, flags, addr ? len : NULL),
		  (entry_before_block(fd),
		   real.recvfrom(fd, buf, size, flags, addr, len)));
}

SHIM_EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t size, size_t room,
				   int flags, struct sockaddr *addr,
				   socklen_t *len)
{
	if (size > room)
		return real.__recvfrom_chk(fd, buf, size, room, flags, addr,
					   len);
	SHIM_CALL(fd, recv_from(vs, buf, size, flags, addr ? len : NULL),
		  real.__recvfrom_chk(fd, buf, size, room, flags, addr, len));
}

static long recv_vector(struct vsock *vs, const struct iovec *iov, int count,
			int flags, bool is_readv)
{
	int i, err;

	if (count < 0 || count > IOV_MAX)
		return is_readv ? -EINVAL : -EMSGSIZE;
	err = user_check(iov, (size_t)count);
	if (err)
		return err;
	for (i = 0; i < count && !iov[i].iov_len; i++)
		;
	if (i == count && is_readv)
		return 0;
	return io_recv(vs, iov, (size_t)count, flags);
}

SHIM_EXPORT ssize_t readv(int fd, const struct iovec *iov, int count)
{
	SHIM_CALL(fd, recv_vector(vs, iov, count, 0, true),
		  (entry_before_block(fd), real.readv(fd, iov, count)));
}

static long recv_msg(struct vsock *vs, struct msghdr *msg, int flags)
{
	long ret;

	if (user_bad(msg, sizeof(*msg)))
		return -EFAULT;
	if (msg->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	ret = recv_vector(vs, msg->msg_iov, (int)msg->msg_iovlen, flags, false);
	if (ret >= 0) {
		msg->msg_namelen = 0;
		msg->msg_controllen = 0;
		msg->msg_flags = flags & MSG_CMSG_CLOEXEC;
	}
	return ret;
}

static ssize_t recvmsg_other(int fd, struct msghdr *msg, int flags)
{
	ssize_t ret;

	entry_before_block(fd);
	ret = real.recvmsg(fd, msg, flags);
	if (ret >= 0)
		pass_after(msg);
	return ret;
}

SHIM_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	SHIM_CALL(fd, recv_msg(vs, msg, flags), recvmsg_other(fd, msg, flags));
}

/* What is left of the time, which is looked at between two messages only.
 * False when it is over. */
static bool time_goes_on(struct timespec *left, int64_t end)
{
	int64_t ns = end - sys_now_ns();

	if (ns < 0)
		ns = 0;
	left->tv_sec = ns / 1000000000;
	left->tv_nsec = ns % 1000000000;
	return ns > 0;
}

/* In the order of do_recvmmsg(): an error that waits comes first, one behind
 * a message is kept for the next call. */
static long recv_mmsg(struct vsock *vs, struct mmsghdr *msgs,
		      unsigned int count, int flags, struct timespec *time)
{
	int f = flags & ~MSG_WAITFORONE;
	int64_t end = 0;
	unsigned int i;
	long ret = 0;

	if (time && (time->tv_sec < 0 || time->tv_nsec < 0 ||
		     time->tv_nsec > 999999999))
		return -EINVAL;
	if (time)
		end = sys_now_ns() + time->tv_sec * 1000000000 + time->tv_nsec;
	if (vs->depth != DEPTH_GIVEN && !vs->listener)
		ret = -vs_take_error(vs);
	if (!ret && count && user_bad(msgs, count * sizeof(*msgs)))
		ret = -EFAULT;
	if (ret)
		return ret;
	for (i = 0; i < count; i++) {
		ret = recv_msg(vs, &msgs[i].msg_hdr, f);
		if (ret < 0)
			break;
		msgs[i].msg_len = (unsigned int)ret;
		if (flags & MSG_WAITFORONE)
			f |= MSG_DONTWAIT;
		if (time && !time_goes_on(time, end)) {
			i++;
			break;
		}
	}
	if (i && ret < 0 && ret != -EAGAIN && ret != SHIM_PASS && !vs->err)
		vs->err = (int)-ret;
	return i ? (long)i : ret;
}

static int recvmmsg_other(int fd, struct mmsghdr *msgs, unsigned int count,
			  int flags, struct timespec *timeout)
{
	int i, ret = real.recvmmsg(fd, msgs, count, flags, timeout);

	for (i = 0; i < ret; i++)
		pass_after(&msgs[i].msg_hdr);
	return ret;
}

SHIM_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count,
			 int flags, struct timespec *timeout)
{
	SHIM_CALL(fd, recv_mmsg(vs, msgs, count, flags, timeout),
		  recvmmsg_other(fd, msgs, count, flags, timeout));
}

/* --- sending --------------------------------------------------------- */

/* The kernel sends it, after what is queued. */
static long send_by_kernel(struct vsock *vs, bool wait, enum stat_id reason)
{
	long ret;

	/* What is queued before it goes by the same way: an enter for it would
	 * cost more than the call. */
	if (vs->depth != DEPTH_LW && !vs->kernel_full)
		tx_push(vs);
	while (!tx_drain(vs)) {
		if (!wait)
			return -EAGAIN;
		thread_wait(vs->th, -1, NULL);
	}
	ret = vs_materialise(vs, reason);
	return ret ? ret : SHIM_PASS;
}

static long io_send(struct vsock *vs, const struct iovec *iov, size_t count,
		    int flags)
{
	bool wait = !vs->nonblock && !(flags & MSG_DONTWAIT);
	long ret = vs_given_error(vs);

	if (unlikely(ret))
		return ret;
	if (unlikely(vs->depth == DEPTH_GIVEN && !vs->th->sleeping))
		tx_push(vs);
	if (vs->listener || !tx_is_ours(vs) ||
	    (vs->giving && !vs_mine(vs) && !vs->tx_bytes &&
	     vs->depth != DEPTH_LW))
		return SHIM_PASS;
	if (unlikely(wait ||
		     flags & (MSG_OOB | MSG_ZEROCOPY | MSG_FASTOPEN)) &&
	    vs_mine(vs))
		return send_by_kernel(vs, wait, STAT_mat_option);
	return tx_put(vs, iov, count, flags);
}

/* After the lock is given back: the signal's handler may send as well. */
static inline long with_sigpipe(long ret, int flags)
{
	if (unlikely(ret == -EPIPE) && !(flags & MSG_NOSIGNAL))
		sys_tgkill(sys_getpid(), sys_gettid(), SIGPIPE);
	return ret;
}

/* SHIM_CALL for senders: -EPIPE raises SIGPIPE. */
#define SHIM_SEND(number, flags, ours, libc)                              \
	do {                                                              \
		void *object_ = fd_object(number);                        \
		struct vsock *vs;                                         \
		struct thread *th_;                                       \
		long ret_;                                                \
		if (likely(!object_))                                     \
			return libc;                                      \
		vs = entry_lock_alone(number, object_);                   \
		if (unlikely(!vs))                                        \
			vs = entry_lock(number, &ret_);                   \
		if (vs) {                                                 \
			th_ = vs->th;                                     \
			ret_ = (ours);                                    \
			ret_ = entry_leave(th_, vs, number, ret_);        \
		}                                                         \
		if (ret_ == SHIM_PASS)                                    \
			return libc;                                      \
		return (__typeof__(libc))shim_return(                     \
			with_sigpipe(ret_, flags));                       \
	} while (0)

static long io_send_one(struct vsock *vs, const void *buf, size_t len,
			int flags)
{
	struct iovec iov = { (void *)buf, len };

	if (user_beyond(buf, len))
		return -EFAULT;
	return io_send(vs, &iov, 1, flags);
}

SHIM_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	SHIM_SEND(fd, 0, io_send_one(vs, buf, len, 0),
		  real.write(fd, buf, len));
}

SHIM_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	SHIM_SEND(fd, flags, io_send_one(vs, buf, user_count(len), flags),
		  real.send(fd, buf, len, flags));
}

/* An address on a connected TCP socket is ignored, but must be readable. */
SHIM_EXPORT ssize_t sendto(int fd, const void *buf, size_t size, int flags,
			   const struct sockaddr *addr, socklen_t len)
{
	SHIM_SEND(fd, flags, io_send_one(vs, buf, user_count(size), flags),
		  real.sendto(fd, buf, size, flags, addr, len));
}

static long send_vector(struct vsock *vs, const struct iovec *iov, int count,
			int flags, bool is_writev)
{
	int err;

	if (count < 0 || count > IOV_MAX)
		return is_writev ? -EINVAL : -EMSGSIZE;
	err = user_check(iov, (size_t)count);
	if (err)
		return err;
	return io_send(vs, iov, (size_t)count, flags);
}

SHIM_EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	SHIM_SEND(fd, 0, send_vector(vs, iov, count, 0, true),
		  real.writev(fd, iov, count));
}

/* Ancillary data has a meaning that only the kernel knows. */
static long send_msg(struct vsock *vs, const struct msghdr *msg, int flags)
{
	if (user_bad(msg, sizeof(*msg)))
		return -EFAULT;
	if (msg->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	if (msg->msg_controllen && vs_mine(vs) && tx_is_ours(vs))
		return send_by_kernel(vs, !vs->nonblock, STAT_mat_option);
	return send_vector(vs, msg->msg_iov, (int)msg->msg_iovlen, flags,
			   false);
}

SHIM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	pass_before(msg);
	SHIM_SEND(fd, flags, send_msg(vs, msg, flags),
		  real.sendmsg(fd, msg, flags));
}

static size_t vector_bytes(const struct msghdr *msg)
{
	size_t sum = 0, i;

	for (i = 0; i < msg->msg_iovlen; i++)
		sum += msg->msg_iov[i].iov_len;
	return sum;
}

static long send_mmsg(struct vsock *vs, struct mmsghdr *msgs,
		      unsigned int count, int flags)
{
	unsigned int i;
	long ret = 0;

	if (count > IOV_MAX)
		count = IOV_MAX;
	if (count && user_bad(msgs, count * sizeof(*msgs)))
		return -EFAULT;
	for (i = 0; i < count; i++) {
		const struct msghdr *msg = &msgs[i].msg_hdr;

		ret = send_msg(vs, msg, flags);
		if (ret < 0)
			break;
		msgs[i].msg_len = (unsigned int)ret;
		if ((size_t)ret < vector_bytes(msg)) {
			i++;
			break;	/* no room for the rest of it */
		}
	}
	return i ? (long)i : ret;
}

static int sendmmsg_other(int fd, struct mmsghdr *msgs, unsigned int count,
			  int flags)
{
	unsigned int i;

	for (i = 0; i < count && i < IOV_MAX &&
	     !user_bad(&msgs[i], sizeof(msgs[i])); i++)
		pass_before(&msgs[i].msg_hdr);
	return real.sendmmsg(fd, msgs, count, flags);
}

SHIM_EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int count,
			 int flags)
{
	SHIM_SEND(fd, flags, send_mmsg(vs, msgs, count, flags),
		  sendmmsg_other(fd, msgs, count, flags));
}

/* --- files ----------------------------------------------------------- */

/* Small parts are copied behind what is queued and leave with it; large ones
 * go from the page cache, after it. */
static long io_sendfile(struct vsock *vs, int in_fd, off_t *offset, size_t len)
{
	long ret = vs_given_error(vs);

	if (unlikely(ret))
		return ret;
	if (vs->listener || !tx_is_ours(vs) || len > SSIZE_MAX)
		return SHIM_PASS;
	ret = tx_put_file(vs, in_fd, offset, len);
	if (ret != -EOPNOTSUPP || !vs_mine(vs))
		return ret == -EOPNOTSUPP ? -EINVAL : ret;
	ret = send_by_kernel(vs, !vs->nonblock, STAT_mat_sendfile);
	if (ret == -EAGAIN)
		vs->no_space = true;
	if (ret != SHIM_PASS)
		return ret;
	/* What a cork held back leaves with these bytes, and these leave as
	 * segments fill; the last is not kept for the cork's end. */
	vs->held = false;
	ret = sys_call4(SYS_sendfile, vs->fd, in_fd, offset, len);
	tx_took_much(vs);
	if (ret == -ECONNRESET || ret == -EPIPE)
		vs_note_error(vs);
	if (ret != -EAGAIN && (ret < 0 || (size_t)ret == len))
		return ret;
	/* Short: the file ended, or the kernel's buffer is full. When it has
	 * room again by now, that was the edge. */
	if (ret >= 0 && sys_poll_now(vs->fd, POLLOUT) > 0)
		vs->out_edge++;
	else
		tx_kernel_full(vs);
	ep_notify(vs);
	return ret;
}

SHIM_EXPORT ssize_t sendfile(int fd, int in_fd, off_t *offset, size_t len)
{
	long moved = splice_before_sendfile(fd, in_fd, offset, len);

	if (unlikely(moved != SHIM_PASS))
		return shim_return(moved);
	SHIM_SEND(fd, 0, io_sendfile(vs, in_fd, offset, len),
		  real.sendfile(fd, in_fd, offset, len));
}

SHIM_EXPORT ssize_t sendfile64(int fd, int in_fd, off64_t *offset, size_t len)
{
	long moved = splice_before_sendfile(fd, in_fd, offset, len);

	if (unlikely(moved != SHIM_PASS))
		return shim_return(moved);
	SHIM_SEND(fd, 0, io_sendfile(vs, in_fd, (off_t *)offset, len),
		  real.sendfile64(fd, in_fd, offset, len));
}
