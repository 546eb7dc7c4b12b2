/* SPDX-License-Identifier: MIT */
/* See listener.h. */
#include <errno.h>
#include <string.h>

#include "epset.h"
#include "fdtable.h"
#include "handover.h"
#include "leftover.h"
#include "listener.h"
#include "orphan.h"
#include "rx_request.h"
#include "thread.h"
#include "user.h"
#include "view.h"
#include "vsock.h"

/* Requests that may wait at once. More buy nothing: each enter accepts what
 * came meanwhile, and the sockets it brings are set up together. */
#define APPETITE_MAX 32

/* Connections that must have been used on the accepting thread before the
 * next ones get no descriptor. Two, so that a program which accepts on one
 * thread for others is seen as such. */
#define PROOF 2
#define DISPROVEN (-1000000)

int listener_open(struct vsock *vs)
{
	struct listener *l = pool_get(&vs->th->ents_pool);

	if (!l)
		return -ENOMEM;
	memset(l, 0, sizeof(*l));
	list_init(&l->armed);
	list_init(&l->queue);
	l->appetite = 1;
	l->last_fd = -1;
	l->flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	l->vs = vs;
	vs->listener = l;
	list_append(&vs->th->listeners, &l->node);
	return 0;
}

static void free_req(struct thread *th, struct accept_req *req)
{
	list_remove(&req->node);
	if (th->ch)
		chan_unregister(th->ch, req->handle);
	req->kind = OBJ_NONE;
	pool_put(&th->accepts_pool, req);
}

/* What was accepted and can't be delivered any more ends as the kernel ends
 * a connection that is in the queue of a closed listener; but for what a
 * sibling takes over.
 * LIMIT: of a listener of which this process had no part and no child or
 * sibling knew, what is queued when it forks or executes a program is not
 * theirs. */
static void end_result(struct thread *th, struct accept_req *req,
		       struct partition *heirs)
{
	static const struct linger rst = { .l_onoff = 1 };
	int fd = req->result;

	if (fd >= 0 && req->direct)
		fd = chan_call_install(th->ch, req->result);
	if (fd >= 0 && heirs && orphan_give(heirs, fd, &req->addr, req->len)) {
		sys_close(fd);
	} else if (fd >= 0) {
		sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
		sys_close(fd);
	}
	if (req->result >= 0 && req->direct)
		thread_close_slot(th, req->result);
}

static bool has_slot(const struct accept_req *req)
{
	return req->direct && req->result >= 0;
}

static void enter_queue(struct listener *l, struct accept_req *req)
{
	list_append(&l->queue, &req->node);
	l->queued++;
	if (has_slot(req))
		thread_count_lw(l->vs->th, 1);
}

static void leave_queue(struct listener *l, struct accept_req *req)
{
	list_remove(&req->node);
	l->queued--;
	if (has_slot(req))
		thread_count_lw(l->vs->th, -1);
}

static void end_queue(struct vsock *vs, struct partition *heirs)
{
	struct listener *l = vs->listener;

	while (!list_empty(&l->queue)) {
		struct accept_req *req;

		req = list_entry(l->queue.next, struct accept_req, node);
		leave_queue(l, req);
		if (vs->th->ch)
			end_result(vs->th, req, heirs);
		free_req(vs->th, req);
	}
}

void listener_reset_queue(struct vsock *vs)
{
	end_queue(vs, NULL);
}

void listener_pass_on(struct vsock *vs)
{
	struct partition *part = vs->listener->part;

	if (!part || !vs->listener->queued || !vs_mine(vs))
		return;
	end_queue(vs, part);
	/* It may ask for one all the same. */
	part->elsewhere = true;
}

/* As far as there are numbers. */
static void expose(struct vsock *vs)
{
	struct thread *th = vs->th;
	struct list *node;

	for (node = vs->listener->queue.next; node != &vs->listener->queue;
	     node = node->next) {
		struct accept_req *req;
		int fd;

		req = list_entry(node, struct accept_req, node);
		fd = has_slot(req) ? chan_call_install(th->ch, req->result) :
				     -1;
		if (fd < 0)
			continue;
		thread_close_slot(th, req->result);
		thread_count_lw(th, -1);
		req->result = fd;
		req->direct = false;
	}
}

