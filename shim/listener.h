/* SPDX-License-Identifier: MIT */
/*
 * Listeners: connections accepted by the channel before accept() is called.
 *
 * Owns: struct listener and its accept requests. Invariants: no more
 * requests wait than connections the program took at its last turn, so that
 * none is left in our hands when it stops listening; a connection that was
 * accepted is delivered by accept() or passed on, never dropped. Of a listener
 * that other processes may accept from nothing is taken ahead: it is only
 * polled (listener_shared.c).
 * Called by: vsock, sock. The socket's lock is held.
 */
#ifndef SHIM_LISTENER_H
#define SHIM_LISTENER_H

#include "partition.h"
#include "shim.h"

/* One ACCEPT: armed, then, answered, in the listener's queue. */
struct accept_req {
	uint8_t kind;		/* OBJ_ACCEPT */
	uint8_t state;		/* enum slot_state */
	bool direct;		/* result is a slot */
	int flags;		/* the file has: SOCK_NONBLOCK | SOCK_CLOEXEC */
	int result;		/* descriptor, slot or -errno */
	uint32_t handle;
	struct vsock *vs;	/* the listener */
	struct list node;	/* in listener.armed or .queue */
	socklen_t len;
	struct sockaddr_storage addr;
};

struct listener {
	struct vsock *vs;
	struct list node;	/* in th->listeners */
	struct list armed;
	struct list queue;	/* answered, not yet delivered */
	unsigned int armed_count;
	unsigned int queued;
	unsigned int streak;	/* accepted since it was last reported */
	unsigned int appetite;	/* requests that may wait at once */
	int proven;		/* connections used on the accepting thread */
	int last_fd;		/* accepted last, as a descriptor; or -1 */
	int flags;		/* of the program's last accept4() */
	struct partition *part;	/* NULL: it is not partitioned */
	bool stopped;		/* by connect(AF_UNSPEC), till listen() */
	bool shared;		/* other processes may accept from it */
	bool polled;		/* ... and its poll found a connection */
	bool doubt;		/* ... may find one that is taken by now */
	bool exclusive;		/* ... which wakes one process only */
};

/* From the pool of epoll entries. */
#define LISTENER_BYTES                                                    \
	(sizeof(struct listener) > sizeof(struct epent) ?                 \
		 sizeof(struct listener) : sizeof(struct epent))

int listener_open(struct vsock *vs);
void listener_free(struct vsock *vs);

static inline bool listener_pending(const struct vsock *vs)
{
	const struct listener *l = vs->listener;

	return l && (l->queued || l->polled ||
		     (l->part && l->part->elsewhere));
}

/* Has this process a queue of its own, from which it may accept before the
 * program asks? */
static inline bool listener_takes_ahead(const struct listener *l)
{
	return l->part ? partition_is_own(l->part) : !l->shared;
}

/* The thread is about to block: what waits to be accepted gets descriptors, so
 * that other threads can use it. */
void listener_expose_all(struct thread *th);

/* The socket stops listening: as the kernel does, resets what waits. */
void listener_reset_queue(struct vsock *vs);

/* This process takes no more from it: what waits is its siblings'. */
void listener_pass_on(struct vsock *vs);

/* vs_update()'s part: cancels requests that are not wanted. True when all
 * are idle. */
bool listener_update(struct vsock *vs);

/* Just before the thread sleeps, and only then: arms what is wanted. What
 * completes is reported by the same epoll_wait(). Without *sleep* it returns
 * at once. */
void listener_arm_all(struct thread *th, bool sleep);

/* Before completions are collected in the middle of the program's turn: what
 * others could take is left to them. */
void listener_hold_all(struct thread *th);

void listener_complete(struct accept_req *req, const struct chan_event *ev);

/* The program was told that connections wait. */
void listener_reported(struct vsock *vs);

/* Next connection: its number, or -EAGAIN when none is queued, or the error
 * of accept4(2). */
int listener_take(struct vsock *vs, struct sockaddr *addr, socklen_t *len,
		  int flags);

/* A descriptor was accepted past us or registered: does this thread use the
 * connections that it accepts? */
void listener_accepted_fd(struct vsock *vs, int fd);
struct vsock *listener_of(struct thread *th, int fd);
void listener_saw_registered(struct vsock *vs);

/* Connections that are in no set when the thread goes to wait are for another
 * thread: they become descriptors, and so do the next ones. */
void listener_give_loose(struct thread *th);

/* Ends all requests, waking whoever shares the socket for connections that
 * we were woken for (the kernel wakes one waiter per connection). */
void listener_stop(struct vsock *vs);

/* The process ends, or becomes another program: the same, and what is queued
 * is passed on. */
void listener_leave(struct vsock *vs);

/* Is a request wanted: would a set report the listener? */
bool listener_is_wanted(const struct vsock *vs);

/* The process forks; another has got the socket. */
void listener_share_all(struct thread *th);
void listener_share(struct vsock *vs);

/* Of what is shared, by the thread that drives it: the poll is armed; those
 * that would keep a connection from others while the program is busy end; the
 * poll has completed. */
void listener_poll(struct vsock *vs, bool sleep);
void listener_withdraw_all(struct thread *th);
void listener_polled(struct vsock *vs, const struct chan_event *ev);

/* A connection waits in this socket, and perhaps nobody was told: all are. No
 * lock is needed. */
void listener_wake_all(int fd);

/* A connection was accepted past the queue: what the poll found may be it. */
void listener_taken(struct vsock *vs);

/* accept4(2) into a slot: -EOPNOTSUPP when it is to be the system call. */
long listener_accept_slot(struct vsock *vs, struct sockaddr *addr,
			  socklen_t *len, int flags);

/* A slot that was accepted becomes a connection with number *fd*. */
int listener_new_slot(struct vsock *vs, const struct accept_req *req, int fd,
		      int flags);
bool listener_uses_slots(const struct vsock *vs);
void listener_copy_name(const struct accept_req *req, struct sockaddr *addr,
			socklen_t *len);

/* RLIMIT_NOFILE is another one: requests of the calling thread are made anew.
 * No lock is held. */
void listener_limits_changed(void);

#endif
