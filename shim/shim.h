/* SPDX-License-Identifier: MIT */
/*
 * The nouns of the shim: socket, entry, set, thread, and how an entry point
 * gets hold of them.
 *
 * Owns: the definitions. Invariants are with each struct. A struct thread's
 * lock guards its sockets and sets; what belongs to no thread yet is guarded
 * by shim_lock. Locks are never nested but shim_lock inside a thread's lock.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "../core/channel.h"
#include "../core/opts.h"
#include "../core/pool.h"
#include "../core/stats.h"
#include "../core/sys.h"
#include "../core/trace.h"
#include "list.h"
#include "lock.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Exported: a libc name with our body. */
#define SHIM_EXPORT __attribute__((visibility("default")))

/* First byte of everything that a number or a handle can stand for. */
enum obj_kind {
	OBJ_NONE,
	OBJ_SOCK,		/* struct vsock */
	OBJ_SET,		/* struct epset */
	OBJ_ACCEPT,		/* struct accept_req */
	OBJ_THREAD,		/* struct thread: its wake-up descriptor */
	OBJ_PRIVATE,		/* a descriptor of our own: not the program's */
	OBJ_HELD,		/* a free number that we hold in the kernel */
	OBJ_PLAIN,		/* a socket given back: not taken again */
	OBJ_PARTITION,		/* struct partition: a listener in parts */
	OBJ_INHERITED,		/* a parent's socket, in an inherited set */
};

struct epset;
struct leftover;
struct listener;
struct partition;
struct rx_piece;
struct tx_chunk;
struct vsock;

/*
 * A socket in a set. Invariant: linked in vs->ents and set->members; in
 * set->ready when it may have something to report.
 */
struct epent {
	struct epset *set;
	struct vsock *vs;
	struct epent *next;		/* of the same socket */
	struct list member;
	struct list ready;
	uint64_t data;
	uint32_t events;
	uint32_t seen_in, seen_out;	/* edges reported so far */
	int fd;
	bool armed;			/* false: EPOLLONESHOT has fired */
	bool embedded;			/* part of the socket's own memory */
};

/* Life of a socket; vs_set_life() alone changes it. */
enum vs_life { VS_LISTEN, VS_OPEN, VS_CLOSING, VS_DEAD };

/* How deep below the descriptor table a socket is. */
enum vs_depth {
	DEPTH_LW,		/* a slot, no descriptor */
	DEPTH_MATERIALISED,	/* a slot and a descriptor */
	DEPTH_FD,		/* a descriptor */
	DEPTH_GIVEN,		/* the kernel's; what is here ends here */
};

/* One request of a kind in flight per socket. */
enum slot_state { SLOT_IDLE, SLOT_ARMED, SLOT_CANCELLING };

/* Bytes that may be queued: SNDBUF and READAHEAD, or less. */
struct option_limits {
	uint32_t send, receive;
};

/* What the kernel has for a socket of which it tells arrivals only. */
enum kernel_in { KERNEL_EMPTY, KERNEL_HAS, KERNEL_MAY };

/*
 * A socket. Life, request slots, facts; readiness is derived (ready.h).
 * Invariant: freed when no number names it and every slot is idle.
 */
struct vsock {
	uint8_t kind;			/* OBJ_SOCK */
	uint8_t life;			/* enum vs_life */
	uint8_t depth;			/* enum vs_depth */
	uint8_t rx, tx, fin;		/* enum slot_state: recv, send, close */
	bool rx_poll;			/* the rx slot is a poll: hang-up */
	bool rx_watch;			/* ... for all arrivals; it goes on */
	uint8_t kernel_in;		/* enum kernel_in, while it watches */
	uint8_t long_sends;		/* past the queue, through the ring */
	bool rx_stream;			/* the rx slot goes on by itself */
	bool tx_poll;			/* the tx slot waits for room */
	bool tx_short;			/* the last send fell short */
	bool tx_counted;		/* the send in flight is in STAT_sent */
	bool nonblock, cloexec;
	bool outlived;			/* it lived for more than a request */
	bool later;			/* linked in th->later */
	uint8_t bulk;			/* bulk till so many small receives */
	bool parts;			/* ... and it is read in small parts */

