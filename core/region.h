/* SPDX-License-Identifier: MIT */
/*
 * What a process shows of itself: the layout of its shared memory.
 *
 * A process that has a channel has one memfd by the name REGION_NAME, found
 * through /proc/PID/fd. Owns: the layout, which the command reads. Invariant:
 * a change of it changes REGION_VERSION; every field is written by one
 * aligned store, so that a reader stops nobody and sees no half of one.
 */
#ifndef MP_REGION_H
#define MP_REGION_H

#include <stdint.h>

#define REGION_NAME "megapipe"
#define REGION_MAGIC 0x6570697061676d31ull
#define REGION_VERSION 2

/* Parts of the file start at multiples of this: a page of any machine that
 * the library runs on (64 KiB on some aarch64 kernels). */
#define REGION_PAGE 65536

/* Bounds. The file is sparse: memory is used as channels and sockets are.
 * A channel beyond counts in line 0, a socket beyond has no record. */
#define REGION_LINES 256
#define REGION_COUNTERS 64
#define REGION_BATCHES 16
#define REGION_SOCKS 65536
#define REGION_LEFT 1024
#define REGION_PARTS 64

struct region_head {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;		/* of the whole file */
	int32_t pid;
	uint32_t counters;	/* names known to the writer */
	int64_t start_ns;	/* CLOCK_MONOTONIC ... */
	int64_t start_real_ns;	/* ... and CLOCK_REALTIME at that moment */
	uint32_t socks;		/* records ever used, the first ones */
	uint32_t unrecorded;	/* sockets that found no record */
	int32_t refused;	/* a later channel could not be made: errno */
};

enum region_line_state { LINE_FREE, LINE_LIVE };

/* Counters of one channel; line 0: of threads without one, and of channels
 * that ended. Written by one thread, without a locked instruction. */
struct region_line {
	uint32_t state;		/* enum region_line_state */
	int32_t tid;
	int64_t since_ns;
	uint32_t buffers, buffers_lent;	/* at the last enter */
	uint32_t slots;			/* lightweight sockets at most */
	uint32_t reserved;
	uint64_t counter[REGION_COUNTERS];	/* enum stat_id */
	uint64_t batch[REGION_BATCHES];	/* enters by requests handed over */
	uint64_t pad[4];
};

_Static_assert(sizeof(struct region_line) % 64 == 0, "whole cache lines");

enum region_life { SOCK_FREE, SOCK_LISTEN, SOCK_OPEN, SOCK_CLOSING };
enum region_depth { SHOWN_LW, SHOWN_MATERIALISED, SHOWN_FD, SHOWN_GIVEN };

/* What is known of the connection beyond its life. */
#define SOCK_FACT_EOF		1
#define SOCK_FACT_RESET		2
#define SOCK_FACT_SHUT_RD	4
#define SOCK_FACT_SHUT_WR	8
#define SOCK_FACT_NONBLOCK	16

/* A socket. *seq* is odd while it is given to another one. Queues are those
 * of the thread's last turn. */
struct region_sock {
	uint32_t seq;
	int32_t fd;		/* -1: closed by the program */
	uint32_t rx, tx;	/* bytes read ahead, bytes queued */
	uint32_t events;	/* asked for, in its first set */
	int32_t set;		/* descriptor of that set, -1: in none */
	uint8_t life, depth, facts;
	uint8_t giving;		/* 1 + counter: on its way to the kernel */
	uint16_t line;		/* of its channel */
	uint16_t family;	/* of the names below, 0: none are known */
	uint16_t local_port, peer_port;	/* network order */
	uint32_t next;		/* of the free ones */
	int64_t since_ns;
	uint8_t local[16], peer[16];	/* IPv4: the first four */
};

/* Why a number's socket is the kernel's: a counter's number, or these. */
enum region_reason {
	LEFT_BLOCKING = 100,	/* added to a set without O_NONBLOCK */
	LEFT_CONNECTING,	/* added to a set before it was connected */
	LEFT_EVENTS,		/* asked for with events that are not ours */
	LEFT_SET,		/* added to a set that is the kernel's */
	LEFT_RULE,		/* left by MEGAPIPE_LISTEN */
	LEFT_MEMORY,		/* no memory for it */
	LEFT_FEW,		/* in a set with too little for a channel */
};

/* The last one of each number, at number % REGION_LEFT. */
struct region_left {
	int32_t fd;		/* -1: none */
	uint32_t reason;
	int64_t since_ns;
};

/* How connections are spread over partitions: enum steer_step. */
enum region_step { SHOWN_EBPF, SHOWN_CPU, SHOWN_RANDOM };

/* A partitioned listener, and what this process has of it. */
struct region_part {
	uint32_t used;		/* 0: a free record */
	int32_t fd;
	int32_t mine;		/* its partition, -1: none */
	uint32_t made;		/* partitions that there are */
	uint8_t step, shared, paused, spare;
	uint16_t family, port;	/* network order */
	uint32_t held;		/* connections of its thread, last turn */
	uint32_t accepted;	/* from its partition */
	uint64_t cpus[4];
	uint8_t address[16];
};

#define REGION_HEAD_AT 0
#define REGION_LEFT_AT 4096
#define REGION_PARTS_AT                                                   \
	(REGION_LEFT_AT + REGION_LEFT * sizeof(struct region_left))
#define REGION_REST_AT REGION_PAGE		/* line 0, mapped on its own */
#define REGION_LINES_AT (2 * REGION_PAGE)
#define REGION_SOCKS_AT                                                   \
	(REGION_LINES_AT +                                                \
	 (REGION_LINES * sizeof(struct region_line) + REGION_PAGE - 1) /  \
		 REGION_PAGE * REGION_PAGE)
#define REGION_BYTES                                                      \
	(REGION_SOCKS_AT +                                                \
	 (REGION_SOCKS * sizeof(struct region_sock) + REGION_PAGE - 1) /  \
		 REGION_PAGE * REGION_PAGE)

_Static_assert(REGION_PARTS_AT + REGION_PARTS * sizeof(struct region_part) <=
		       REGION_PAGE, "head, numbers, partitions are one part");

#endif
