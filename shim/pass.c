/* SPDX-License-Identifier: MIT */
/* See pass.h. */
#include <string.h>

#include "entry.h"
#include "handover.h"
#include "listener.h"
#include "pass.h"
#include "user.h"
#include "vsock.h"

/* This process has passed a connection: what it receives may be its own. */
static bool any_passed;

/* What is no connection of ours: it must not become one, under this number.
 * False: it has before. */
static bool pass_other(int fd)
{
	if (fd_lookup(fd, OBJ_PARTITION))
		partition_pass(fd_object(fd));
	else if (fd_mark_kernels(fd))
		__atomic_store_n(&any_passed, true, __ATOMIC_RELAXED);
	return !fd_lookup(fd, OBJ_SOCK);
}

static void pass_number(int fd)
{
	struct vsock *vs;
	struct thread *th;
	long ret = SHIM_PASS;

	partition_passed(fd);
	do {
		vs = fd_lookup(fd, OBJ_SOCK) ? entry_lock(fd, &ret) : NULL;
	} while (!vs && !pass_other(fd) && ret == SHIM_PASS);
	if (!vs)
		return;
	th = vs->th;
	if (vs->listener && vs->listener->part)
		partition_pass(vs->listener->part);
	else if (vs->listener)
		listener_share(vs);
	if (!vs->listener) {
		__atomic_store_n(&any_passed, true, __ATOMIC_RELAXED);
		/* A receive in the ring of another thread would take what the
		 * receiver should read. */
		if (vs_mine(vs))
			vs_give_back(vs, STAT_handover_pass);
		else
			vs_give_now(vs, STAT_handover_pass);
		if (fd_object(fd) == (void *)vs)
			vs->shared = true;
	}
	lock_give(&th->lock);
}

static void for_each(const struct msghdr *msg, void (*what)(int fd))
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		size_t i, n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			what(fd);
		}
	}
}

void pass_before(const struct msghdr *msg)
{
	if (user_bad(msg, sizeof(*msg)) || likely(!msg->msg_controllen) ||
	    shim_off || !shim_alive ||
	    user_bad(msg->msg_control, msg->msg_controllen))
		return;
	for_each(msg, pass_number);
}

static void note_received(int fd)
{
	fd_mark_kernels(fd);
}

void pass_after(const struct msghdr *msg)
{
	if (likely(!msg->msg_controllen) || shim_off || !shim_alive ||
	    !__atomic_load_n(&any_passed, __ATOMIC_RELAXED))
		return;
	for_each(msg, note_received);
}
