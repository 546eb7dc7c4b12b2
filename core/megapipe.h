/* SPDX-License-Identifier: MIT */
/*
 * MegaPipe channels: batched, completion-based I/O on many sockets.
 *
 * After S. Han et al., "MegaPipe: A New Programming Interface for Scalable
 * Network I/O", OSDI'12. A channel belongs to the thread that created it;
 * no function here may be called by another thread, but mp_announce().
 * Functions return 0, a count or -errno and never touch errno.
 *
 * Requests are queued, not executed. They reach the kernel together when
 * MEGAPIPE_BATCH of them were announced (mp_announce() says so), when no
 * completion is left and the caller waits (mp_wait()), or when the caller
 * asks (mp_flush()): the paper's three flush rules.
 */
#ifndef MP_MEGAPIPE_H
#define MP_MEGAPIPE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cookie.h"
#include "file.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mp_channel;

/* Bytes of one receive buffer: any common request; a page. */
#define MP_BUFFER_SIZE 4096

struct mp_params {
	unsigned int batch;	/* announced requests that cause a flush */
	unsigned int buffers;	/* receive buffers, a power of two */
	unsigned int slots;	/* lightweight sockets at most, 0: none */
};

/* What this kernel allows, fixed when the channel is created. */
struct mp_caps {
	bool lwsocket;	/* sockets without descriptor, and their way back */
	bool sockopt;	/* mp_setsockopt() on a lightweight socket */
};

/* A completion. */
struct mp_event {
	void *owner;		/* as given to mp_register() */
	uint32_t handle;
	enum mp_op op;
	int result;		/* as the system call's, or -errno */
	bool more;		/* the request goes on; another will come */
	bool nonempty;		/* the socket had more to give */
	char *data;		/* received bytes, or NULL; lent: give back */
	unsigned int buffer;	/* what to give back with mp_put_buffer() */
};

/* Creates a channel for the calling thread. 0, or -ENOSYS, -EPERM (io_uring
 * is not there or not allowed), -ENOMEM (RLIMIT_MEMLOCK), -EMFILE.
 * Linux 6.1 (DEFER_TASKRUN). */
int mp_create(const struct mp_params *params, struct mp_channel **out);

/* Ends everything that is pending and frees the channel. */
void mp_destroy(struct mp_channel *ch);

/* In a forked child: drops the inherited channel without disturbing the
 * parent. Received bytes that the parent had not read stay readable. */
void mp_forget(struct mp_channel *ch);

const struct mp_caps *mp_caps(const struct mp_channel *ch);

/* Receive buffers, and lightweight sockets at most, that it was given. */
unsigned int mp_buffers(const struct mp_channel *ch);
unsigned int mp_slots(const struct mp_channel *ch);

/* The channel's own descriptor, and how to move it to another number. */
int mp_fd(const struct mp_channel *ch);
void mp_moved(struct mp_channel *ch, int fd);

/* A handle for *owner*, > 0, or -ENOMEM. mp_unregister() makes completions
 * that are still to come unknown: they are dropped. */
int mp_register(struct mp_channel *ch, void *owner);
void mp_unregister(struct mp_channel *ch, uint32_t handle);

/* Requests, each answered by one completion (mp_recv_stream(): several).
 * Memory passed by pointer lives until the completion. */
void mp_accept(struct mp_channel *ch, uint32_t handle, int fd,
	       struct sockaddr_storage *addr, socklen_t *len, bool lwsocket);
void mp_recv(struct mp_channel *ch, uint32_t handle, struct mp_file f);
void mp_recv_stream(struct mp_channel *ch, uint32_t handle, struct mp_file f);

/* All of *iov* or an error; *count* <= MP_SEND_PARTS. MSG_WAITALL is
 * implied. */
#define MP_SEND_PARTS 8
void mp_send(struct mp_channel *ch, uint32_t handle, struct mp_file f,
	     const struct iovec *iov, unsigned int count, int flags);

/* The same, and when all was sent closes the file: the FIN rides on the last
 * bytes. Two completions; the close says -ECANCELED if the send fell short. */
void mp_send_close(struct mp_channel *ch, uint32_t handle, struct mp_file f,
		   const struct iovec *iov, unsigned int count, int flags);
void mp_close(struct mp_channel *ch, uint32_t handle, struct mp_file f);
void mp_poll(struct mp_channel *ch, uint32_t handle, struct mp_file f,
	     unsigned int events, bool stream);
/* Waits for room in the socket's send buffer. Beside mp_poll() on the same
 * handle: the two have different operations. */
void mp_poll_room(struct mp_channel *ch, uint32_t handle, struct mp_file f);

/* Sets an option without waiting; *len* <= MP_OPTION_MAX. */
#define MP_OPTION_MAX 16
void mp_setsockopt(struct mp_channel *ch, uint32_t handle, struct mp_file f,
		   int level, int name, const void *val, unsigned int len);

/* Asks for the end of the request *op* of *handle*, which then completes
 * with -ECANCELED or with what it reached first. */
void mp_cancel(struct mp_channel *ch, uint32_t handle, enum mp_op op);

/* Calls: executed at once, together with what is queued. They return what
 * the system call of that name returns, or -errno. */
int mp_call_install(struct mp_channel *ch, int slot);
int mp_call_send(struct mp_channel *ch, struct mp_file f,
		 const struct msghdr *msg, int flags);
int mp_call_recv(struct mp_channel *ch, struct mp_file f, struct msghdr *msg,
		 int flags);
int mp_call_getsockopt(struct mp_channel *ch, struct mp_file f, int name,
		       void *val, int len);
int mp_call_inq(struct mp_channel *ch, struct mp_file f);
int mp_call_outq(struct mp_channel *ch, struct mp_file f);
int mp_call_close(struct mp_channel *ch, struct mp_file f);

/* Counts one request that the caller means to queue. True when the batch is
 * full and it should be flushed. */
bool mp_announce(struct mp_channel *ch);

/* Hands the queued requests to the kernel. 0 or -errno. */
int mp_flush(struct mp_channel *ch);

/* The same, and collects what completes without waiting. */
int mp_flush_reap(struct mp_channel *ch);

/* The same, and waits for a completion: *timeout_ns* (< 0: for ever), with
 * the signal mask *mask* meanwhile. 0 or -EINTR. */
int mp_wait(struct mp_channel *ch, int64_t timeout_ns, const sigset_t *mask);

/* Is a completion there to be read? Could mp_flush_reap() bring one? */
bool mp_ready(const struct mp_channel *ch);
bool mp_has_work(const struct mp_channel *ch);

/* Reads one completion, the paper's mp_dispatch(): false when none is left.
 * Does not enter the kernel. */
bool mp_dispatch(struct mp_channel *ch, struct mp_event *ev);

/* Gives a lent receive buffer back. Are so many lent that their holders
 * should copy them and give them back? */
void mp_put_buffer(struct mp_channel *ch, unsigned int buffer);
bool mp_buffers_low(const struct mp_channel *ch);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
