/* SPDX-License-Identifier: MIT */
/*
 * Description: what call_fuzz.c knows of the kernel.
 *
 * Connections with their two streams of bytes, entries of sets, readiness in
 * the order of tcp_poll(); edges as ep_poll_callback() counts them: something
 * arrived since the last report, then all that is true is reported. The trace
 * of the calls so far is kept for the failure.
 */
#ifndef CALL_MODEL_H
#define CALL_MODEL_H

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNS 5
#define SETS 2
#define LISTENER 0xfeedull
#define OUTSTANDING 24576	/* always fits into the kernel's buffers */
#define EXCLUSIVE_WITH                                                     \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP |         \
	 EPOLLET | EPOLLEXCLUSIVE)
#define POLL_WANTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

enum state { FREE, PENDING, OPEN, SERVER_CLOSED };

struct entry {
	int fd;			/* the number it was added by, -1: none */
	bool orphan;		/* ... which was closed, a copy was not */
	bool armed, edge;
	bool seen;		/* reported in this wait */
	uint32_t got;		/* ... or parts of it */
	bool told_room;		/* EPOLLOUT was reported */
	uint32_t events;
};

struct conn {
	enum state state;
	int fd[2], peer;
	size_t sent[2], read[2];	/* to the server, to the peer */
	size_t visible;		/* sent to the server when it was told */
	bool peer_fin, peer_reset, error, shut_rd, shut_wr;
	bool linger;		/* SO_LINGER {1, 0}: a reset at close */
	struct entry ent[SETS];
	unsigned int serial;
};

struct world {
	int lfd, ep[SETS], pending;
	int outer;		/* a set that has the first one, -1: none */
	int null, file, pipe[2], pair[2];	/* of other kinds */
	bool threads;		/* there are two */
	bool forked;
	bool told;		/* the listener was reported in this wait */
	unsigned int serial;
	struct sockaddr_in addr;
	struct conn conn[CONNS];
};

/* --- trace and failure ----------------------------------------------- */

#define LINES 512
static char lines[LINES][120];
static unsigned int line_count;
static unsigned long world_seed, state_of_draw;

__attribute__((format(printf, 1, 2))) static void TRACE(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(lines[line_count++ % LINES], sizeof(lines[0]), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3), noreturn)) static void
fail(int line, const char *fmt, ...)
{
	unsigned int i = line_count > LINES ? line_count - LINES : 0;
	va_list ap;

	for (; i < line_count; i++)
		printf("%s\n", lines[i % LINES]);
	printf("line %d: ", line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\nrepeat: call_fuzz 0 %lu\n", world_seed);
	fflush(stdout);
	_exit(1);
}

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond))                                              \
			fail(__LINE__, __VA_ARGS__);                      \
	} while (0)
#define MUST(call)                                                        \
	({                                                                \
		int r_ = (call);                                          \
		CHECK(r_ >= 0, "%s: errno %d", #call, errno);             \
		r_;                                                       \
	})

/* --- chance ---------------------------------------------------------- */

static unsigned int draw(unsigned int below)
{
	state_of_draw = state_of_draw * 6364136223846793005ul +
			1442695040888963407ul;
	return (unsigned int)(state_of_draw >> 33) % below;
}

static void model_seed(unsigned long seed)
{
	world_seed = seed;
	state_of_draw = seed * 2862933555777941757ul + 3037000493ul;
	line_count = 0;
	draw(2);
}

static size_t draw_size(size_t max)
{
	static const size_t odd[] = { 1, 2, 100, 1460, 4095, 4096, 4097, 8192 };

	if (draw(3))
		return odd[draw(sizeof(odd) / sizeof(odd[0]))];
	return 1 + draw((unsigned int)max);
}

static uint32_t draw_events(void)
{
	uint32_t events = 0;

	events |= draw(5) ? EPOLLIN : 0;
	events |= draw(3) ? 0 : EPOLLOUT;
	events |= draw(3) ? 0 : EPOLLRDHUP;
	events |= draw(3) ? 0 : EPOLLET;
	events |= draw(4) ? 0 : EPOLLONESHOT;
	if (draw(10))
		return events;
	/* Half of them as the kernel wants them. */
	events |= EPOLLEXCLUSIVE;
	return draw(2) ? events : events & EXCLUSIVE_WITH;
}

/* --- connections ----------------------------------------------------- */

static void model_open(struct world *w)
{
	int i;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < CONNS; i++)
		w->conn[i] = (struct conn){ .peer = -1, .fd = { -1, -1 } };
}

static int index_of(const struct world *w, const struct conn *c)
{
	return (int)(c - w->conn);
}

/* One of those in a state, by chance; NULL when there is none. */
static struct conn *conn_in(struct world *w, enum state state)
{
	unsigned int first = draw(CONNS), i;

	for (i = 0; i < CONNS; i++) {
		struct conn *c = &w->conn[(first + i) % CONNS];

		if (c->state == state)
			return c;
	}
	return NULL;
}

static struct conn *free_conn(struct world *w)
{
	struct conn *c = conn_in(w, FREE);
	int s;

	if (!c)
		return NULL;
	c->serial = ++w->serial;
	for (s = 0; s < SETS; s++)
		c->ent[s].fd = -1;
	return c;
}

