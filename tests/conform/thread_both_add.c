/* SPDX-License-Identifier: MIT */
/*
 * Description: two threads put one connection into their sets at once.
 *
 * As proxies do with an idle connection: a thread takes it and adds it while
 * the other, which had it, first waits. Both sets must tell of what comes. Or
 * the other copies it meanwhile.
 */
#include "../lib/net.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 1500

struct pair {
	_Atomic int met;
	struct sockaddr_in addr;
	int listener, fd, peer;
	int copy;		/* what the first reads from */
	bool fresh;		/* the second's set is made for each round */
	bool dup;		/* the first copies it and has it in no set */
};

struct worker {
	struct pair *pair;
	int ep, listener, steps;
	bool first;
};

/* Both go on at the same moment: nobody sleeps. */
static void meet(struct worker *w)
{
	w->pair->met++;
	w->steps += 2;
	while (w->pair->met < w->steps)
		sched_yield();
}

static void make_set(struct worker *w, bool wait)
{
	w->ep = MUST(epoll_create1(0));
	set_add(w->ep, w->listener, EPOLLIN);
	if (wait)
		CHECK_EV(set_next(w->ep, w->listener, 0), 0);
}

static void make_connection(struct pair *p)
{
	p->peer = net_client(&p->addr);
	p->fd = MUST(accept4(p->listener, NULL, NULL, SOCK_NONBLOCK));
	p->copy = p->fd;
}

static void end_connection(struct pair *p)
{
	if (p->dup)
		MUST(close(p->copy));
	MUST(close(p->fd));
	MUST(close(p->peer));
}

static void copy_it(struct pair *p)
{
	p->copy = MUST(dup(p->fd));
}

/* The first adds it; the second, too, or waits for the first time. */
static void add(struct worker *w)
{
	struct pair *p = w->pair;
	struct epoll_event ev;

	if (!w->first && p->fresh) {
		make_set(w, false);
		set_add(w->ep, p->fd, EPOLLIN);
	}
	meet(w);
	if (w->first && p->dup)
		copy_it(p);
	else if (w->first || !p->fresh)
		set_add(w->ep, p->fd, EPOLLIN);
	else
		CHECK_EQ(MUST(epoll_wait(w->ep, &ev, 1, 0)), 0);
	meet(w);
}

static void told(struct worker *w)
{
	struct pair *p = w->pair;
	char buf[16];

	if (w->first)
		peer_write(p->peer, "0123456789", 10);
	if (!w->first || !p->dup)
		CHECK_EV(set_wait(w->ep, p->fd, EPOLLIN), EPOLLIN);
	meet(w);
	if (w->first) {
		CHECK_EQ(recv(p->copy, buf, sizeof(buf), 0), 10);
		CHECK(!memcmp(buf, "0123456789", 10));
	}
	meet(w);
	if (!w->first || !p->dup) {
		CHECK_EV(set_next(w->ep, p->fd, 0), 0);
		set_del(w->ep, p->fd);
	}
	meet(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pair *p = w->pair;
	bool fresh = !w->first && p->fresh;
	struct sockaddr_in addr;

	w->listener = net_listen(&addr, 8);
	net_nonblock(w->listener, true);
	if (!fresh)
		make_set(w, true);
	for (int round = 0; round < ROUNDS; round++) {
		if (w->first)
			make_connection(p);
		meet(w);
		add(w);
		told(w);
		if (w->first)
			end_connection(p);
		if (fresh)
			MUST(close(w->ep));
	}
	if (!fresh)
		MUST(close(w->ep));
	MUST(close(w->listener));
	return NULL;
}

static void both(bool fresh, bool dup)
{
	struct pair p = { .fresh = fresh, .dup = dup };
	struct worker w[2] = { { .pair = &p, .first = true }, { .pair = &p } };
	pthread_t threads[2];

	p.listener = net_listen(&p.addr, 8);
	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(work, &w[i]);
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	MUST(close(p.listener));
}

static void t_both_add(struct fix *f)
{
	(void)f;
	both(false, false);
}

static void t_first_wait(struct fix *f)
{
	(void)f;
	both(true, false);
}

static void t_dup(struct fix *f)
{
	(void)f;
	both(false, true);
}

static void t_dup_first_wait(struct fix *f)
{
	(void)f;
	both(true, true);
}

static const struct net_case cases[] = {
	{ "both add it", t_both_add, BARE },
	{ "one adds it, the other first waits", t_first_wait, BARE },
	{ "one copies it, the other adds it", t_dup, BARE },
	{ "one copies it, the other first waits", t_dup_first_wait, BARE },
};

NET_MAIN(cases)
