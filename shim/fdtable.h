/* SPDX-License-Identifier: MIT */
/*
 * Which number is what: one pointer per descriptor number.
 *
 * Owns: the table, the anchor file and the free list of reserved numbers.
 * Invariant: a number that stands for a lightweight socket is held in the
 * kernel by a copy of the anchor, so that it can't be given to anything
 * else, and every call that we do not see fails on it with EBADF.
 * Any thread; look-ups take no lock and are safe in signal handlers.
 */
#ifndef SHIM_FDTABLE_H
#define SHIM_FDTABLE_H

#include "shim.h"

/* The kernel's own default ceiling (fs.nr_open). Numbers above are never
 * ours. The table is zero pages until it is used. */
#define FD_TABLE_MAX (1 << 20)

extern void *fd_table[FD_TABLE_MAX];

static inline void *fd_object(int fd)
{
	if (unlikely((unsigned int)fd >= FD_TABLE_MAX))
		return NULL;
	return __atomic_load_n(&fd_table[fd], __ATOMIC_ACQUIRE);
}

static inline void *fd_lookup(int fd, enum obj_kind kind)
{
	void *object = fd_object(fd);

	if (likely(!object) ||
	    __atomic_load_n((uint8_t *)object, __ATOMIC_RELAXED) != kind)
		return NULL;
	return object;
}

static inline void fd_set_object(int fd, void *object)
{
	__atomic_store_n(&fd_table[fd], object, __ATOMIC_RELEASE);
}

/* The number carries a socket that was given back to the kernel. */
void fd_mark_plain(int fd);

/* A connection that must not become ours, as the number is one of several, here
 * or in another process: what is read ahead for it would be missing under the
 * others. True if it is one; listeners may. One that another thread has just
 * adopted stays that: to be looked up again. */
bool fd_mark_kernels(int fd);

/* A set of the kernel's is to watch the TCP socket on this number, or one fewer
 * does: while any does no other set takes it, which would read ahead what that
 * one should report. False: it is a socket of ours by now. */
bool fd_keep(int fd);
void fd_unkeep(int fd);

/* What a number is that just one watches. */
void *fd_kept_once(void);

/* The number becomes *object* unless another thread was first, for whom it is
 * not *was* any more: then false. */
bool fd_claim(int fd, void *was, void *object);

/* It carries a parent's socket that is a member of an inherited set. */
void fd_mark_inherited(int fd);

/* It has become a member, or goes into another set. LIMIT: then it is none of
 * the inherited one. */
void fd_leave_set(int fd);

/* Forgets all such marks, when the number is closed or comes again. */
void fd_unmark(int fd);

/* A number for a lightweight socket: the lowest freed one, or a new copy of
 * the anchor. The number, or -EMFILE, -ENFILE. */
int fd_reserve(void);

/* Takes a reserved number back (its table entry is cleared first). */
void fd_release(int fd);

/* Takes back a number that carries a real descriptor: closes that and holds
 * the number again. */
void fd_release_real(int fd);

/* The program wants this very number (dup2): if it was one of the free held
 * ones it is taken out of the list. It still carries the anchor's copy. */
bool fd_unhold(int fd);

/* Gives all free reserved numbers back to the kernel: how many. */
int fd_trim(void);

/* Moves a descriptor of our own out of the program's way, above its soft
 * limit where the hard limit allows, else into the upper half of it, and
 * marks it. The new number: the old one where every number counts. */
int fd_hide(int fd);
void fd_unhide(int fd);

/* Has this process, or the one it was forked from, such descriptors? While it
 * has none it has no socket of ours. */
bool fd_hidden(void);

/* Marks as ours one that was inherited under its number. */
void fd_mark_private(int fd);

/* In a forked child. */
void fd_table_forked(void);

#endif
