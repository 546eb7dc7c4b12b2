/* SPDX-License-Identifier: MIT */
/*
 * The io_uring in our own words: what core needs of it and no more.
 *
 * Owns: the submission and completion rings, the probe of what this kernel
 * can do. Invariant: after ring_open() the tree asks caps.x and never a
 * kernel version. Nothing here knows sockets' state or errno.
 * Called by: channel, bufring. Only the thread that opened it may submit.
 */
#ifndef MP_RING_H
#define MP_RING_H

#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "file.h"

/* What the kernel offers, probed once per ring. */
struct ring_caps {
	bool accept_poll_first;	/* ACCEPT that waits before it tries, 6.10 */
	bool install;		/* a slot can become a descriptor again, 6.8 */
	bool slot_close;	/* a closed slot's file goes at once, 6.13 */
	bool sockopt;		/* socket options as a request, 6.7 */
	bool recv_multishot;	/* 6.0 */
	bool silent;		/* RING_SILENT, 5.17 */
	unsigned int slots;	/* size of the registered-file table, 0: none */
};


/* A completion. flags are RING_F_*. */
struct ring_event {
	uint64_t cookie;
	int res;		/* what the system call returns, or -errno */
	uint32_t flags;
	uint16_t buffer;	/* with RING_F_BUFFER: id in the buffer ring */
};

#define RING_F_BUFFER	(1u << 0)	/* .buffer holds the bytes */
#define RING_F_MORE	(1u << 1)	/* the request goes on */
#define RING_F_NONEMPTY	(1u << 2)	/* the socket had more to give */

struct ring;

/*
 * A ring of *entries* submission entries and *slots* registered files (0 for
 * none; it may get fewer). *out on success.
 * 0, -ENOSYS, -EPERM (sysctl or seccomp), -ENOMEM (RLIMIT_MEMLOCK), -EMFILE.
 */
int ring_open(unsigned int entries, unsigned int slots, struct ring **out);

/* Ends every request of the ring. */
void ring_close(struct ring *r);

/* In a forked child: gives back what the child inherited, without touching
 * the parent's ring (its mapping is not inherited). */
void ring_forget(struct ring *r);

const struct ring_caps *ring_caps(const struct ring *r);

/* The descriptor of the ring, and a new place for it. */
int ring_fd(const struct ring *r);
void ring_moved(struct ring *r, int fd);

/* Submission entries that can still be queued before ring_submit(). */
unsigned int ring_room(const struct ring *r);
unsigned int ring_queued(const struct ring *r);

/* How a request behaves. */
#define RING_LINK	(1u << 0)	/* the next starts after all of this */
#define RING_ONCE	(1u << 1)	/* does not wait for room */
#define RING_SILENT	(1u << 2)	/* no completion unless it fails */

/*
 * Requests. Each needs room for one entry. Memory passed by pointer must live
 * until ring_submit(), buffers that are filled or sent until the completion.
 */
void ring_accept(struct ring *r, uint64_t cookie, int fd,
		 struct sockaddr_storage *addr, socklen_t *len, bool direct);
/* Into a slot, what waits already: else -EAGAIN. Where there are slots. */
void ring_accept_now(struct ring *r, uint64_t cookie, int fd,
		     struct sockaddr_storage *addr, socklen_t *len);
void ring_recv(struct ring *r, uint64_t cookie, struct chan_file f,
	       unsigned int group, bool multishot);
void ring_recv_into(struct ring *r, uint64_t cookie, struct chan_file f,
		    struct msghdr *msg, int flags);
void ring_recv_bytes(struct ring *r, uint64_t cookie, struct chan_file f,
		     void *buf, size_t len, int flags);
/* At the file's own position. */
void ring_read(struct ring *r, uint64_t cookie, struct chan_file f, void *buf,
	       size_t len);
void ring_writev(struct ring *r, uint64_t cookie, struct chan_file f,
		 const struct iovec *iov, unsigned int count);
/* *how*: RING_*. To fail is to send less than all, too, given MSG_WAITALL. */
void ring_send(struct ring *r, uint64_t cookie, struct chan_file f,
	       const void *buf, size_t len, int flags, unsigned int how);
void ring_sendv(struct ring *r, uint64_t cookie, struct chan_file f,
		const struct msghdr *msg, int flags, unsigned int how);
void ring_close_file(struct ring *r, uint64_t cookie, struct chan_file f,
		     unsigned int how);
void ring_cancel(struct ring *r, uint64_t cookie, uint64_t target);
void ring_poll(struct ring *r, uint64_t cookie, struct chan_file f,
	       unsigned int events, bool multishot);
void ring_setsockopt(struct ring *r, uint64_t cookie, struct chan_file f,
		     int level, int name, const void *val, int len);
void ring_getsockopt(struct ring *r, uint64_t cookie, struct chan_file f,
		     int level, int name, void *val, int len);
void ring_siocinq(struct ring *r, uint64_t cookie, struct chan_file f);
void ring_siocoutq(struct ring *r, uint64_t cookie, struct chan_file f);
/* *addr* must live until the completion. */
void ring_connect(struct ring *r, uint64_t cookie, struct chan_file f,
		  const struct sockaddr *addr, socklen_t len);
/* Gives slot *slot* a descriptor as well (close-on-exec). */
void ring_install(struct ring *r, uint64_t cookie, int slot);

/* Hands the queued requests to the kernel: how many, or -errno. */
int ring_submit(struct ring *r);

/* The same, and lets the kernel finish what is ready. Does not wait. */
int ring_reap(struct ring *r);

/*
 * The same, and waits for *count* completions. *timeout_ns* < 0: for ever.
 * *mask* (NULL: none) is the signal mask meanwhile, as in epoll_pwait(2).
 * 0 when there are so many to read or the time is over, -EINTR.
 */
int ring_wait(struct ring *r, unsigned int count, int64_t timeout_ns,
	      const sigset_t *mask);

/* Is there a completion to read? And: would ring_reap() bring some? */
bool ring_ready(const struct ring *r);
bool ring_pending_work(const struct ring *r);

/* Has the kernel completions that found no room? */
bool ring_overflowed(const struct ring *r);

/* Reads one completion: false when there is none. */
bool ring_next(struct ring *r, struct ring_event *ev);

/* Takes the completion of *cookie* (not 0) out of turn; the others keep
 * theirs. Its place may be read later as a completion with cookie 0. 1, or 0
 * when it is not there, or -ENOMEM when others block its way. */
int ring_find(struct ring *r, uint64_t cookie, int *res);

/* Registered buffer ring, for bufring.c: 0 or -errno. */
int ring_register_buffers(struct ring *r, void *mem, unsigned int entries,
			  unsigned int group);

#endif
