/* SPDX-License-Identifier: MIT */
/*
 * The way back: a socket of ours becomes the kernel's again.
 *
 * Owns: the steps and their counters. Invariant: nothing queued is lost and
 * nothing read ahead is lost; each use is counted with its reason.
 * Called by: the entry points, epset. The socket's lock is held, in
 * vs_materialise() and vs_give_now() by any thread, else by the one that
 * drives it.
 */
#ifndef SHIM_HANDOVER_H
#define SHIM_HANDOVER_H

#include "shim.h"

/* Gives the socket a real descriptor on its number; the channel still drives
 * it. 0 or -errno. */
int vs_materialise(struct vsock *vs, enum stat_id reason);

/* The same for all that the calling thread drives, as far as possible. */
void vs_materialise_all(struct thread *th, enum stat_id reason);

/* Nothing in flight, nothing queued to send, all that the kernel gave us is
 * in the receive queue: false when output could not all go out now. */
bool vs_quiesce(struct vsock *vs);

/* Gives it back for good. While output is queued or bytes that were read ahead
 * are left it is the kernel's and not yet gone (leftover.h). A listener is
 * given when what it accepted is taken.
 * 1 when *vs* is gone, 0 when steps are left (vs_update() takes them), or
 * -errno when there is no descriptor to be had. */
int vs_give_back(struct vsock *vs, enum stat_id reason);

/* The first step of that, for vs_update(): 0 or -errno. */
int vs_give_start(struct vsock *vs, enum stat_id reason);

/* Down: takes the next step of a handover under way. True when the socket is
 * the kernel's and *vs* is gone. */
bool vs_give_step(struct vsock *vs);

/* The same from any thread, so that the kernel's sets report it when we are
 * back, bytes in memory included (leftover.h). The lock may be given up
 * meanwhile: *vs* may be gone. 0, or -EBUSY when its owner does not answer. */
int vs_give_now(struct vsock *vs, enum stat_id reason);

/* Of a given socket: ends it here when nothing is left. True: *vs* is gone. */
bool vs_settle(struct vsock *vs);

/* The error that a receive of ours met before the socket was given back, which
 * the kernel has told: -errno for this call, 0 when there is none. *vs* may be
 * gone then. */
long vs_given_error(struct vsock *vs);

/* A receive of a given socket is still in its owner's ring, and may take bytes
 * at any time while the owner is there: those come first. 0, or what the call
 * returns, SHIM_PASS when *vs* is gone. Gives up the lock. */
long vs_end_receive(struct vsock *vs);

/* Of a given socket whose receive is still in its owner's ring: until it has
 * ended there, what it brings must be read first. 0, -EBADF when *vs* is gone
 * meanwhile, -EBUSY. Gives up the lock. */
int vs_wait_rx(struct vsock *vs);

/* Of a listener that is to be closed: until no request of its owner, which
 * sleeps, holds it open. The rest as above. */
int vs_wait_accepts(struct vsock *vs);

/* Down, by the owner: what is still in the ring of a given socket. */
void vs_given_update(struct vsock *vs);

/* The process ends and the program has not read all: the kernel, which does
 * not know of it, must end the connection with a reset. */
void vs_end_unread(struct vsock *vs);

#endif
