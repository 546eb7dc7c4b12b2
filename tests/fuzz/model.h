/* SPDX-License-Identifier: MIT */
/*
 * Description: the fuzzer's kernel and peers: each connection is two byte
 * streams, known by position, and some counters.
 *
 * Included by channel_fuzz.c alone, where the Makefile makes one program of
 * each file.
 */
#ifndef MP_TEST_MODEL_H
#define MP_TEST_MODEL_H

#define CONNS 6
#define BUFFER 4096

struct conn {
	struct vsock *vs;	/* NULL: the program closed it */
	unsigned int id;
	int fd;			/* its number in the program */
	struct chan_file file;
	/* from the peer: sent, given to the channel, given to the program */
	uint64_t arrived, delivered, read;
	bool arrived_left;	/* arrived > delivered, at the last look */
	/* to the peer: taken from the program, taken by the kernel */
	uint64_t written, sent;
	uint64_t direct_pos;
	bool fin, fin_seen;	/* peer's FIN: came; the channel was told */
	bool broken;		/* RST came or a send failed */
	bool rst_told;		/* ... and the channel was told */
	bool closed, must_reset, linger_set, gone;
	bool given;		/* back to the kernel */
	/* what the program knows */
	bool told_eof, told_broken, told_reset;
	bool waits_in, waits_out;
	uint32_t told_in, told_out;
};

static struct thread *th;
static struct conn conns[CONNS];
static uint64_t model_seed, model_random;
static bool finishing;		/* everything ends as soon as it can */

