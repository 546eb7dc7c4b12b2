/* SPDX-License-Identifier: MIT */
/*
 * The paper's interface (megapipe.h) on a channel's requests (channel.h).
 *
 * Down: a call puts a request into a queue of its handle and the handle on the
 * list of touched ones (request.c); just before the queue of the channel is
 * handed over, each touched handle is looked at: what can be armed is
 * (arm.c, accept.c). Up: a completion ends requests, which wait in one list
 * to be dispatched (finish.c). A completion arms nothing: it touches.
 *
 * Owns: handles, requests. Invariants: one read and one write (of one or
 * several requests) of a handle are in flight, so that their order is that of
 * the calls; a handle is freed when nothing in the kernel, and no completion,
 * is its. Called by: programs, through megapipe.h. The channel's thread.
 */
#ifndef CORE_FRONT_H
#define CORE_FRONT_H

#include "channel.h"
#include "pool.h"
#include "spread.h"
#include "stats.h"

/* More than read(2) and write(2) do at a time: MAX_RW_COUNT of the kernel. */
#define FRONT_BYTES_MAX 0x7ffff000u

/* Of the accept requests of one listener so many wait in the kernel. */
#define FRONT_ACCEPTS 32

/* The first byte of a completion's owner. */
enum front_owner { OWNER_HANDLE, OWNER_ACCEPT };

struct request {
	struct mp_handle *handle;
	struct request *next;
	const struct iovec *iov;	/* the caller's, or &one */
	struct iovec one;	/* of connect: address and length */
	unsigned int count;	/* of iov */
	unsigned int at;	/* the first that is not written whole ... */
	size_t skip;		/* ... and how much of it is */
	size_t len, done;	/* of all */
	uint8_t op;		/* enum mp_op */
	bool more;
	int result;		/* of disconnect, before: how */
	unsigned int buffer;
	void *data;
	socklen_t peer_len;
	char peer[sizeof(struct sockaddr_in6)];
};

struct queue {
	struct request *head, *tail;
};

/* One accept request that waits in the kernel, or could. */
struct accept_slot {
	uint8_t owner;
	bool armed, lw;
	uint32_t id;
	struct mp_handle *handle;
	struct sockaddr_storage addr;
	socklen_t len;
};

/* What makes a handle a listener. */
struct accepts {
	unsigned int wanted[2];	/* to be armed: descriptors, lwsockets */
	unsigned int armed, slots;
	unsigned int pending;	/* connections in the kernel's queue */
	bool ask;		/* ... to be asked for */
	bool cancelled;
	struct accept_slot slot[FRONT_ACCEPTS];
};

enum handle_state { HANDLE_FREE, HANDLE_OPEN, HANDLE_CLOSING, HANDLE_DEAD };

/* What a file is, as its first request finds out. */
enum handle_type { TYPE_UNKNOWN, TYPE_SOCKET, TYPE_FILE };

struct mp_handle {
	uint8_t owner, state, type;
	bool touched, starved, listed;
	bool rx_armed, rx_cancelled, rx_seen;
	bool rx_file, tx_file;	/* what is in flight asks a file */
	bool close_armed, counted;
	uint8_t tx_armed;	/* requests of the write in flight */
	bool connect_armed, connect_cancelled;
	unsigned int connects;	/* queued: reads wait for them */
	struct mp_handle *next;	/* of the touched ones */
	struct mp_handle *next_starved, *next_listener;
	struct front *front;
	struct chan_file file;
	uint32_t id;
	void *cookie;
	struct queue rx, tx;
	struct request *close;
	struct accepts *accepts;
	struct spread_place place;
};

struct front {
	struct mp_channel *ch;
	struct pool handles, requests, accepts;
	struct queue done;
	struct mp_handle *touched, *touched_last;
	struct mp_handle *starved;	/* streams that found no buffer */
	struct mp_handle *listeners;	/* that accept, or are partitions */
	unsigned int lent;		/* buffers, the caller's or to be */
	unsigned int lwsockets, lwsockets_max;
	unsigned int connections;	/* handles of sockets and files */
	uint64_t *unregistered;		/* lwsockets without a handle */
	struct region_line line;	/* counters of this channel alone */
	uint64_t told[CHAN_BUFFERS_MAX / 64];	/* buffers the caller has */
};

static inline uint64_t front_bit(unsigned int n)
{
	return (uint64_t)1 << (n % 64);
}

static inline void queue_put(struct queue *q, struct request *r)
{
	r->next = NULL;
	if (q->head)
		q->tail->next = r;
	else
		q->head = r;
	q->tail = r;
}

static inline struct request *queue_get(struct queue *q)
{
	struct request *r = q->head;

	if (r)
		q->head = r->next;
	return r;
}

/* The channel's front, made when it is asked for first: 0 or -ENOMEM. */
int front_get(struct mp_channel *ch, struct front **out);

/* Looks at all touched handles. Hands the queue over if the batch is full. */
void front_prepare(struct front *f);
void front_announce(struct mp_handle *h);

static inline void front_touch(struct mp_handle *h)
{
	struct front *f = h->front;

	if (h->touched)
		return;
	h->touched = true;
	h->next = NULL;
	if (f->touched)
		f->touched_last->next = h;
	else
		f->touched = h;
	f->touched_last = h;
}

/* A new request; NULL when there is no memory. */
struct request *front_request(struct mp_handle *h, enum mp_op op);
/* Ends it: its completion waits to be dispatched. */
void front_complete(struct request *r, int result);
/* Ends it without one. */
void front_drop(struct request *r);

/* Reads the completions that are in memory: 0, or -ENOMEM and some are left. */
int front_drain(struct front *f);

/* Frees a handle that nothing in the kernel is of. */
void front_free(struct mp_handle *h);
void front_enlist(struct mp_handle *h);
bool front_in_flight(const struct mp_handle *h);
/* Asks for the end of what is in flight, once. */
void front_cancel(struct mp_handle *h);
void front_unregistered(struct front *f, int slot, bool yes);

/* Tells partitions how many connections the channel has. */
void front_count(const struct front *f);

/* accept.c */
void accept_arm(struct mp_handle *h);
void accept_cancel(struct mp_handle *h);
void accept_done(struct accept_slot *s, const struct chan_event *ev);
/* Connections that wait in the kernel, as of the last completion. */
unsigned int accept_pending(struct mp_handle *h);
void accept_free(struct mp_handle *h);

/* Wakes all who wait for connections of this listener: one that came just now
 * may have woken only us, who do not take it. */
void accept_kick(const struct mp_handle *h);

#endif