void listener_expose_all(struct thread *th)
{
	struct list *node;

	for (node = th->listeners.next; node != &th->listeners;
	     node = node->next) {
		struct listener *l = list_entry(node, struct listener, node);

		/* The next ones have to show again that they are used here
		 * only. */
		l->proven = 0;
		expose(l->vs);
	}
}

void listener_free(struct vsock *vs)
{
	struct listener *l = vs->listener;

	listener_reset_queue(vs);
	list_remove(&l->node);
	vs->listener = NULL;
	pool_put(&vs->th->ents_pool, l);
}

bool listener_uses_slots(const struct vsock *vs)
{
	return opts.lwsocket != LWSOCKET_OFF &&
	       chan_caps(vs->th->ch)->lwsocket &&
	       vs->listener->proven >= PROOF && thread_has_slot(vs->th);
}

/* The program's socket, or what this process has of it for itself. */
static int armed_sock(const struct vsock *vs)
{
	return vs->listener->part ? partition_sock(vs->listener->part) :
				    vs->fd;
}

static bool arm(struct vsock *vs)
{
	struct listener *l = vs->listener;
	struct accept_req *req = pool_get(&vs->th->accepts_pool);
	int handle;

	if (!req)
		return false;
	memset(req, 0, sizeof(*req));
	handle = chan_register(vs->th->ch, req);
	if (handle < 0) {
		pool_put(&vs->th->accepts_pool, req);
		return false;
	}
	req->kind = OBJ_ACCEPT;
	req->state = SLOT_ARMED;
	req->vs = vs;
	req->handle = (uint32_t)handle;
	req->direct = listener_uses_slots(vs);
	vs->th->slots += req->direct;
	req->flags = SOCK_NONBLOCK | (req->direct ? 0 : SOCK_CLOEXEC);
	list_append(&l->armed, &req->node);
	l->armed_count++;
	chan_accept(vs->th->ch, req->handle, armed_sock(vs), &req->addr,
		    &req->len, req->direct);
	return true;
}

static void cancel_all(struct vsock *vs)
{
	struct list *node;

	for (node = vs->listener->armed.next; node != &vs->listener->armed;
	     node = node->next) {
		struct accept_req *req;

		req = list_entry(node, struct accept_req, node);
		if (req->state != SLOT_ARMED)
			continue;
		chan_cancel(vs->th->ch, req->handle, CHAN_OP_ACCEPT);
		req->state = SLOT_CANCELLING;
	}
}

/* How many requests should wait. An edge-triggered set must hear of each
 * arrival, also while the program has not taken the ones before. */
static unsigned int wanted_requests(const struct vsock *vs)
{
	const struct listener *l = vs->listener;
	const struct epent *e;

	if (l->queued < l->appetite)
		return l->appetite - l->queued;
	for (e = vs->ents; e && l->queued < APPETITE_MAX; e = e->next)
		if (e->events & EPOLLET)
			return 1;
	return 0;
}

bool listener_is_wanted(const struct vsock *vs)
{
	const struct epent *e;

	if (vs->life != VS_LISTEN || vs->listener->stopped || vs->giving ||
	    __atomic_load_n(&shim_leaving, __ATOMIC_RELAXED))
		return false;
	for (e = vs->ents; e; e = e->next)
		if (e->armed && e->events & EPOLLIN)
			return true;
	return false;
}

/* Of either kind. */
static bool is_in_flight(const struct vsock *vs)
{
	return vs->listener->armed_count || vs->rx != SLOT_IDLE;
}

bool listener_update(struct vsock *vs)
{
	struct partition *part = vs->listener->part;
	bool wanted = listener_is_wanted(vs);

	if (!wanted || (part && part->moved) ||
	    (vs->listener->armed_count && !listener_takes_ahead(vs->listener)))
		listener_stop(vs);
	if (!wanted || !listener_takes_ahead(vs->listener))
		listener_pass_on(vs);
	if (part) {
		part->moved = false;
		partition_want(part, wanted);
	}
	return !is_in_flight(vs);
}

static void arm_ahead(struct listener *l)
{
	unsigned int n = wanted_requests(l->vs);

	/* Without memory for a request: with those there are. */
	while (l->armed_count < n && arm(l->vs))
		;
}

