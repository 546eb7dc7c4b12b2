/* SPDX-License-Identifier: MIT */
/*
 * Description: calls of call_fuzz.c on sets, and poll() and select().
 */
#ifndef CALL_SETS_H
#define CALL_SETS_H

#include "call_io.h"

#include <sys/select.h>
#include <time.h>

/* --- epoll_ctl ------------------------------------------------------- */

static int want_ctl(const struct entry *e, int op, uint32_t events)
{
	bool there = e->fd >= 0;

	if (op == EPOLL_CTL_DEL)
		return there ? 0 : ENOENT;
	if (events & EPOLLEXCLUSIVE &&
	    (op == EPOLL_CTL_MOD || events & ~(uint32_t)EXCLUSIVE_WITH))
		return EINVAL;
	if (op == EPOLL_CTL_ADD)
		return there ? EEXIST : 0;
	if (!there)
		return ENOENT;
	return e->events & EPOLLEXCLUSIVE ? EINVAL : 0;
}

static void op_ctl(struct conn *c)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD,
				   EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	int s = draw(SETS), op = ops[draw(5)], fd = number_of(c), want;
	struct entry *e = &c->ent[s];
	struct epoll_event ev = { .events = draw_events() };
	int got;

	/* The model keeps one entry for each socket and set. */
	if ((e->fd >= 0 && e->fd != fd) || e->orphan)
		return;
	ev.data.u64 = token(&w, c, s);
	want = want_ctl(e, op, ev.events);
	got = epoll_ctl(w.ep[s], op, fd, &ev) ? errno : 0;
	TRACE("epoll_ctl(set %d, %d, conn %d fd %d, %x) = %d", s, op,
	      index_of(&w, c), fd, ev.events, got);
	CHECK(got == want, "epoll_ctl: errno %d, want %d", got, want);
	if (got)
		return;
	if (op == EPOLL_CTL_DEL)
		*e = (struct entry){ .fd = -1 };
	else
		*e = (struct entry){ .fd = fd, .events = ev.events,
				     .armed = true, .edge = true };
}

/* --- epoll_wait ------------------------------------------------------ */

static void take_event(int s, int tries, const struct epoll_event *ev)
{
	struct conn *c = conn_of(&w, ev->data.u64, s);
	struct entry *e;
	uint32_t want;

	if (tries < 3)
		TRACE("  event %x token %llx", ev->events,
		      (unsigned long long)ev->data.u64);
	if (ev->data.u64 == LISTENER) {
		CHECK(!s && w.pending && ev->events == EPOLLIN,
		      "listener reports %x", ev->events);
		w.told = true;
		return;
	}
	CHECK(c, "token %llx is of no entry", (unsigned long long)ev->data.u64);
	e = &c->ent[s];
	if (ev->events & EPOLLIN)
		c->visible = c->sent[0];
	/* The kernel may wake waiters for less (acknowledged bytes), and so
	 * does adding a socket to its set again: true, but told once more. */
	if (e->armed && e->events & EPOLLET && !e->edge) {
		e->edge = true;
		odd.again++;
	}
	want = would_report(c, e);
	/* LIMIT: an error that the library has taken from the kernel is told by
	 * the next call and SO_ERROR, not by the kernel's sets. */
	if (c->error && ev->events == (want & ~(uint32_t)EPOLLERR)) {
		want = ev->events;
		odd.again++;
	}
	/* The library meets the end behind the data before it, piece by piece:
	 * while some is unread, or an error not taken, it may be told by a
	 * later wait, or apart. */
	if (ev->events != want && (unread(c) || c->error) &&
	    !(ev->events & ~want)) {
		e->armed &= !(e->events & EPOLLONESHOT);
		odd.parts++;
		e->got |= ev->events;
		if (e->got == want || e->events & EPOLLET)
			reported(e, ev->events);
		return;
	}
	CHECK(ev->events == want, "event %x, want %x", ev->events, want);
	reported(e, ev->events);
}

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The first look: sometimes with time, which must pass when there is nothing,
 * and must not when there is something. */
static int wait_some(int ep, struct epoll_event *ev, int max, bool expected)
{
	long before = now_us(), passed;
	int ms, n;

	if (draw(12))
		return epoll_wait(ep, ev, max, 0);
	ms = expected ? 5000 : 3;
	n = draw(2) ? epoll_wait(ep, ev, max, ms) :
		      epoll_pwait(ep, ev, max, ms, NULL);
	passed = now_us() - before;
	CHECK(n || passed >= ms * 1000, "%d ms took %ld us", ms, passed);
	CHECK(!n || passed < 1000000, "what is there took %ld us", passed);
	return n;
}

