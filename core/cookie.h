/* SPDX-License-Identifier: MIT */
/*
 * The 64-bit cookie that travels with every request: op | generation | index.
 *
 * Owns: its layout. Invariant: never a pointer, so a completion that
 * outlives its handle is recognised by its generation and dropped.
 * Called by: handle, channel. Any thread: pure functions.
 */
#ifndef MP_COOKIE_H
#define MP_COOKIE_H

#include <stdint.h>

/* What a completion answers. 8 bits. */
enum chan_op {
	CHAN_OP_NONE, /* nobody waits for this completion */
	CHAN_OP_ACCEPT,
	CHAN_OP_RECV,
	CHAN_OP_SEND,
	CHAN_OP_CLOSE,
	CHAN_OP_POLL,
	CHAN_OP_ROOM, /* a poll for room to send */
	CHAN_OP_SETOPT,
	CHAN_OP_CONNECT,
	CHAN_OP_SYNC, /* chan_sync() waits for it by itself */
	CHAN_OP_TRY,  /* a SEND that completes only if it falls short */
	CHAN_OP_MAX
};

/* 24 bits of generation: a handle index must be reused 16 million times
 * while one request is in flight before a stale completion is believed. */
#define COOKIE_GEN_MASK 0xffffffu

static inline uint64_t cookie_make(enum chan_op op, uint32_t gen,
				   uint32_t index)
{
	return (uint64_t)op << 56 | (uint64_t)(gen & COOKIE_GEN_MASK) << 32 |
	       index;
}

static inline enum chan_op cookie_op(uint64_t cookie)
{
	return (enum chan_op)(cookie >> 56);
}

static inline uint32_t cookie_gen(uint64_t cookie)
{
	return (uint32_t)(cookie >> 32) & COOKIE_GEN_MASK;
}

static inline uint32_t cookie_index(uint64_t cookie)
{
	return (uint32_t)cookie;
}

#endif