	union {
		struct {
			bool reset;	/* RST or time-out */
			bool refused;	/* ended, though not all is received */
			bool shut_wr;
			bool no_space;	/* the program was told EAGAIN */
			bool kernel_full; /* ... by the kernel's own buffer */
			uint8_t shut_pending; /* 1 + how, when tx is empty */
			uint8_t giving;	/* 1 + enum stat_id of a handover */
			uint8_t asked;	/* 1 + enum stat_id: make real */
		};
		uint64_t unusual;	/* any of these */
	};

	/* facts */
	bool eof;			/* peer's FIN */
	bool eof_taken;			/* the program has read the end */
	bool shut_rd;
	bool rx_more;			/* the kernel has more than we took */
	bool corked;			/* TCP_CORK, which is ours */
	bool more;			/* last send said MSG_MORE */
	bool held;			/* sent with MSG_MORE: may wait */
	bool rst_close;			/* unread data at close: RST */
	bool shared;			/* others have it too: no RST */
	bool accepted;			/* through a listener of ours */
	bool kernel_err;		/* the kernel holds an error for us */
	bool hurry;			/* a handover that others wait for */
	uint8_t polled;			/* RDHUP|HUP|ERR seen by poll, >> 3 */
	uint16_t options;		/* option requests in flight */

	int fd;				/* its number, -1 after close */
	int slot;			/* in the channel, or -1 */
	int refs;			/* numbers that name it */
	int err;			/* for the next call, or SO_ERROR */
	uint32_t handle;
	struct thread *th;		/* whose channel drives it, or NULL */
	struct list update;		/* in th->updates */
	struct list owned;		/* in th->socks */
	struct list loose;		/* in th->loose: accepted, in no set */
	struct epent *ents;
	uint32_t read_at;		/* th->synced at the last read */
	uint32_t in_edge, out_edge;	/* counted arrivals and drains */

	struct option_limits limits;
	uint32_t lowat;			/* SO_RCVLOWAT: readable from here on */
	struct rx_piece *rx_head, *rx_tail;
	uint32_t rx_bytes;
	uint32_t tx_bytes;		/* queued, in flight included */
	uint32_t tx_flight;		/* handed to the kernel */
	struct tx_chunk *tx_head, *tx_tail;

	struct region_sock *record;	/* what others see of it, or NULL */
	struct listener *listener;
	struct leftover *left;		/* given, and readable from memory */
	struct sockaddr_in6 peer, local;	/* or struct sockaddr_in */
	uint8_t peer_len, local_len;		/* 0: unknown */
	uint32_t full_turn;	/* turn in which the kernel took much at once */
	int nodelay;				/* TCP_NODELAY, -1: unknown */
	struct epent first;			/* most are in one set */
};

/* Descriptors added before a thread first waited: listeners mostly. */
#define EP_CANDIDATES 64

struct candidate {
	int fd;
	uint32_t due;		/* its next look, in waits (claim.c) */
	uint8_t vain;		/* looks in vain: they become rare */
	bool fits, listens;	/* found by a look */
	bool told;		/* the kernel's set has told all of it */
	struct epoll_event ev;
};

/*
 * An epoll set: the program's own kernel set for foreign descriptors, and a
 * list of ours. Invariant: one thread waits (owner), or it is plain.
 */