static void op_wait(void)
{
	int s = draw(SETS), max = draw(3) ? 8 : 1 + draw(2), n, i, tries;
	struct epoll_event ev[8];

	forget_seen(&w, s);
	for (tries = 0; tries < SETTLE_TRIES; tries++) {
		n = tries ? epoll_wait(w.ep[s], ev, max, 0) :
			    wait_some(w.ep[s], ev, max, missing(&w, s));
		if (tries < 3)
			TRACE("epoll_wait(set %d, %d) = %d", s, max, n);
		CHECK(n >= 0 && n <= max, "epoll_wait: errno %d", errno);
		for (i = 0; i < n; i++)
			take_event(s, tries, &ev[i]);
		if (n == max)
			return;
		if (!missing(&w, s)) {
			odd.untold += untold(&w, s);
			return;
		}
		odd.late += !tries;
		usleep(1000);
	}
	CHECK(0, "set %d never reports %s", s, missing(&w, s));
}

/* A set that has the first one; polled too. */
static void op_outer(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = LISTENER };
	struct pollfd p = { .fd = w.ep[0], .events = POLLIN };
	bool want, polled = draw(2);
	int tries, n;

	if (w.outer < 0) {
		if (draw(40))
			return;
		w.outer = MUST(epoll_create1(EPOLL_CLOEXEC));
		MUST(epoll_ctl(w.outer, EPOLL_CTL_ADD, w.ep[0], &ev));
		TRACE("set 0 is in another");
	}
	forget_seen(&w, 0);
	want = missing(&w, 0);
	for (tries = 0; tries < SETTLE_TRIES; tries++) {
		n = MUST(polled ? poll(&p, 1, 0) :
				  epoll_wait(w.outer, &ev, 1, 0));
		/* More than is new: as in take_event(). */
		odd.again += n && !want;
		if (n || !want)
			break;
		odd.late += !tries;
		usleep(1000);
	}
	TRACE("the outer set: %d", n);
	CHECK(n >= want, "the outer set never reports %s", missing(&w, 0));
}

/* --- poll and select ------------------------------------------------- */

static int fill_polls(struct pollfd *p, uint32_t *want)
{
	struct conn *c;
	int n = 0;

	for (c = w.conn; c < w.conn + CONNS; c++) {
		if (c->state != OPEN || !draw(3))
			continue;
		want[n] = ready(c) & (POLL_WANTS | EPOLLERR | EPOLLHUP);
		p[n].events = POLL_WANTS;
		if (!draw(3)) {
			p[n].events = POLLIN;
			want[n] &= EPOLLIN | EPOLLERR | EPOLLHUP;
		}
		p[n++].fd = number_of(c);
	}
	p[n] = (struct pollfd){ .fd = w.pipe[draw(2)],
				.events = POLLIN | POLLOUT };
	want[n] = p[n].fd == w.pipe[1] ? POLLOUT : 0;
	return n + 1;
}

static bool as_wanted(const struct pollfd *p, const uint32_t *want, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if ((uint32_t)p[i].revents != want[i])
			return false;
	return true;
}

static void op_poll(void)
{
	struct pollfd p[CONNS + 1];
	uint32_t want[CONNS + 1];
	int n, i, tries = 0;

	if (draw(5))
		return;		/* it gives sockets back: not always */
	n = fill_polls(p, want);
	do {
		MUST(poll(p, (nfds_t)n, 0));
		if (as_wanted(p, want, n))
			break;
		odd.late += !tries;
		usleep(1000);
	} while (++tries < SETTLE_TRIES);
	for (i = 0; i < n; i++) {
		struct conn *c = conn_with(&w, p[i].fd);

		if (c)
			c->visible = c->sent[0];
		TRACE("poll(fd %d, %x) = %x", p[i].fd, p[i].events,
		      p[i].revents);
		CHECK((uint32_t)p[i].revents == want[i],
		      "poll: got %x, want %x", p[i].revents, want[i]);
	}
}

static void op_select(struct conn *c)
{
	int fd = number_of(c), tries = 0, n, wants;
	struct timeval zero = { 0, 0 };
	bool in;
	fd_set rd, wr;

	if (draw(8))
		return;
	in = ready(c) & (EPOLLIN | EPOLLHUP | EPOLLERR);
	wants = in + 2;
	do {
		FD_ZERO(&rd);
		FD_ZERO(&wr);
		FD_SET(fd, &rd);
		FD_SET(w.pipe[0], &rd);
		FD_SET(fd, &wr);
		FD_SET(w.pipe[1], &wr);
		n = MUST(select(64, &rd, &wr, NULL, &zero));
		if (n == wants)
			break;
		odd.late += !tries;
		usleep(1000);
	} while (++tries < SETTLE_TRIES);
	TRACE("select(conn %d) = %d", index_of(&w, c), n);
	c->visible = c->sent[0];
	CHECK(n == wants && !!FD_ISSET(fd, &rd) == in && FD_ISSET(fd, &wr) &&
	      FD_ISSET(w.pipe[1], &wr), "select: %d, want %d", n, wants);
}

#endif
