/* SPDX-License-Identifier: MIT */
/*
 * A channel as the layers above see it: requests on files and handles, and
 * their completions. megapipe.h says what a channel is, and how to make one.
 *
 * Owns: struct mp_channel (channel.c). Invariants: a request is queued and not
 * executed until a flush, unless it is a call (chan_call_*); a completion of a
 * handle that has died is dropped. Called by: the shim, and front.h for the
 * public interface. The thread that created the channel, but for
 * chan_announce().
 *
 * chan_announce() says when MEGAPIPE_BATCH requests are to be queued;
 * chan_wait() flushes and sleeps.
 */
#ifndef CORE_CHANNEL_H
#define CORE_CHANNEL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cookie.h"
#include "file.h"
#include "megapipe.h"

/* Bytes of one receive buffer: any common request; a page. */
#define CHAN_BUFFER_SIZE 4096

/* What a buffer ring can name. */
#define CHAN_BUFFERS_MAX 32768

/* What this kernel allows, fixed when the channel is created. */
struct chan_caps {
	bool lwsocket; /* sockets without descriptor, and their way back */
	bool sockopt;  /* chan_setsockopt() on a lightweight socket */
	bool nonempty; /* completions of accept say whether more wait */
};

/* A completion. */
struct chan_event {
	void *owner; /* as given to chan_register() */
	uint32_t handle;
	enum chan_op op;
	int result;	     /* as the system call's, or -errno */
	bool more;	     /* the request goes on; another will come */
	bool nonempty;	     /* the socket had more to give */
	char *data;	     /* received bytes, or NULL; lent: give back */
	unsigned int buffer; /* what to give back with chan_put_buffer() */
};

/* In a forked child: drops the inherited channel without disturbing the
 * parent. Received bytes that the parent had not read stay readable. */
void chan_forget(struct mp_channel *ch);

const struct chan_caps *chan_caps(const struct mp_channel *ch);

/* Receive buffers, and lightweight sockets at most, that it was given. */
unsigned int chan_buffers(const struct mp_channel *ch);
unsigned int chan_slots(const struct mp_channel *ch);

/* The channel's own descriptor, and how to move it to another number. */
int chan_fd(const struct mp_channel *ch);
void chan_moved(struct mp_channel *ch, int fd);

/* A handle for *owner*, > 0, or -ENOMEM. chan_unregister() makes completions
 * that are still to come unknown: they are dropped. */
int chan_register(struct mp_channel *ch, void *owner);
void chan_unregister(struct mp_channel *ch, uint32_t handle);

/* Requests, each answered by one completion (chan_recv_stream(): several).
 * Memory passed by pointer lives until the completion. */
void chan_accept(struct mp_channel *ch, uint32_t handle, int fd,
		 struct sockaddr_storage *addr, socklen_t *len, bool lwsocket);
void chan_recv(struct mp_channel *ch, uint32_t handle, struct chan_file f);
void chan_recv_stream(struct mp_channel *ch, uint32_t handle,
		      struct chan_file f);
void chan_recv_bytes(struct mp_channel *ch, uint32_t handle,
		     struct chan_file f, void *buf, size_t len);
void chan_connect(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		  const struct sockaddr *addr, socklen_t len);

/* What is no socket, at the file's own position: completions of RECV and
 * SEND. *count* <= CHAN_SEND_PARTS; may write less. */
void chan_read(struct mp_channel *ch, uint32_t handle, struct chan_file f,
	       void *buf, size_t len);
void chan_write(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		const struct iovec *iov, unsigned int count);

/* All of *iov* or an error; *count* <= CHAN_SEND_PARTS. MSG_WAITALL is
 * implied. */
#define CHAN_SEND_PARTS 8
void chan_send(struct mp_channel *ch, uint32_t handle, struct chan_file f,
	       const struct iovec *iov, unsigned int count, int flags);

/* The same, tried once: the result may be less, or -EAGAIN. An end with all
 * of it is no event that chan_wait() waits for, anything else is. */
void chan_try_send(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		   const struct iovec *iov, unsigned int count, int flags);

/* The same for one part. */
void chan_try_send_bytes(struct mp_channel *ch, uint32_t handle,
			 struct chan_file f, const void *buf, size_t len,
			 int flags);

/* The same as chan_send(), and when all was sent closes the file: the FIN rides
 * on the last bytes. Two completions; the close says -ECANCELED if the send
 * fell short. */
void chan_send_close(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		     const struct iovec *iov, unsigned int count, int flags);

/* The same, tried once. When all was sent the close may have no completion; it
 * is done or will be while the next enter collects. As above chan_wait() does
 * not wait for such an end. */
