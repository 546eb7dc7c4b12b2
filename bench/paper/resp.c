/* SPDX-License-Identifier: MIT */
/*
 * A store that speaks RESP2 on libmegapipe: PING, GET and SET, pipelined or
 * not. It does what the protocol needs and nothing else: the physical limit
 * beside a real server. Commands are arrays of bulk strings, at most a buffer
 * long.
 *
 *	resp PORT
 *
 * One read and one write are on their way at a time: what arrives while the
 * answers are being sent is answered next.
 */
#include "../../examples/common.h"

#define WORDS 8
#define BUCKETS 65536

struct word {
	const char *at;
	size_t len;
};

struct entry {
	struct entry *next;
	size_t key_len, len;
	char bytes[];		/* the key, then the value */
};

struct conn {
	struct mp_handle *handle;
	int reading, writing, closing;
	size_t from, have;	/* of in: answered, received */
	size_t out_len;
	char in[16384];
	char out[65536];
};

static struct entry *store[BUCKETS];

/* --- the store --- */

static struct entry **find(struct word key)
{
	unsigned int hash = 2166136261u;
	struct entry **e;
	size_t i;

	for (i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.at[i]) * 16777619u;
	for (e = &store[hash % BUCKETS]; *e; e = &(*e)->next)
		if ((*e)->key_len == key.len &&
		    !memcmp((*e)->bytes, key.at, key.len))
			break;
	return e;
}

static int set(struct word key, struct word value)
{
	struct entry **at = find(key), *old = *at, *e;

	e = malloc(sizeof(*e) + key.len + value.len);
	if (!e)
		return -ENOMEM;
	e->next = old ? old->next : NULL;
	e->key_len = key.len;
	e->len = value.len;
	memcpy(e->bytes, key.at, key.len);
	memcpy(e->bytes + key.len, value.at, value.len);
	*at = e;
	free(old);
	return 0;
}

/* --- the protocol --- */

static void put(struct conn *c, const char *text, size_t len)
{
	memcpy(c->out + c->out_len, text, len);
	c->out_len += len;
}

static void say(struct conn *c, const char *text)
{
	put(c, text, strlen(text));
}

static void get(struct conn *c, struct word key)
{
	const struct entry *e = *find(key);

	if (!e) {
		say(c, "$-1\r\n");
		return;
	}
	c->out_len += (size_t)snprintf(c->out + c->out_len, 32, "$%zu\r\n",
				       e->len);
	put(c, e->bytes + e->key_len, e->len);
	say(c, "\r\n");
}

static int is(struct word w, const char *name)
{
	return w.len == strlen(name) && !strncasecmp(w.at, name, w.len);
}

static void answer(struct conn *c, const struct word *w, long n)
{
	if (n == 1 && is(w[0], "PING"))
		say(c, "+PONG\r\n");
	else if (n == 2 && is(w[0], "GET"))
		get(c, w[1]);
	else if (n == 3 && is(w[0], "SET"))
		say(c, set(w[1], w[2]) ? "-ERR no memory\r\n" : "+OK\r\n");
	else
		say(c, "-ERR unknown command\r\n");
}

/* "*3\r\n": the number, and where the next line begins; NULL: not all there. */
static const char *number(const char *at, const char *end, char mark, long *n)
{
	const char *stop = memchr(at, '\n', (size_t)(end - at));

	if (!stop)
		return NULL;
	*n = *at == mark ? strtol(at + 1, NULL, 10) : -1;
	return stop + 1;
}

/* One command: the bytes it took, 0 when more must come, -1 for none. */
static long command(struct conn *c)
{
	const char *start = c->in + c->from, *end = c->in + c->have;
	const char *at = start;
	struct word w[WORDS];
	long n, len, i;

	at = at < end ? number(at, end, '*', &n) : NULL;
	if (!at)
		return 0;
	if (n < 1 || n > WORDS)
		return -1;
	for (i = 0; i < n; i++) {
		at = at < end ? number(at, end, '$', &len) : NULL;
		if (!at)
			return 0;
		if (len < 0 || len > (long)sizeof(c->in))
			return -1;
		if (end - at < len + 2)
			return 0;
		w[i] = (struct word){ at, (size_t)len };
		at += len + 2;
	}
	answer(c, w, n);
	return at - start;
}

static void end(struct conn *c)
{
	if (!c->closing)
		mp_close(c->handle);
	c->closing = 1;
}

/* Answers what is there, as far as the buffer goes; then reads on. */
static void turn(struct conn *c)
{
	long n = 0;

	if (c->closing)
		return;
	while (!c->writing && c->out_len + sizeof(c->in) + 64 < sizeof(c->out) &&
	       (n = command(c)) > 0)
		c->from += (size_t)n;
	if (!c->writing && c->out_len) {
		c->writing = 1;
		mp_write(c->handle, c->out, c->out_len);
	}
	if (c->reading)
		return;
	memmove(c->in, c->in + c->from, c->have - c->from);
	c->have -= c->from;
	c->from = 0;
	if (n < 0 || (c->have == sizeof(c->in) && !c->writing)) {
		end(c);
	} else if (c->have < sizeof(c->in)) {
		c->reading = 1;
		mp_read(c->handle, c->in + c->have, sizeof(c->in) - c->have);
	}
}

static void begin(struct mp_channel *ch, int sock)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c || mp_register(ch, sock, c, NULL, &c->handle) < 0)
		die("register", ENOMEM);
	turn(c);
}

static void complete(struct mp_channel *ch, const struct mp_completion *ev)
{
	struct conn *c = ev->cookie;

	if (ev->op == MP_OP_ACCEPT) {
		if (ev->result >= 0)
			begin(ch, ev->result);
		else if (!ev->more)
			mp_accept(ev->handle, MP_FOREVER, 1);
	} else if (ev->op == MP_OP_CLOSE) {
		free(c);
	} else if (ev->result < 0 || (ev->op == MP_OP_READ && !ev->result)) {
		end(c);
	} else if (ev->op == MP_OP_READ) {
		c->reading = 0;
		c->have += (size_t)ev->result;
		turn(c);
	} else if (ev->op == MP_OP_WRITE) {
		c->writing = 0;
		c->out_len = 0;
		turn(c);
	}
}

int main(int argc, char **argv)
{
	int i, n, fd = listen_on(argc > 1 ? argv[1] : "0"), ret;
	struct mp_channel *ch;
	struct mp_handle *listener;
	struct mp_completion ev[64];

	if ((ret = mp_create(NULL, &ch)) < 0 ||
	    (ret = mp_register(ch, fd, NULL, NULL, &listener)) < 0)
		die("channel", ret);
	mp_accept(listener, MP_FOREVER, 1);
	for (;;) {
		n = mp_dispatch_many(ch, ev, 64, -1);
		for (i = 0; i < n; i++)
			complete(ch, &ev[i]);
	}
}
