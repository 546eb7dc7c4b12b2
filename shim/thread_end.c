/* SPDX-License-Identifier: MIT */
/*
 * The end of a thread, and of the process: sockets go back to the kernel, what
 * is queued goes out.
 *
 * Owns: nothing. See thread.h. Called by: thread, init, proc.
 */
#include "epset.h"
#include "handover.h"
#include "listener.h"
#include "thread.h"
#include "vsock.h"

/* A socket that is still to be given back. The closing ones only have to end,
 * and what was asked to go in a hurry goes with the next flush. */
static struct vsock *first_to_give(const struct thread *th)
{
	struct list *node;

	for (node = th->socks.next; node != &th->socks; node = node->next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		if (vs->life < VS_CLOSING && vs->depth != DEPTH_GIVEN &&
		    !(vs->giving && vs->hurry))
			return vs;
	}
	return NULL;
}

/* Each look at completions may end other sockets: so from the start again. */
static void give_rest(struct thread *th)
{
	struct vsock *vs;

	thread_flush_out(th);
	while ((vs = first_to_give(th)))
		if (vs_give_now(vs, STAT_handover_thread) < 0)
			break;
	thread_flush_out(th);
}

/* The thread ends: its sockets go back to the kernel, its ring ends. */
void thread_ended(void *arg)
{
	struct thread *th = arg;
	struct list *node, *next;

	if (th != self_thread || !th->ch || !lock_take(&th->lock))
		return;
	for (node = th->sets.next; node != &th->sets; node = next) {
		struct epset *set = list_entry(node, struct epset, owned);

		next = node->next;
		ep_make_plain(set, STAT_handover_thread);
	}
	give_rest(th);
	if (list_empty(&th->socks))
		thread_close_channel(th);
	lock_give(&th->lock);
}

/* --- of the process -------------------------------------------------- */

static bool has_output(struct thread *th)
{
	struct list *node;

	for (node = th->socks.next; node != &th->socks; node = node->next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		if (vs->tx_bytes || vs->tx != SLOT_IDLE ||
		    vs->life == VS_CLOSING)
			return true;
	}
	return false;
}

/* The kernel closes a process's sockets before its parent is told; a ring is
 * taken down later. So sockets without a descriptor are closed here, and
 * listeners stop: the port must be free when we are gone. */
static void close_all(struct thread *th)
{
	struct list *node, *next;

	for (node = th->socks.next; node != &th->socks; node = next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		next = thread_next_sock(th, node);
		if (vs->life == VS_LISTEN)
			listener_leave(vs);
		else if (vs->life == VS_OPEN)
			vs_close(vs);
	}
}

/* Destructors of other libraries may still use a connection, and the kernel
 * ends it with the process: they become what they are without us. */
static void give_all(struct thread *th)
{
	struct list *node;
	struct vsock *vs;

	for (node = th->socks.next; node != &th->socks; node = node->next) {
		vs = list_entry(node, struct vsock, owned);
		if (vs->life == VS_OPEN)
			vs_give_start(vs, STAT_handover_thread);
	}
	while ((vs = first_to_give(th))) {
		if (vs_give_now(vs, STAT_handover_thread) < 0)
			vs_close(vs);
		else if (vs->kind == OBJ_SOCK && vs->life == VS_OPEN)
			vs_end_unread(vs);
	}
	thread_flush_out(th);
}

static void drain_own(struct thread *th, int64_t deadline, bool last)
{
	int64_t left;

	if (last)
		close_all(th);
	for (;;) {
		thread_flush_out(th);
		left = deadline - sys_now_ns();
		if (!has_output(th) || left <= 0)
			return;
		thread_wait(th, left, NULL);
	}
}

/* The owner sleeps in epoll_wait() or runs: woken, it flushes. */
static void drain_foreign(struct thread *th, int64_t deadline)
{
	const struct timespec tick = { 0, 1000000 };

	while (has_output(th) && sys_now_ns() < deadline) {
		thread_wake(th);
		lock_give(&th->lock);
		sys_call3(SYS_nanosleep, &tick, NULL, 0);
		lock_take(&th->lock);
	}
}

void thread_give_all(void)
{
	struct thread *th = self_thread;

	shim_ending = true;
	if (!th || !th->ch || !lock_take(&th->lock))
		return;
	give_all(th);
	lock_give(&th->lock);
}

void thread_drain(bool all, bool last)
{
	int64_t deadline = sys_now_ns() + opts.linger_ms * 1000000ll;
	struct list *node;

	for (node = shim_threads.next; node != &shim_threads;
	     node = node->next) {
		struct thread *th = list_entry(node, struct thread, all);

		if (!th->ch || (!all && th != self_thread) ||
		    !lock_take(&th->lock))
			continue;
		if (th == self_thread)
			drain_own(th, deadline, last);
		else
			drain_foreign(th, deadline);
		lock_give(&th->lock);
	}
}
