/* SPDX-License-Identifier: MIT */
/*
 * A program with one event a turn, which it answers by one write: there is no
 * batch to wait for. If it takes its time between that write and its next wait,
 * what it wrote leaves at once, at an enter more: the peer would wait for
 * nothing.
 *
 * Owns: lone, writes, looks, slow, wrote_ns of struct thread. Called by: wait,
 * tx, vsock. The thread's lock is held.
 */
#ifndef SHIM_LONE_H
#define SHIM_LONE_H

#include "shim.h"

/* Turns until it is sure, and what any other turn takes back. */
#define LONE_SURE 16
#define LONE_LOSS 4

/* A wait so long after a write is late: an enter takes a tenth of it. It is
 * looked at once in so many writes. */
#define LONE_SLOW_NS 6000
#define LONE_LOOK 32

/* The program waits again. */
static inline void lone_waits(struct thread *th)
{
	if (likely(!th->wrote_ns))
		return;
	th->slow = sys_now_ns() - th->wrote_ns > LONE_SLOW_NS;
	th->wrote_ns = 0;
}

/* A turn begins, with so many events. */
static inline void lone_turn(struct thread *th, int events)
{
	if (events == 1 && th->writes <= 1)
		th->lone += th->lone < LONE_SURE + LONE_LOSS;
	else if (events > 1 || th->writes > 1)
		th->lone -= th->lone < LONE_LOSS ? th->lone : LONE_LOSS;
	th->writes = 0;
}

/* A connection ends: of more like it the FIN is to ride on the last bytes. */
static inline void lone_close(struct thread *th)
{
	th->lone = 0;
}

/* What was written has left at once: that took time of its own. */
static inline void lone_sent(struct thread *th)
{
	if (th->wrote_ns)
		th->wrote_ns = sys_now_ns();
}

/* Something was written by the thread that drives the socket: is it to leave
 * now? */
static inline bool lone_write(const struct vsock *vs)
{
	struct thread *th = vs->th;

	th->writes += th->writes < 2;
	if (likely(th->lone < LONE_SURE))
		return false;
	if (th->writes > 1)
		return false;
	if (!(++th->looks % LONE_LOOK))
		th->wrote_ns = sys_now_ns();
	return th->slow && vs->rx_stream && !vs->more &&
	       !vs->corked;
}

#endif
