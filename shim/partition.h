/* SPDX-License-Identifier: MIT */
/*
 * Partitioned listeners: each process of a server has an accept queue of its
 * own for the address that they all listen on.
 *
 * The process that forks makes the sockets: number 0 is the program's own, the
 * others are clones of it. A process that waits for the listener claims one in
 * a table that all share (bpf/steer.h) and accepts from that; those that
 * nobody owns, or whose owner takes no connections now, are watched by all.
 * Owns: struct partition, the list of them. Invariants: every process that has
 * the program's number has all the sockets, and closes them with that number;
 * so none is closed while a connection waits in it, unless the listener is.
 * Called by: sock, wait, proc, listener, vsock, entry, fd, init. The lock of
 * the listener's thread is held while one has adopted it.
 */
#ifndef SHIM_PARTITION_H
#define SHIM_PARTITION_H

#include "../bpf/steer.h"
#include "shim.h"

#define PARTITION_WORDS (STEER_PARTS / 64)

struct partition {
	uint8_t kind;		/* OBJ_PARTITION */
	bool native;		/* the listener is the kernel's here */
	bool armed;		/* the watch is polled by the ring */
	bool theirs_next;	/* ... from which the next one comes */
	bool elsewhere;		/* others' sockets may have connections */
	bool moved;		/* requests wait on a socket not taken now */
	bool paused;		/* as the table has it */
	bool reuseport;		/* SO_REUSEPORT, as the program has set it */
	uint32_t kept;		/* kernel's sets that have it (fd_keep()) */
	int refs;		/* numbers of the program that name it */
	int fd;			/* one of them: socket 0 */
	int mine;		/* what this process has claimed, or -1 */
	int me;			/* its process id */
	unsigned int count;	/* sockets, the program's own included */
	int socks[STEER_PARTS];
	int guard;		/* keeps others from joining */
	int table_fd;
	int change;		/* eventfd: the table has changed */
	int orphans[2];		/* a pair of unix sockets (orphan.h) */
	int watch;		/* epoll set of what is watched, or -1 */
	int pidfds[STEER_PARTS];	/* of other owners, or -1 */
	uint32_t owners[STEER_PARTS];	/* ... whose */
	uint64_t watched[PARTITION_WORDS];
	uint32_t quick;		/* pauses that followed each other quickly */
	int64_t pause_ns;	/* when it paused last */
	uint32_t steered;	/* at its last sleep with a queue */
	uint32_t accepted;	/* from what was ours */
	uint32_t handle;
	struct region_part *record;	/* what others see, or NULL */
	struct steer_table *table;
	struct vsock *vs;	/* adopted by, or NULL */
	struct list all;
};

/* The program called listen() and it succeeded. */
void partition_listened(int fd, int backlog);

/* Is the listener that of this process alone? It made it, and has not forked
 * since. */
bool partition_only_here(int fd);

/* Around fork(): listeners that nobody here waits for are partitioned. In the
 * child nothing is claimed yet. */
void partition_before_fork(void);
void partition_after_fork(void);
void partition_forked(void);

/* The listener is a channel's from now on, or not any more. */
void partition_adopt(struct partition *p, struct vsock *vs);
void partition_leave(struct partition *p);

/* A number of the program's is one more name of it, or is closed. */
void partition_named(struct partition *p, int fd);
void partition_closed(struct partition *p, int fd);

/* The process can't take its part: nobody's is kept apart from now on. */
void partition_share(struct partition *p);
void partition_share_all(void);

/* The process ends: it is nobody's owner; later, it has nothing left. */
void partition_exit(void);
void partition_end(void);

/* The socket that requests are armed on; is it ours alone? */
static inline int partition_sock(const struct partition *p)
{
	return p->mine > 0 ? p->socks[p->mine] : p->vs->fd;
}

/* So many of its sockets may have connections: clones that were shut down
 * never listen again. */
static inline unsigned int partition_live(const struct partition *p)
{
	unsigned int used = p->table->used;

	if (p->table->stopped)
		return 1;
	return used < p->count ? used : p->count;
}

static inline bool partition_is_own(const struct partition *p)
{
	return p && p->mine >= 0;
}

/* The program wants connections, or none for now. */
void partition_want(struct partition *p, bool want);

/* Before the thread sleeps: *held* connections are open. */
void partition_weigh(struct partition *p, uint32_t held);
void partition_arm(struct partition *p);

/* Up: the watch has something. */
void partition_complete(struct partition *p, const struct chan_event *ev);

/* A connection was taken from the socket that is ours. */
static inline void partition_took(struct partition *p)
{
	__u32 *seen = &p->table->parts[p->mine].seen;

	__atomic_store_n(seen, *seen + 1, __ATOMIC_RELAXED);
	p->accepted++;
}

/* accept4(2) on the sockets that are watched, or -EAGAIN. */
long partition_accept(struct partition *p, struct sockaddr *addr,
		      socklen_t *len, int flags);

/* The same for a listener that is the kernel's in this process. */
long partition_accept_native(struct partition *p, struct sockaddr *addr,
			     socklen_t *len, int flags);

/* What epoll_ctl() did for a kernel's set and the program's number is done for
 * the other sockets that may have something. */
void partition_ctl(struct partition *p, int epfd, int op,
		   const struct epoll_event *ev);

/* For partition_exec.c: all of this process; one without sockets or table; one
 * that has them is entered, its number named. */
extern struct list partition_list;
struct partition *partition_new(void);
void partition_free(struct partition *p);
void partition_add(struct partition *p);

/* The listener goes to a process that may know nothing of this; any listener
 * of this number does. */
void partition_pass(struct partition *p);
void partition_passed(int fd);

/* Is any listener of this process partitioned? */
extern bool partition_any;

/* Calls that concern the socket: the same for the others. setsockopt() answers
 * for all: 0 or -errno. */
int partition_option(struct partition *p, int level, int name,
		      const void *val, socklen_t len);
/* Has a connection SO_REUSEPORT from one of them, not from the program? */
bool partition_lent_port(int fd);
void partition_backlog(struct partition *p, int backlog);
void partition_stop(struct partition *p);

#endif