void chan_try_send_close(struct mp_channel *ch, uint32_t handle,
			 struct chan_file f, const struct iovec *iov,
			 unsigned int count, int flags);
void chan_close(struct mp_channel *ch, uint32_t handle, struct chan_file f);

/* The completion of the request queued last is sure to come while it is
 * submitted, and is no event that chan_wait() waits for. */
void chan_expect(struct mp_channel *ch);
void chan_poll(struct mp_channel *ch, uint32_t handle, struct chan_file f,
	       unsigned int events, bool stream);
/* Waits for room in the socket's send buffer. Beside chan_poll() on the same
 * handle: the two have different operations. */
void chan_poll_room(struct mp_channel *ch, uint32_t handle, struct chan_file f);

/* Sets an option without waiting; *len* <= CHAN_OPTION_MAX. */
#define CHAN_OPTION_MAX 16
void chan_setsockopt(struct mp_channel *ch, uint32_t handle, struct chan_file f,
		     int level, int name, const void *val, unsigned int len);

/* Asks for the end of the request *op* of *handle*, which then completes
 * with -ECANCELED or with what it reached first. */
void chan_cancel(struct mp_channel *ch, uint32_t handle, enum chan_op op);

/* Calls: executed at once, together with what is queued. They return what
 * the system call of that name returns, or -errno. */
int chan_call_install(struct mp_channel *ch, int slot);
/* A lightweight socket, -EAGAIN when no connection waits; with caps.lwsocket
 * only. */
int chan_call_accept(struct mp_channel *ch, int fd,
		     struct sockaddr_storage *addr, socklen_t *len);
#define CHAN_INSTALL_MAX 16
void chan_call_install_all(struct mp_channel *ch, const int *slots, int *fds,
			   unsigned int count);
int chan_call_send(struct mp_channel *ch, struct chan_file f,
		   const struct msghdr *msg, int flags);
int chan_call_send_bytes(struct mp_channel *ch, struct chan_file f,
			 const void *buf, size_t len, int flags);
int chan_call_recv(struct mp_channel *ch, struct chan_file f,
		   struct msghdr *msg, int flags);
int chan_call_recv_bytes(struct mp_channel *ch, struct chan_file f, void *buf,
			 size_t len, int flags);
int chan_call_getsockopt(struct mp_channel *ch, struct chan_file f, int name,
			 void *val, int len);
int chan_call_inq(struct mp_channel *ch, struct chan_file f);
int chan_call_outq(struct mp_channel *ch, struct chan_file f);
int chan_call_close(struct mp_channel *ch, struct chan_file f);

/* Counts one request that the caller means to queue. True when the batch is
 * full and it should be flushed. */
bool chan_announce(struct mp_channel *ch);

/* Hands the queue over; the same, and collects what completes without
 * waiting. */
int chan_flush(struct mp_channel *ch);
int chan_flush_reap(struct mp_channel *ch);

/* The same, and waits for a completion: *timeout_ns* (< 0: for ever), with
 * the signal mask *mask* meanwhile. 0 or -EINTR. With no time it enters only
 * if there is something to hand over or to collect. */
int chan_wait(struct mp_channel *ch, int64_t timeout_ns, const sigset_t *mask);

/* Has something happened that the next enter would bring? If not when an enter
 * has just returned, all that had happened by then is in memory. */
bool chan_is_behind(const struct mp_channel *ch);

/* Is a completion there to be read? Could chan_flush_reap() bring one? */
bool chan_ready(const struct mp_channel *ch);
bool chan_has_work(const struct mp_channel *ch);

/* Reads one completion, the paper's chan_dispatch(): false when none is left.
 * Does not enter the kernel. */
bool chan_dispatch(struct mp_channel *ch, struct chan_event *ev);

/* The layer above, if it has one. prepare() is called before the queue is
 * handed over by mp_flush(), destroy() before the channel ends, in a forked
 * child too, where the channel is not to be touched. */
struct chan_front {
	void (*prepare)(void *arg);
	void (*destroy)(void *arg, bool forked);
};

void chan_set_front(struct mp_channel *ch, const struct chan_front *front,
		    void *arg);
void *chan_front_arg(const struct mp_channel *ch);

/* May the calling thread use it? 0, -EPERM (another thread's), -ECHILD (the
 * parent process's). */
int chan_check(const struct mp_channel *ch);

/* Gives a lent receive buffer back. Are so many lent that their holders
 * should copy them and give them back? */
void chan_put_buffer(struct mp_channel *ch, unsigned int buffer);
bool chan_buffers_low(const struct mp_channel *ch);

#endif
