/* SPDX-License-Identifier: MIT */
/*
 * A socket's life and its requests.
 *
 * Owns: struct vsock. Flow rule: *down* goes call -> wanted -> armed, through
 * vs_touch() and vs_update(); *up* goes completion -> fact -> ready -> event,
 * through vs_complete() and ep_notify(). No function does both.
 * Called by: the entry points, epset, thread. The socket's lock is held.
 */
#ifndef SHIM_VSOCK_H
#define SHIM_VSOCK_H

#include "shim.h"

static inline struct chan_file vs_file(const struct vsock *vs)
{
	bool lw = vs->slot >= 0;

	return (struct chan_file){ .fd = lw ? vs->slot : vs->fd, .lw = lw };
}

/* May ring calls be made here: are we the thread that drives it? */
static inline bool vs_mine(const struct vsock *vs)
{
	return vs->th && vs->th == self_thread;
}

/* Is its thread blocked in a call that we see, perhaps for good? Another one
 * then does what must not wait for it. */
static inline bool vs_is_left(const struct vsock *vs)
{
	return unlikely(vs->th->away) && !vs->th->sleeping && !vs_mine(vs) &&
	       vs->depth != DEPTH_LW;
}

/* A socket for number *fd*, driven by *th*; NULL without memory. */
struct vsock *vs_new(struct thread *th, enum vs_life life,
		     enum vs_depth depth, int fd);
void vs_set_life(struct vsock *vs, enum vs_life life);

/* Its wants may have changed: look at it before the next flush. */
void vs_touch(struct vsock *vs);

/* The same, before the thread sleeps. */
void vs_touch_later(struct vsock *vs);

/* Down: compares what is wanted with what is armed. */
void vs_update(struct vsock *vs);

/* What was written last goes with the next enter, whatever that is for, if
 * nothing is in its way. No other want is looked at. True: there is some. */
bool vs_send_last(struct thread *th);

/* Up: a completion becomes a fact. */
void vs_complete(struct vsock *vs, const struct chan_event *ev);

/* The shutdown() that waited for the output before it. */
void vs_finish_shutdown(struct vsock *vs);

/* The program closed its last number. */
void vs_close(struct vsock *vs);

/* Frees it when nothing refers to it any more. */
void vs_put(struct vsock *vs);

/* The error for the next call (> 0) is taken; 0 when there is none. */
int vs_take_error(struct vsock *vs);

/* The same, when that said 0: the kernel may have one that nobody has met. */
int vs_ask_error(struct vsock *vs);

/* An error was taken from the kernel, by another way than a receive, which is
 * not told of it any more: the connection has ended, but bytes that came before
 * can still be read. The second asks whether it has ended. */
void vs_refuse(struct vsock *vs);
void vs_note_error(struct vsock *vs);

#endif
