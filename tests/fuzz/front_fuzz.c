/* SPDX-License-Identifier: MIT */
/*
 * Description: handles of the paper's interface on a fake ring against queues.
 *
 * front_fuzz SECONDS SEED. An episode makes handles, sockets and files, does
 * random things with them, lets the fake kernel complete any request with any
 * result, closes or unregisters all and lets everything finish. Checked on the
 * way: the order of completions of each direction, results that fit what the
 * kernel did, bytes written in order, one read and one write in flight, no
 * close while something is, silence after unregister. At the end every request
 * was answered, and all buffers are back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../core/megapipe.h"
#include "../fake/fake.h"
#include "../unit/unit.h"

#define HANDLES 6
#define DEEP 512
#define HELD 64

/* What is expected of one handle. */
struct model {
	struct mp_handle *h;
	bool file, closing, streaming;
	bool lost;			/* an error took bytes with it */
	unsigned char asked[DEEP];	/* kinds of tx requests, in order */
	unsigned int size[DEEP];
	unsigned int head, tail, reads;
	uint64_t put, sent;		/* bytes asked to write, taken */
};

static struct mp_channel *ch;
static struct model model[HANDLES];
static unsigned int held[HELD], holds;
static uint64_t random_state;
static unsigned long steps;
static char bytes[1 << 16];
static char sink[4096];

static unsigned int pick(unsigned int n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned int)(random_state >> 33) % n;
}

/* Descriptors 100 + n are sockets, 200 + n files. */
static void begin(unsigned int n)
{
	struct model *m = &model[n];

	memset(m, 0, sizeof(*m));
	m->file = pick(3) == 0;
	CHECK_EQ(mp_register(ch, (m->file ? 200 : 100) + (int)n, m, NULL,
			     &m->h), 0);
}

static void ask(struct model *m, enum mp_op op, unsigned int size)
{
	m->asked[m->tail % DEEP] = (unsigned char)op;
	m->size[m->tail++ % DEEP] = size;
}

/* --- what the program does ------------------------------------------------ */

static void do_write(struct model *m)
{
	static struct iovec iov[DEEP][3];
	struct iovec *v = iov[(m - model) * 64 + m->tail % 64];
	unsigned int i, size = 1 + pick(300), at = (unsigned int)(m->put % 251);

	if (m->tail - m->head >= 60)
		return;
	if (pick(3)) {
		CHECK_EQ(mp_write(m->h, bytes + at, size), 0);
	} else {
		for (i = 0; i < 3; i++)
			v[i] = (struct iovec){ bytes + at + size / 3 * i,
					       size / 3 };
		v[2].iov_len = size - size / 3 * 2;
		CHECK_EQ(mp_writev(m->h, v, 3), 0);
	}
	m->put += size;
	ask(m, MP_OP_WRITE, size);
}

static void do_read(struct model *m)
{
	if (m->reads >= 20 || m->streaming)
		return;
	if (!m->file && !m->reads && pick(3) == 0) {
		CHECK_EQ(mp_read_stream(m->h), 0);
		m->streaming = true;
		return;
	}
	CHECK_EQ(mp_read(m->h, sink, 1 + pick(100)), 0);
	m->reads++;
}

static void release(unsigned int keep)
{
	while (holds > keep)
		CHECK_EQ(mp_buffer_release(ch, held[--holds]), 0);
}

static void check_tx(struct model *m, const struct mp_completion *c)
{
	unsigned int size = m->size[m->head % DEEP];

	CHECK(m->head != m->tail);
	CHECK_EQ(m->asked[m->head++ % DEEP], c->op);
	if (c->result > 0)
		CHECK((unsigned int)c->result <= size);
}

static void check_completion(const struct mp_completion *c)
{
	struct model *m = c->cookie;

	CHECK(m->h == c->handle);
	switch (c->op) {
	case MP_OP_WRITE:
		check_tx(m, c);
		break;
	case MP_OP_READ:
		CHECK(m->reads-- > 0);
		break;
	case MP_OP_READ_STREAM:
		CHECK(m->streaming);
		m->streaming = c->more;
		CHECK_EQ(c->more, c->result > 0);
		if (c->result > 0)
			held[holds++] = c->buffer;
		if (holds == HELD)
			release(HELD / 2);
		break;
	case MP_OP_CLOSE:
		CHECK(m->closing && !m->reads && !m->streaming);
		CHECK_EQ(m->head, m->tail);
		m->h = NULL;
		break;
	default:
		CHECK(!"a completion of this kind");
	}
}

static void dispatch(void)
{
	struct mp_completion c[8];
	int i, n = mp_dispatch_many(ch, c, 1 + pick(8), 0);

	CHECK(n >= 0);
	for (i = 0; i < n; i++)
		check_completion(&c[i]);
}

static void unregister(struct model *m)
{
	if (m->closing)
		return;
	CHECK_EQ(mp_unregister(m->h), 0);
	m->h = NULL;
}

static void act(void)
{
	unsigned int n = pick(HANDLES), what = pick(100);
	struct model *m = &model[n];

	if (!m->h) {
		begin(n);
	} else if (what < 30 && !m->closing) {
		do_write(m);
	} else if (what < 50 && !m->closing) {
		do_read(m);
	} else if (what < 53 && !m->closing) {
		m->closing = true;
		CHECK_EQ(mp_close(m->h), 0);
	} else if (what < 55) {
		unregister(m);
	} else if (what < 60) {
		CHECK_EQ(mp_flush(ch), 0);
	} else if (what < 65) {
		release(pick(HELD));
	} else {
		dispatch();
	}
}