struct epset {
	uint8_t kind;		/* OBJ_SET */
	bool plain;		/* everything is in the kernel's set again */
	bool inherited;		/* a parent's: its members are still missing */
	bool has_foreign;	/* descriptors were added to the kernel's set */
	bool waited;		/* ... and waited on before a thread drove it */
	bool foreign;		/* the kernel's set may have something */
	bool poll_armed;
	bool kernel_first;	/* whose turn it is when maxevents is short */
	int fd;
	uint32_t handle;
	struct thread *th;
	struct list members;	/* epent.member */
	struct list ready;	/* epent.ready */
	struct list owned;	/* in th->sets */
	unsigned int sleepers;	/* threads in the kernel's own wait for it */
	uint32_t waits;		/* ... while no thread drives it, ... */
	uint32_t look_due;	/* ... and when to look whether one should */
	uint8_t vain;		/* moments when it had more to tell */
	unsigned int candidate_count;
	struct candidate candidates[EP_CANDIDATES];
};

/* Records of sockets in shared memory (view.h) that a thread has for its own:
 * a list of free ones (1 + index), and some that were never used. */
struct view_records {
	uint32_t epoch;
	uint32_t free;
	uint32_t fresh, end;
};

/* A thread that waits: its channel and what it drives. */
struct thread {
	uint8_t kind;		/* OBJ_THREAD */
	struct lock lock;
	struct mp_channel *ch;
	struct list updates;	/* sockets whose wants may have changed */
	struct list later;	/* sockets to look at before the next sleep */
	struct list socks;	/* all it drives */
	struct list sets;
	struct list listeners;	/* listener.node */
	struct list loose;
	uint32_t turns;		/* counts its waits, from 1 */
	uint32_t found;		/* counts completions */
	uint32_t served;	/* futex: counts what others asked for */
	unsigned int askers;	/* threads that wait for that */
	unsigned int held;	/* accepted connections that are open */
	uint32_t synced;	/* waits that brought all there was */
	unsigned int lw_count;	/* sockets without a descriptor */
	unsigned int slots;	/* of the ring: taken, or asked for */
	int tid;
	bool away;		/* blocked in a call that we see */
	struct list all;	/* in the process's list */
	struct vsock *busy;	/* in the middle of a call: is not let go */
	struct vsock *last;	/* that queued output, or NULL */
	struct pool socks_pool, ents_pool, pieces_pool, accepts_pool;
	struct pool chunks_pool, big_chunks_pool;
	struct view_records records;
	struct region_line *line;	/* its counters, NULL: shared ones */
	uint32_t handle;	/* of wake_fd */
	int wake_fd;		/* eventfd, -1: none yet */
	bool wake_armed;
	bool turning;		/* about to go there: all is to be armed */
	bool sleeping;		/* in chan_wait(): others must wake it */
	bool sending;		/* output is queued and not flushed */
	bool look_again;	/* the kernel said that there is more, or FIN */
	bool forked;		/* since its last wait: a child may read now */
	bool exclusive;		/* a poll may keep connections from others */
	bool cancelled;		/* pthread_cancel(): to be looked at */
	uint8_t lone, writes, looks;	/* see lone.h */
	bool slow;
	int64_t wrote_ns;
	pthread_t self;
};

extern struct lock shim_lock;
extern struct list shim_threads;

/* The calling thread's own, or NULL when it never waited. */
extern __thread struct thread *self_thread
	__attribute__((tls_model("initial-exec")));

/* A page that the kernel wipes in a forked child, whatever forked it:
 * non-zero while this process may use its channels (MADV_WIPEONFORK). */
extern volatile uint32_t *shim_alive;

/* True when calls should go straight to libc for good: MEGAPIPE=off, or no
 * io_uring here. */
extern bool shim_off;

/* This process forked or was forked: others may share its listeners. */
extern bool shim_shared;

/* This process has called vfork(). */
extern bool shim_vforked;

/* The process ends: nothing more is accepted. */
extern bool shim_leaving;

/* Our destructor has run: every call is flushed at once. */
extern bool shim_ending;

/* errno is written here only. */
long shim_return(long ret);

/* One line on standard error, "megapipe: " before it. */
void shim_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, with MEGAPIPE_LOG=all only. */
void shim_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Says the line once in this process and those forked from it. */
void shim_log_once(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
