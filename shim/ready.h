/* SPDX-License-Identifier: MIT */
/*
 * Readiness, derived from a socket's facts and never stored.
 *
 * Owns: nothing. vs_ready() is pure, in the order of the kernel's tcp_poll()
 * (net/ipv4/tcp.c). Called by: epset, poll. The socket's lock is held.
 */
#ifndef SHIM_READY_H
#define SHIM_READY_H

#include "shim.h"

/* Shift that fits RDHUP, HUP and ERR as poll reports them in one byte:
 * ERR 8, HUP 0x10 and RDHUP 0x2000, which moves to bit 7. */
static inline uint8_t ready_pack(uint32_t bits)
{
	return (uint8_t)((bits & (EPOLLERR | EPOLLHUP)) |
			 (bits & EPOLLRDHUP ? 0x80 : 0));
}

static inline uint32_t ready_unpack(uint8_t packed)
{
	return (packed & (EPOLLERR | EPOLLHUP)) |
	       (packed & 0x80 ? EPOLLRDHUP : 0);
}

/* The EPOLL* bits that are true of the socket now. */
uint32_t vs_ready(const struct vsock *vs);

#endif
