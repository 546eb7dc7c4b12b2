/* SPDX-License-Identifier: MIT */
/*
 * Description: parent and child use, close and end in every order.
 */
#include "../lib/net.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A script of steps, those of the child in small letters, of the parent in
 * capitals: w writes a byte, r reads what the peer wrote, s shuts down for
 * writing, c closes, l accepts and answers a connection, p sleeps a moment
 * in a call, x is _exit() and e exit(), which only the child does.
 */
struct pair {
	struct fix *f;
	int to_child[2], to_parent[2];
	pid_t child;
	int ends;		/* processes that have the connection open */
	bool fin;
	char written;
	char read;
};

static void serve_one(struct fix *f)
{
	int fd;

	net_nonblock(f->lfd, true);
	UNTIL((fd = accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	CHECK_EQ(send(fd, "l", 1, 0), 1);
	MUST(close(fd));
}

static void do_step(struct fix *f, char step, char byte)
{
	char got;

	switch (tolower(step)) {
	case 'w':
		CHECK_EQ(send(f->fd, &byte, 1, 0), 1);
		break;
	case 'r':
		UNTIL(recv(f->fd, &got, 1, 0) == 1);
		CHECK_EQ(got, byte);
		break;
	case 's':
		MUST(shutdown(f->fd, SHUT_WR));
		break;
	case 'c':
		MUST(close(f->fd));
		break;
	case 'l':
		serve_one(f);
		break;
	case 'p':
		usleep(1000);
		break;
	case 'x':
		_exit(0);
	default:
		exit(0);
	}
}

static void be_child(struct pair *p)
{
	char order[2];

	MUST(close(p->f->peer));
	MUST(close(p->to_child[1]));
	MUST(close(p->to_parent[0]));
	while (MUST(read(p->to_child[0], order, 2)) == 2) {
		do_step(p->f, order[0], order[1]);
		CHECK_EQ(write(p->to_parent[1], "k", 1), 1);
	}
	_exit(2);
}

/* What the step means to the peer, before and after. */
static char before(struct pair *p, char step, int *client)
{
	switch (tolower(step)) {
	case 'r':
		peer_write(p->f->peer, &p->read, 1);
		return p->read++;
	case 'l':
		*client = net_client(&p->f->addr);
		break;
	}
	return p->written;
}

static void not_over(struct fix *f)
{
	char byte;

	CHECK_ERRNO(recv(f->peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

static void after(struct pair *p, char step, int client)
{
	char byte;

	switch (tolower(step)) {
	case 'w':
		peer_read(p->f->peer, &byte, 1);
		CHECK_EQ(byte, p->written++);
		break;
	case 's':
		p->fin = true;
		break;
	case 'l':
		peer_expect(client, "l");
		peer_eof(client);
		MUST(close(client));
		break;
	case 'c':
	case 'x':
	case 'e':
		p->ends--;
	}
	if (p->ends && !p->fin)
		not_over(p->f);
	else if (p->ends == 0 || step == 's' || step == 'S')
		peer_eof(p->f->peer);
}

static void parent_step(struct pair *p, char step)
{
	int client = -1;
	char byte = before(p, step, &client);

	do_step(p->f, step, byte);
	if (step == 'C')
		p->f->fd = -1;
	after(p, step, client);
}

static void child_step(struct pair *p, char step)
{
	int client = -1;
	char order[2] = { step, before(p, step, &client) }, byte;

	CHECK_EQ(write(p->to_child[1], order, 2), 2);
	if (step == 'x' || step == 'e') {
		child_ok(p->child);
		p->child = 0;
	} else {
		CHECK_EQ(read(p->to_parent[0], &byte, 1), 1);
	}
	/* A child that has closed ends without a trace. */
	if (strchr("xe", step) && p->f->fd < 0 && !p->ends)
		return;
	after(p, step, client);
}

static void run(struct fix *f, const char *script)
{
	struct pair p = { .f = f, .ends = 2, .written = 'a', .read = 'A' };

	MUST(pipe(p.to_child));
	MUST(pipe(p.to_parent));
	/* Bytes queued at the fork are not the child's to send again. */
	CHECK_EQ(send(f->fd, "a", 1, 0), 1);
	p.child = MUST(fork());
	if (!p.child)
		be_child(&p);
	MUST(close(p.to_child[0]));
	MUST(close(p.to_parent[1]));
	peer_expect(f->peer, "a");
	for (const char *s = script; *s; s++)
		islower(*s) ? child_step(&p, *s) : parent_step(&p, *s);
	MUST(close(p.to_child[1]));
	MUST(close(p.to_parent[0]));
	if (p.child)
		tap_fail(__FILE__, __LINE__, "%s: no end", script);
}

/* Each script on a connection of its own. */
static void run_all(struct fix *f, const char *const *scripts)
{
	for (; *scripts; scripts++) {
		f->fd = server_accept(f, &f->peer, EPOLLIN);
		CHECK_EV(set_next(f->ep, f->fd, 0), 0);
		run(f, *scripts);
		if (f->fd >= 0)
			MUST(close(f->fd));
		MUST(close(f->peer));
		f->fd = f->peer = -1;
	}
}

static void t_child_ends_first(struct fix *f)
{
	run_all(f, (const char *const[]){ "xWRC", "eWRC", "wrxWRC", "WRwrxWC",
					  "rwrweWRC", NULL });
}

static void t_parent_closes_first(struct fix *f)
{
	run_all(f, (const char *const[]){ "Cwrwrx", "Cx", "WCwre", "CwrPsx",
					  NULL });
}

static void t_by_turns(struct fix *f)
{
	run_all(f, (const char *const[]){ "wWwWrRrRxWC", "RrWwPRrWwPCwrx",
					  "PwPrPwPrxWRC", NULL });
}

/* What one of them shuts down is shut down for both. */
static void t_shutdown(struct fix *f)
{
	run_all(f, (const char *const[]){ "sRrxC", "SrRxC", "wSrPrx", NULL });
}

static void t_listener(struct fix *f)
{
	run_all(f, (const char *const[]){ "lLlLxLWRC", "LlPlwrxLC", NULL });
}

static const struct net_case cases[] = {
	{ "the child ends first", t_child_ends_first, BOTH | NOCONN },
	{ "the parent closes first", t_parent_closes_first, BOTH | NOCONN },
	{ "by turns", t_by_turns, BOTH | NOCONN },
	{ "shutdown() by either", t_shutdown, BOTH | NOCONN },
	{ "both accept", t_listener, BOTH | NOCONN },
};

NET_MAIN(cases)