void listener_arm_all(struct thread *th, bool sleep)
{
	struct list *node;

	for (node = th->listeners.next; node != &th->listeners;
	     node = node->next) {
		struct listener *l = list_entry(node, struct listener, node);

		if (!listener_is_wanted(l->vs))
			continue;
		if (likely(listener_takes_ahead(l)))
			arm_ahead(l);
		else
			listener_poll(l->vs, sleep);
		if (!l->part)
			continue;
		if (partition_is_own(l->part))
			partition_weigh(l->part, th->held);
		partition_arm(l->part);
	}
}

void listener_hold_all(struct thread *th)
{
	struct list *node;

	for (node = th->listeners.next; node != &th->listeners;
	     node = node->next)
		cancel_all(list_entry(node, struct listener, node)->vs);
}

void listener_complete(struct accept_req *req, const struct chan_event *ev)
{
	struct vsock *vs = req->vs;
	struct listener *l = vs->listener;

	list_remove(&req->node);
	l->armed_count--;
	req->state = SLOT_IDLE;
	req->result = ev->result;
	vs->th->slots -= req->direct && ev->result < 0;
	if (ev->result == -ECANCELED || ev->result == -EINTR ||
	    ev->result == -EAGAIN || ev->result == -EINVAL) {
		/* Not listening any more. */
		l->stopped |= ev->result == -EINVAL;
		free_req(vs->th, req);
	} else {
		/* -ENFILE with a slot means that the table is full: the next
		 * ones are asked for with a descriptor. */
		if (ev->result == -ENFILE && req->direct)
			l->proven = 0;
		enter_queue(l, req);
		if (partition_is_own(l->part) && ev->result >= 0)
			partition_took(l->part);
	}
	if (vs->life != VS_LISTEN) {
		vs_put(vs);
		return;
	}
	vs->in_edge++;
	vs_touch(vs);
	if (unlikely(vs->depth == DEPTH_GIVEN))
		leftover_show(vs);
	ep_notify(vs);
}

void listener_reported(struct vsock *vs)
{
	struct listener *l = vs->listener;

	if (l->streak > l->appetite)
		l->appetite = l->streak < APPETITE_MAX ? l->streak :
							 APPETITE_MAX;
	else if (l->appetite > 1 && l->streak < l->appetite)
		l->appetite--;
	l->streak = 0;
	/* Level: the next wait asks the kernel again. */
	l->polled &= vs->rx != SLOT_IDLE;
}

void listener_copy_name(const struct accept_req *req, struct sockaddr *addr,
		      socklen_t *len)
{
	if (!addr || !len)
		return;
	memcpy(addr, &req->addr, *len < req->len ? *len : req->len);
	*len = req->len;
}

int listener_new_slot(struct vsock *vs, const struct accept_req *req, int fd,
		      int flags)
{
	struct vsock *conn = vs_new(vs->th, VS_OPEN, DEPTH_LW, fd);

	if (!conn) {
		fd_release(fd);
		return -ENOMEM;
	}
	conn->slot = req->result;
	conn->limits = vs->limits;
	conn->nonblock = flags & SOCK_NONBLOCK;
	conn->cloexec = flags & SOCK_CLOEXEC;
	if (req->len <= sizeof(conn->peer)) {
		memcpy(&conn->peer, &req->addr, req->len);
		conn->peer_len = (uint8_t)req->len;
	}
	view_sock_accepted(conn, vs);
	fd_set_object(fd, conn);
	list_append(&vs->th->loose, &conn->loose);
	conn->accepted = true;
	vs->th->held++;
	stat_inc(STAT_accepted);
	stat_inc(STAT_accepted_lw);
	trace2(accept, fd, 1);
	return fd;
}

static int deliver_lw(struct vsock *vs, struct accept_req *req, int flags)
{
	int fd = fd_reserve();

	return fd < 0 ? fd : listener_new_slot(vs, req, fd, flags);
}

static int deliver_fd(struct vsock *vs, struct accept_req *req, int flags)
{
	int fd = req->result;

	if (!(flags & SOCK_NONBLOCK))
		sys_fcntl(fd, F_SETFL, O_RDWR);
	if (!(flags & SOCK_CLOEXEC))
		sys_fcntl(fd, F_SETFD, 0);
	vs->listener->last_fd = fd;
	if (unlikely(fd_object(fd)))
		fd_unmark(fd);
	stat_inc(STAT_accepted);
	trace2(accept, fd, 0);
	return fd;
}

