/* SPDX-License-Identifier: MIT */
/*
 * Listeners that other processes may accept from: nothing is taken ahead.
 *
 * The kernel keeps the connection until the program calls accept(); the ring
 * only polls the socket, so that whoever comes first has it, and a process that
 * is busy, waits for a lock or ends has nothing in its hands.
 * Owns: vs->rx of such a listener: its poll. Invariant: one that wakes this
 * process alone (EPOLLEXCLUSIVE) is armed only while the thread sleeps in
 * epoll_wait(), as the kernel's sets pass over those that do not.
 * Called by: listener, vsock, thread, sock, proc. The socket's lock is held.
 */
#include <errno.h>
#include <string.h>

#include "epset.h"
#include "fdtable.h"
#include "listener.h"
#include "rx_request.h"
#include "thread.h"
#include "user.h"
#include "vsock.h"

/* Requests are armed on what was this process's alone and is not any more. */
static bool share(struct thread *th)
{
	struct list *node;
	bool ahead = false;

	for (node = th->listeners.next; node != &th->listeners;
	     node = node->next) {
		struct listener *l = list_entry(node, struct listener, node);

		l->shared = true;
		if (listener_takes_ahead(l) || !l->armed_count)
			continue;
		vs_touch(l->vs);
		ahead = true;
	}
	return ahead;
}

/* LIMIT: what another thread has armed ends when that turns. */
void listener_share_all(struct thread *th)
{
	if (th != self_thread && share(th))
		thread_wake(th);
	while (th == self_thread && share(th)) {
		listener_hold_all(th);
		chan_flush_reap(th->ch);
		thread_dispatch(th);
	}
}

void listener_share(struct vsock *vs)
{
	vs->listener->shared = true;
	if (!listener_takes_ahead(vs->listener) && vs->listener->armed_count)
		listener_stop(vs);
}

/* --- down ------------------------------------------------------------ */

static bool any_edge(const struct vsock *vs)
{
	return !ep_all_level(vs);
}

static bool all_exclusive(const struct vsock *vs)
{
	const struct epent *e;

	for (e = vs->ents; e; e = e->next)
		if (!(e->events & EPOLLEXCLUSIVE))
			return false;
	return true;
}

/* Edge-triggered sets hear of each arrival, once. LIMIT: and so do those with
 * EPOLLEXCLUSIVE, each of them. */
void listener_poll(struct vsock *vs, bool sleep)
{
	struct listener *l = vs->listener;
	bool edge = any_edge(vs);

	if (vs->rx != SLOT_IDLE)
		return;
	l->polled = l->doubt = false;
	l->exclusive = !edge && all_exclusive(vs);
	chan_poll(vs->th->ch, vs->handle, vs_file(vs),
		  EPOLLIN | (l->exclusive ? EPOLLEXCLUSIVE : 0), edge);
	vs->rx = SLOT_ARMED;
	vs->rx_poll = true;
	if (!l->exclusive)
		return;
	vs->th->exclusive = true;
	if (!sleep)
		rx_cancel(vs);	/* behind the look it takes */
}

static bool cancel_exclusive(struct thread *th)
{
	struct list *node;
	bool any = false;

	for (node = th->listeners.next; node != &th->listeners;
	     node = node->next) {
		struct listener *l = list_entry(node, struct listener, node);

		if (!l->exclusive || l->vs->rx != SLOT_ARMED)
			continue;
		rx_cancel(l->vs);
		any = true;
	}
	return any;
}

void listener_withdraw_all(struct thread *th)
{
	th->exclusive = false;
	if (!cancel_exclusive(th))
		return;
	chan_flush_reap(th->ch);
	thread_dispatch(th);
}

/* --- up -------------------------------------------------------------- */

static void note_found(struct vsock *vs, int mask)
{
	struct listener *l = vs->listener;

	/* It tells what woke it, which may have been taken since. */
	if (unlikely(l->doubt) && mask & EPOLLIN) {
		l->doubt = false;
		if (sys_poll_now(vs->fd, POLLIN) <= 0)
			return;
	}
	if (mask & EPOLLIN)
		l->polled = true;
	else
		l->stopped = true;	/* not listening any more */
	vs->in_edge++;
}

/* One that was given back is reported by the kernel's sets, and not settled
 * here: this may be in the middle of listener_stop(). */
void listener_polled(struct vsock *vs, const struct chan_event *ev)
{
	if (!ev->more) {
		vs->rx = SLOT_IDLE;
		vs->rx_poll = false;
	}
	if (vs->life != VS_LISTEN) {
		vs_put(vs);
		return;
	}
	if (ev->result > 0 && vs->depth != DEPTH_GIVEN)
		note_found(vs, ev->result);
	vs_touch(vs);
	ep_notify(vs);
}

/* A level-triggered set asks again before it waits; an edge that was not told
 * yet is told if there are more. */
void listener_taken(struct vsock *vs)
{
	struct listener *l = vs->listener;

	l->doubt |= vs->rx != SLOT_IDLE;
	if (l->polled)
		l->polled = any_edge(vs) && sys_poll_now(vs->fd, POLLIN) > 0;
}

/* shutdown(SHUT_WR) changes nothing on a socket that listens, but wakes all who
 * wait on it, in every process (inet_shutdown(), measured on 6.18). One that
 * does not listen would keep it, and whatever is accepted when it listens again
 * could not send. Of those only a listening one is readable without a hang-up
 * (tcp_poll()). */
void listener_wake_all(int fd)
{
	if (fd < 0 || sys_poll_now(fd, POLLIN) != POLLIN)
		return;
	sys_shutdown(fd, SHUT_WR);
	stat_inc(STAT_listener_kicks);
}

/* --- accept() -------------------------------------------------------- */

static bool can_name(struct sockaddr *addr, const socklen_t *len)
{
	return !addr || (!user_bad(len, sizeof(*len)) && (int)*len >= 0 &&
			 !user_bad(addr, (size_t)*len));
}

long listener_accept_slot(struct vsock *vs, struct sockaddr *addr,
			  socklen_t *len, int flags)
{
	struct accept_req req;
	int fd;

	if (!vs_mine(vs) || vs->depth == DEPTH_GIVEN ||
	    listener_takes_ahead(vs->listener) || !listener_uses_slots(vs) ||
	    !can_name(addr, len))
		return -EOPNOTSUPP;
	fd = fd_reserve();
	if (fd < 0)
		return -EOPNOTSUPP;	/* the kernel says why */
	req.result = chan_call_accept(vs->th->ch, vs->fd, &req.addr, &req.len);
	if (req.result < 0) {
		fd_release(fd);
		if (req.result != -ENFILE)
			return req.result;
		/* The table is full: the next ones get a descriptor. */
		vs->listener->proven = 0;
		return -EOPNOTSUPP;
	}
	vs->th->slots++;
	fd = listener_new_slot(vs, &req, fd, flags);
	if (fd < 0)
		return fd;
	listener_copy_name(&req, addr, len);
	vs->listener->streak++;
	return fd;
}