static size_t unread(const struct conn *c)
{
	return c->sent[0] - c->read[0];
}

/* Is there room for *n* bytes more than it has not read, in a direction? */
static bool fits(const struct conn *c, int dir, size_t n)
{
	return c->sent[dir] - c->read[dir] + n <= OUTSTANDING;
}

/* What recv() of *n* bytes returns. */
static long want_recv(const struct conn *c, size_t n)
{
	size_t have = unread(c);

	if (have)
		return (long)(have < n ? have : n);
	if (c->error)
		return -ECONNRESET;
	return c->peer_fin || c->peer_reset || c->shut_rd ? 0 : -EAGAIN;
}

static int number_of(const struct conn *c)
{
	return c->fd[0] >= 0 ? c->fd[0] : c->fd[1];
}

static char stream_byte(const struct conn *c, int dir, size_t at)
{
	return (char)(at * 31 + at / 251 + c->serial * 7 + (unsigned int)dir);
}

static void fill_stream(const struct conn *c, int dir, char *buf, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf[i] = stream_byte(c, dir, c->sent[dir] + i);
}

static void peek_stream(const struct conn *c, int dir, const char *buf,
			size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		CHECK(buf[i] == stream_byte(c, dir, c->read[dir] + i),
		      "byte %zu of direction %d is wrong", c->read[dir] + i,
		      dir);
}

static void check_stream(struct conn *c, int dir, const char *buf, size_t n)
{
	peek_stream(c, dir, buf, n);
	c->read[dir] += n;
}

/* --- readiness ------------------------------------------------------- */

static uint32_t ready(const struct conn *c)
{
	bool end = c->peer_fin || c->peer_reset || c->shut_rd;
	uint32_t mask = EPOLLOUT;

	if (end)
		mask |= EPOLLIN | EPOLLRDHUP;
	if (unread(c))
		mask |= EPOLLIN;
	if (c->peer_reset || (end && c->shut_wr))
		mask |= EPOLLHUP;
	if (c->error)
		mask |= EPOLLERR;
	return mask;
}

/* The kernel woke the socket's waiters: with *key*, or 0 for all. */
static void arrived(struct conn *c, uint32_t key)
{
	int s;

	for (s = 0; s < SETS; s++)
		if (!key || c->ent[s].events & key)
			c->ent[s].edge = true;
}

static uint32_t would_report(const struct conn *c, const struct entry *e)
{
	if (!e->armed || (e->events & EPOLLET && !e->edge))
		return 0;
	return ready(c) & (e->events | EPOLLERR | EPOLLHUP);
}

/* An edge that would say once more that there is room, and nothing else: what
 * arrived has been read. Whether the kernel says it depends on whether the
 * bytes came before the last report or after, which nobody can rely on. */
static bool only_room(const struct conn *c, const struct entry *e)
{
	return e->events & EPOLLET && e->told_room &&
	       would_report(c, e) == EPOLLOUT;
}

static void reported(struct entry *e, uint32_t events)
{
	e->told_room |= !!(events & EPOLLOUT);
	e->edge = false;
	e->seen = true;
	if (e->events & EPOLLONESHOT)
		e->armed = false;
}

static uint64_t token(const struct world *w, const struct conn *c, int s)
{
	return (uint64_t)c->serial << 32 | (uint64_t)index_of(w, c) << 8 |
	       (uint64_t)s | 0x8000000000000000ull;
}

static struct conn *conn_of(struct world *w, uint64_t t, int s)
{
	int i;

	for (i = 0; i < CONNS; i++)
		if (w->conn[i].state == OPEN && w->conn[i].ent[s].fd >= 0 &&
		    token(w, &w->conn[i], s) == t)
			return &w->conn[i];
	return NULL;
}

static struct conn *conn_with(struct world *w, int fd)
{
	int i;

	for (i = 0; i < CONNS; i++)
		if (w->conn[i].state == OPEN && number_of(&w->conn[i]) == fd)
			return &w->conn[i];
	return NULL;
}

static void forget_seen(struct world *w, int s)
{
	int i;

	w->told = false;
	for (i = 0; i < CONNS; i++) {
		w->conn[i].ent[s].seen = false;
		w->conn[i].ent[s].got = 0;
	}
}

/* Ends the edges that need not be told, and were not: how many. */
static unsigned int untold(struct world *w, int s)
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < CONNS; i++) {
		struct entry *e = &w->conn[i].ent[s];

		if (w->conn[i].state != OPEN || e->fd < 0 || e->seen ||
		    !only_room(&w->conn[i], e))
			continue;
		e->edge = false;
		n++;
	}
	return n;
}

/* What the set should have reported by now and has not: its name. */
static const char *missing(const struct world *w, int s)
{
	static char name[64];
	int i;

	if (!s && w->pending && !w->told)
		return "the listener";
	for (i = 0; i < CONNS; i++) {
		const struct conn *c = &w->conn[i];
		const struct entry *e = &c->ent[s];

		if (c->state != OPEN || e->fd < 0 || e->seen ||
		    !would_report(c, e) || only_room(c, e))
			continue;
		snprintf(name, sizeof(name), "conn %d: %x", i,
			 would_report(c, e));
		return name;
	}
	return NULL;
}

#endif