#define CHECK(cond) \
	do { \
		if (!(cond)) \
			model_fail(__FILE__, __LINE__, #cond); \
	} while (0)

__attribute__((noreturn))
static void model_fail(const char *file, int line, const char *what)
{
	printf("not ok - %s:%d: %s\n# repeat: channel_fuzz 60 %llu once\n",
	       file, line, what, (unsigned long long)model_seed);
	fflush(stdout);
	abort();
}

/* xorshift64* */
static uint64_t random_bits(void)
{
	model_random ^= model_random >> 12;
	model_random ^= model_random << 25;
	model_random ^= model_random >> 27;
	return model_random * 0x2545f4914f6cdd1dull >> 16;
}

static size_t below(size_t n)
{
	return random_bits() % n;
}

static char stream_byte(unsigned int id, uint64_t pos)
{
	uint64_t x = (pos + 1) * 0x9e3779b97f4a7c15ull ^ id;

	return (char)(x >> 29 ^ x >> 47);
}

static void stream_fill(char *buf, size_t len, unsigned int id, uint64_t pos)
{
	while (len--)
		*buf++ = stream_byte(id, pos++);
}

static void stream_check(const char *buf, size_t len, unsigned int id,
			 uint64_t pos)
{
	for (size_t i = 0; i < len; i++)
		CHECK(buf[i] == stream_byte(id, pos + i));
}

static struct conn *conn_of(const struct fake_req *req)
{
	for (unsigned int i = 0; i < CONNS; i++)
		if (conns[i].file.lw == req->file.lw &&
		    conns[i].file.fd == req->file.fd && !conns[i].gone)
			return &conns[i];
	model_fail(__FILE__, __LINE__, "a request of no socket");
}

static bool has_request(const struct conn *c, enum fake_op op)
{
	struct fake_req *req;

	for (unsigned int n = 0; (req = fake_find(op, n)); n++)
		if (conn_of(req) == c)
			return true;
	return false;
}

/* --- what the program got ---------------------------------------- */

/* A reset is told once by its own name; sends fail with EPIPE as well. */
static void model_failed(struct conn *c, ssize_t ret)
{
	CHECK(c->broken);
	CHECK(ret == -EPIPE || (ret == -ECONNRESET && !c->told_reset));
	c->told_reset |= ret == -ECONNRESET;
	c->told_broken = true;
}

static void model_received(struct conn *c, const char *buf, size_t len,
			   int flags, ssize_t ret)
{
	if (ret > 0) {
		CHECK((size_t)ret <= len);
		CHECK(c->read + (uint64_t)ret <=
		      (flags & MSG_PEEK ? c->arrived : c->delivered));
		if (!(flags & MSG_TRUNC))
			stream_check(buf, (size_t)ret, c->id * 2, c->read);
		if (!(flags & MSG_PEEK))
			c->read += (uint64_t)ret;
		return;
	}
	if (ret == 0) {
		/* The end: all was read, or the connection broke. */
		CHECK(c->fin || c->broken);
		CHECK(c->broken || c->read == c->arrived);
		c->told_eof = true;
		return;
	}
	if (ret == -EAGAIN) {
		/* What the channel was given must be found. */
		CHECK(c->read == c->delivered || c->broken);
		CHECK(c->arrived == c->delivered ||
		      has_request(c, FAKE_RECV) || c->broken);
		return;
	}
	model_failed(c, ret);
}

/* --- the peer ---------------------------------------- */

static void model_peer_acts(void)
{
	struct conn *c = &conns[below(CONNS)];

	if (c->gone || c->broken || c->fin)
		return;
	switch (below(40)) {
	case 0:
		c->fin = true;
		break;
	case 1:
		if (!below(3))
			c->broken = true;
		break;
	default:
		c->arrived += 1 + below(below(3) ? 300 : 12000);
	}
}

/* --- the kernel ---------------------------------------- */

/* As sk_err: the first request of a reset connection takes the error. */
static int reset_result(struct conn *c, int then)
{
	bool first = !c->rst_told;

	c->rst_told = true;
	return first ? -ECONNRESET : then;
}

static void kernel_recv(struct conn *c, struct fake_req *req)
{
	char bytes[BUFFER];
	size_t n = c->arrived - c->delivered;

	if (c->broken) {
		fake_complete(req, reset_result(c, 0), 0);
		return;
	}
	/* A buffer is picked before the socket is looked at, and there may
	 * have been none for a moment. */
	if ((!fake_free_buffers() || (!finishing && !below(20))) &&
	    (n || c->fin)) {
		fake_complete(req, -ENOBUFS, 0);
		return;
	}
	if (n > BUFFER)
		n = BUFFER;
	if (n > 1 && !finishing && below(2))
		n = 1 + below(n);
	if (n) {
		uint32_t more;

		stream_fill(bytes, n, c->id * 2, c->delivered);
		c->delivered += n;
		more = c->delivered < c->arrived ? RING_F_NONEMPTY : 0;
		fake_deliver(req, bytes, (unsigned int)n, more, true);
	} else if (c->fin) {
		c->fin_seen = true;
		fake_complete(req, 0, 0);
	}
}

static void kernel_recv_into(struct conn *c, struct fake_req *req)
{
	size_t n = c->arrived - c->delivered;
	char *bytes;

	/* Two readers at once would take each other's bytes. */
	CHECK(!has_request(c, FAKE_RECV));
	if (c->broken) {
		fake_complete(req, reset_result(c, 0), 0);
		return;
	}
	if (!n) {
		c->fin_seen |= c->fin;
		fake_complete(req, c->fin ? 0 : -EAGAIN, 0);
		return;
	}
	if (n > req->len)
		n = req->len;
	bytes = malloc(n);
	CHECK(bytes);
	stream_fill(bytes, n, c->id * 2, c->delivered);
	/* A look behind what is queued begins where the kernel's part does. */
	if (!(req->flags & MSG_PEEK))
		c->delivered += n;
	fake_fill(req, bytes, n);
	free(bytes);
}

/* Takes bytes of a send now: they must be the stream's next. */
static void kernel_takes(struct conn *c, struct fake_req *req, size_t n)
{
	char *bytes = malloc(n + 1);

	CHECK(bytes);
	fake_sent(req, (int)n, bytes);
	stream_check(bytes, n, c->id * 2 + 1, c->sent);
	c->sent += n;
	free(bytes);
}

static void kernel_send(struct conn *c, struct fake_req *req)
{
	bool call = cookie_op(req->cookie) == CHAN_OP_SYNC;

	CHECK(req->once || !call);
	if (req->once) {
		CHECK(!call || c->broken || c->sent == c->direct_pos);
		if (c->broken)
			fake_sent(req, reset_result(c, -EPIPE), NULL);
		else if (!call && below(3))
			kernel_takes(c, req, req->len);
		else if (below(4))
			kernel_takes(c, req, 1 + below(req->len));
		else
			fake_sent(req, -EAGAIN, NULL);
		return;
	}
	if (c->broken)
		fake_sent(req, reset_result(c, -EPIPE), NULL);
	else if (finishing || below(4))
		kernel_takes(c, req, req->len);
	else
		kernel_takes(c, req, below(req->len));
}

static void kernel_close(struct conn *c, struct fake_req *req)
{
	/* The file would be held, and no FIN sent. */
	CHECK(!has_request(c, FAKE_RECV));
	CHECK(!has_request(c, FAKE_SEND));
	CHECK(!has_request(c, FAKE_POLL));
	CHECK(c->broken || c->sent == c->written);
	/* Not closed by the program: given back, under its own number. */
	if (cookie_op(req->cookie) == CHAN_OP_SYNC) {
		CHECK(c->file.lw && !c->closed);
		fake_complete(req, 0, 0);
		return;
	}
	CHECK(c->closed);
	c->gone = true;
	if (!c->file.lw)
		close(c->file.fd);
	fake_complete(req, 0, 0);
}

/* Does something to a request, or decides to do it later. */
static void kernel_step(struct fake_req *req)
{
	struct conn *c = conn_of(req);

	switch (req->op) {
	case FAKE_RECV:
		kernel_recv(c, req);
		break;
	case FAKE_RECV_INTO:
		kernel_recv_into(c, req);
		break;
	case FAKE_SEND:
		kernel_send(c, req);
		break;
	case FAKE_CLOSE:
		if (fake_startable(req))
			kernel_close(c, req);
		break;
	case FAKE_POLL:
		if (req->flags & EPOLLOUT)
			fake_complete(req, EPOLLOUT, 0);
		else if (c->fin || c->broken)
			fake_complete(req, c->broken ? EPOLLRDHUP | EPOLLHUP :
						       EPOLLRDHUP, 0);
		break;
	case FAKE_SETSOCKOPT:
		c->linger_set |= req->name == SO_LINGER;
		fake_complete(req, 0, 0);
		break;
	case FAKE_INSTALL:
		fake_complete(req, below(4) ? dup(chan_fd(th->ch)) : -EMFILE,
			      0);
		break;
	case FAKE_INQ:
		fake_complete(req, (int)(c->arrived - c->delivered), 0);
		break;
	default:
		CHECK(!"a request that sockets do not make");
	}
}

static void model_kernel_acts(void)
{
	if (fake_count())
		kernel_step(fake_nth((unsigned int)below(fake_count())));
}

static void model_kernel_finishes(void)
{
	struct fake_req *req;

	finishing = true;
	for (unsigned int n = 0; n < fake_count(); n++) {
		req = fake_nth(n);
		kernel_step(req);
		if (fake_nth(n) != req)
			n--;
	}
	for (unsigned int i = 0; i < CONNS; i++)
		conns[i].arrived_left = conns[i].arrived > conns[i].delivered;
}

/* One send and one receive per socket, whoever asks. */
static void check_slots(void)
{
	for (unsigned int i = 0; i < CONNS; i++) {
		unsigned int recvs = 0, sends = 0;

		for (unsigned int n = 0; n < fake_count(); n++) {
			struct fake_req *req = fake_nth(n);

			if (conn_of(req) != &conns[i])
				continue;
			recvs += req->op == FAKE_RECV;
			sends += req->op == FAKE_SEND;
		}
		CHECK(recvs <= 1);
		CHECK(sends <= 1);
	}
}

/* Inside an enter: calls are executed while they are submitted, options,
 * closes and sends that are tried once too; other requests may be. */
static void model_entered(enum fake_enter how)
{
	check_slots();
	for (unsigned int n = 0; n < fake_count(); n++) {
		struct fake_req *req = fake_nth(n);
		bool call = cookie_op(req->cookie) == CHAN_OP_SYNC ||
			    req->op == FAKE_SETSOCKOPT ||
			    req->op == FAKE_CLOSE || req->once;

		if (!call && below(3))
			continue;
		kernel_step(req);
		if (fake_nth(n) != req)
			n--;
	}
}

static void model_start_episode(void)
{
	finishing = false;
}

#endif