/* Its name can't be told: the kernel ends the connection (do_accept()). For
 * another thread it waits on, as only the owner can enter its ring. */
static int drop_first(struct vsock *vs)
{
	struct accept_req *req;

	if (!vs_mine(vs))
		return -EFAULT;
	req = list_entry(vs->listener->queue.next, struct accept_req, node);
	leave_queue(vs->listener, req);
	end_result(vs->th, req, NULL);
	free_req(vs->th, req);
	vs_touch(vs);
	return -EFAULT;
}

int listener_take(struct vsock *vs, struct sockaddr *addr, socklen_t *len,
		  int flags)
{
	struct listener *l = vs->listener;
	struct accept_req *req;
	int ret;

	if (!l->queued)
		return -EAGAIN;
	req = list_entry(l->queue.next, struct accept_req, node);
	if (unlikely(addr && req->result >= 0 &&
		     (user_bad(len, sizeof(*len)) ||
		      user_bad(addr, (size_t)*len))))
		return drop_first(vs);
	if (addr && len && (int)*len < 0)
		return -EINVAL;
	if (req->result < 0)
		ret = req->result == -ENFILE && req->direct ? -EAGAIN :
							      req->result;
	else if (req->direct)
		ret = deliver_lw(vs, req, flags);
	else
		ret = deliver_fd(vs, req, flags);
	/* Without a free number the connection waits on, as in the kernel. */
	if (req->result >= 0 && ret < 0)
		return ret;
	if (ret >= 0) {
		listener_copy_name(req, addr, len);
		l->streak++;
	}
	leave_queue(l, req);
	free_req(vs->th, req);
	vs_touch(vs);
	return ret;
}

void listener_accepted_fd(struct vsock *vs, int fd)
{
	/* A mark that was left when the number was closed unseen. */
	if (unlikely(fd_object(fd)))
		fd_unmark(fd);
	vs->listener->last_fd = fd;
	vs->listener->streak++;
	if (vs->depth != DEPTH_GIVEN)
		stat_inc(STAT_accepted);
}

struct vsock *listener_of(struct thread *th, int fd)
{
	struct list *node;

	for (node = th->listeners.next; node != &th->listeners;
	     node = node->next) {
		struct listener *l = list_entry(node, struct listener, node);

		if (l->last_fd == fd)
			return l->vs;
	}
	return NULL;
}

void listener_saw_registered(struct vsock *vs)
{
	vs->listener->last_fd = -1;
	vs->listener->proven++;
}

/* The kernel wakes one waiter per connection (poll_exclusive): one that came
 * now may have woken only us. */
static void kick_sharers(struct vsock *vs)
{
	struct partition *part = vs->listener->part;

	/* Number 0 may be somebody's who knows of no other. */
	if ((shim_shared || vs->listener->shared) && !(part && part->mine > 0))
		listener_wake_all(vs->fd);
}

void listener_give_loose(struct thread *th)
{
	struct list *node;

	for (node = th->listeners.next; node != &th->listeners;
	     node = node->next)
		list_entry(node, struct listener, node)->proven = DISPROVEN;
	while ((node = list_pop(&th->loose)))
		vs_give_back(list_entry(node, struct vsock, loose),
			     STAT_handover_thread);
}

void listener_stop(struct vsock *vs)
{
	struct vsock *before = vs->th->busy;

	if (!vs_mine(vs)) {
		vs_touch(vs);
		thread_wake(vs->th);
		return;
	}
	/* The end of its poll must not free a given one under our feet. */
	vs->th->busy = vs;
	/* Those of other listeners as well: what came for them meanwhile would
	 * be in our hands when the program closes them next. */
	while (is_in_flight(vs)) {
		if (vs->rx == SLOT_ARMED)
			rx_cancel(vs);
		listener_hold_all(vs->th);
		chan_flush_reap(vs->th->ch);
		thread_dispatch(vs->th);
	}
	vs->th->busy = before;
	vs->listener->polled = false;
	kick_sharers(vs);
}

void listener_leave(struct vsock *vs)
{
	listener_stop(vs);
	listener_pass_on(vs);
}

void listener_limits_changed(void)
{
	struct thread *th = self_thread;

	if (!th || !th->ch || !*shim_alive || !lock_take(&th->lock))
		return;
	listener_hold_all(th);
	thread_reap_now(th);
	lock_give(&th->lock);
}