/* --- what the kernel does ------------------------------------------------- */

static struct model *model_of(const struct fake_req *req)
{
	return &model[req->file.fd % 100];
}

/* Bytes follow those that were taken before, from the same place. */
static void check_bytes(struct model *m, const struct fake_req *req)
{
	uint64_t at = m->sent;

	if (m->lost)
		return;
	for (unsigned int i = 0; i < req->parts; i++)
		for (size_t k = 0; k < req->iov[i].iov_len; k++, at++)
			CHECK_EQ(((char *)req->iov[i].iov_base)[k],
				 (char)(at % 251));
}

static void kernel_write(struct fake_req *req)
{
	struct model *m = model_of(req);
	int res = pick(20) ? 1 + (int)pick((unsigned int)req->len) :
			     -ECONNRESET;

	if (m->file && req->op == FAKE_SEND) {
		fake_complete(req, -ENOTSOCK, 0);
		return;
	}
	check_bytes(m, req);
	if (res > 0)
		m->sent += (uint64_t)res;
	else
		m->lost = true;
	fake_sent(req, res, NULL);
}

static void kernel_recv(struct fake_req *req)
{
	struct model *m = model_of(req);

	if (m->file && req->op != FAKE_READ)
		fake_complete(req, -ENOTSOCK, 0);
	else if (req->op != FAKE_RECV)
		fake_fill(req, bytes, pick((unsigned int)req->len + 1));
	else if (pick(10))
		fake_deliver(req, bytes, 1 + pick(64), 0,
			     req->stream && pick(4));
	else
		fake_complete(req, pick(2) ? 0 : -ECONNRESET, 0);
}

/* One read, one write and a close of a file at most, the close alone or
 * behind its write. */
static void check_request(const struct fake_req *req)
{
	unsigned int i, same = 0;

	for (i = 0; i < fake_count(); i++) {
		const struct fake_req *other = fake_nth(i);

		if (other->op == FAKE_CANCEL ||
		    other->file.fd != req->file.fd)
			continue;
		same++;
		if (req->op == FAKE_CLOSE && other != req)
			CHECK(other->link && req->linked);
	}
	CHECK(same <= 2);
}

static void kernel(void)
{
	struct fake_req *req;

	if (!fake_count())
		return;
	req = fake_nth(pick(fake_count()));
	if (!fake_startable(req))
		return;
	check_request(req);
	if (req->op == FAKE_CANCEL)
		fake_cancel(req);
	else if (req->op == FAKE_CLOSE)
		fake_complete(req, 0, 0);
	else if (req->op == FAKE_SEND || req->op == FAKE_WRITE)
		kernel_write(req);
	else
		kernel_recv(req);
}

/* A wait must end: cancels are done, then everything else. */
static void entered(enum fake_enter how)
{
	unsigned int i, n = how == FAKE_WAIT ? 50 : pick(3);

	for (i = 0; i < n; i++)
		kernel();
	while (how == FAKE_WAIT && fake_find(FAKE_CANCEL, 0))
		fake_cancel(fake_find(FAKE_CANCEL, 0));
}

/* --- episodes ------------------------------------------------------------- */

static void finish(void)
{
	unsigned int n, turns = 0;
	bool left = true;

	for (n = 0; n < HANDLES; n++) {
		if (!model[n].h || model[n].closing)
			continue;
		if (pick(3) == 0) {
			unregister(&model[n]);
			continue;
		}
		model[n].closing = true;
		CHECK_EQ(mp_close(model[n].h), 0);
	}
	while (left) {
		CHECK(turns++ < 200000);
		kernel();
		dispatch();
		for (left = false, n = 0; n < HANDLES; n++)
			left |= model[n].h != NULL;
	}
	release(0);
	while (fake_count())
		kernel();
	dispatch();
	CHECK_EQ(fake_lent(), 0);
}

static void episode(void)
{
	const struct mp_options options = { sizeof(options), 1 + pick(8), 16,
					    64, 0 };
	unsigned int i, n = 50 + pick(400);

	fake_reset();
	fake.hold_cancels = pick(2);
	fake.defer = pick(2);
	memset(model, 0, sizeof(model));
	CHECK_EQ(mp_create(&options, &ch), 0);
	fake.on_enter = entered;
	for (i = 0; i < n; i++, steps++) {
		if (pick(2))
			act();
		else
			kernel();
	}
	finish();
	fake.on_enter = NULL;
	CHECK_EQ(mp_destroy(ch), 0);
}

struct limits {
	time_t end;
	uint64_t seed;
	unsigned long episodes;
};

static void run(void *arg)
{
	struct limits *l = arg;

	for (; time(NULL) < l->end; l->seed++, l->episodes++) {
		random_state = l->seed * 0x9e3779b97f4a7c15ull | 1;
		episode();
	}
}

int main(int argc, char **argv)
{
	struct limits l = {
		.end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5),
		.seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1,
	};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i % 251);
	tap_plan(1);
	/* tap_plan() gives two minutes; here an hour may have been asked for. */
	alarm((unsigned int)(l.end - time(NULL)) + 60);
	tap_case("handles against queues", "", run, &l);
	printf("# %lu episodes, %lu steps, last seed %llu\n", l.episodes, steps,
	       (unsigned long long)l.seed);
	return tap_result();
}
