/* SPDX-License-Identifier: MIT */
/*
 * Description: the ring without a kernel. See fake.h.
 *
 * One ring at a time is what tests need; its requests are in one array of
 * pointers, oldest first, the queued ones last. Completed requests are freed,
 * so that the address sanitizer sees who looks at them later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"

#define MAX_REQS 4096
#define MAX_EVENTS 8192

struct ring {
	int fd;
};

/* Posted completions: [head, seen) can be read, [seen, tail) need a reap. */
static struct ring_event events[MAX_EVENTS];
static unsigned int head, seen, tail;
static struct fake_req *reqs[MAX_REQS];
static unsigned int submitted, total;
static unsigned long turns;

struct fake fake;

void fake_die(const char *why)
{
	fprintf(stderr, "# fake ring: %s\n", why);
	abort();
}

static void forget_all(void)
{
	while (total)
		free(reqs[--total]);
	submitted = 0;
	head = seen = tail = 0;
	fake.completions = 0;
}

void fake_reset(void)
{
	forget_all();
	turns = 0;
	fake = (struct fake){
		.caps = { true, true, true, true, true, true, 1u << 20 },
		.max_entries = MAX_REQS,
		.max_buffers = 1u << 16,
		.rings_open = fake.rings_open,
	};
}

int ring_open(unsigned int entries, unsigned int slots, struct ring **out)
{
	struct ring *r;

	if (fake.open_error)
		return fake.open_error;
	if (entries > fake.max_entries)
		return -ENOMEM;
	if (fake.rings_open)
		fake_die("two rings at a time");
	r = calloc(1, sizeof(*r));
	if (!r)
		fake_die("out of memory");
	r->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fake.entries = entries;
	fake.rings_open++;
	if (slots < fake.caps.slots)
		fake.caps.slots = slots;
	forget_all();
	*out = r;
	return 0;
}

void ring_close(struct ring *r)
{
	forget_all();
	close(r->fd);
	free(r);
	fake.rings_open--;
	if (fake.on_close)
		fake.on_close();
}

void ring_forget(struct ring *r)
{
	ring_close(r);
}

const struct ring_caps *ring_caps(const struct ring *r)
{
	return &fake.caps;
}

int ring_fd(const struct ring *r)
{
	return r->fd;
}

void ring_moved(struct ring *r, int fd)
{
	r->fd = fd;
}

unsigned int ring_queued(const struct ring *r)
{
	return total - submitted;
}

unsigned int ring_room(const struct ring *r)
{
	return fake.entries - ring_queued(r);
}

/* --- requests -------------------------------------------------------------- */

static struct fake_req *queue(struct ring *r, uint64_t cookie, enum fake_op op,
			      struct chan_file f)
{
	struct fake_req *req;

	if (!ring_room(r))
		fake_die("more requests are queued than there are entries");
	if (total == MAX_REQS)
		fake_die("too many requests for the fake");
	req = calloc(1, sizeof(*req));
	if (!req)
		fake_die("out of memory");
	req->op = op;
	req->cookie = cookie;
	req->file = f;
	req->turn = turns++;
	if (total > submitted && reqs[total - 1]->link)
		req->linked = true;
	reqs[total++] = req;
	return req;
}

void ring_accept(struct ring *r, uint64_t cookie, int fd,
		 struct sockaddr_storage *addr, socklen_t *len, bool direct)
{
	struct fake_req *req =
		queue(r, cookie, FAKE_ACCEPT, (struct chan_file){ .fd = fd });

	req->val = addr;
	req->addr_len = len;
	req->direct = direct;
	*len = sizeof(*addr);
}

void ring_recv(struct ring *r, uint64_t cookie, struct chan_file f,
	       unsigned int group, bool multishot)
{
	struct fake_req *req = queue(r, cookie, FAKE_RECV, f);

	req->group = group;
	req->stream = multishot && fake.caps.recv_multishot;
}

static void take_parts(struct fake_req *req)
{
	if (req->parts > FAKE_PARTS)
		fake_die("more parts than the fake can hold");
	for (unsigned int i = 0; i < req->parts; i++) {
		req->iov[i] = req->parts_from[i];
		req->len += req->iov[i].iov_len;
	}
	req->parts_from = NULL;
}

static void take_header(struct fake_req *req)
{
	req->parts = (unsigned int)req->msg->msg_iovlen;
	req->parts_from = req->msg->msg_iov;
	req->msg = NULL;
}

void ring_recv_into(struct ring *r, uint64_t cookie, struct chan_file f,
		    struct msghdr *msg, int flags)
{
	struct fake_req *req = queue(r, cookie, FAKE_RECV_INTO, f);

	req->msg = msg;
	req->flags = flags;
}

static void set_how(struct fake_req *req, unsigned int how)
{
	req->link = how & RING_LINK;
	req->once = how & RING_ONCE;
	req->flags |= req->once ? MSG_DONTWAIT : 0;
	req->silent = how & RING_SILENT;
}

static struct fake_req *queue_bytes(struct ring *r, uint64_t cookie,
				    enum fake_op op, struct chan_file f,
				    const void *buf, size_t len)
{
	struct fake_req *req = queue(r, cookie, op, f);

	req->iov[0] = (struct iovec){ (void *)buf, len };
	req->parts = 1;
	req->len = len;
	return req;
}

void ring_recv_bytes(struct ring *r, uint64_t cookie, struct chan_file f,
		     void *buf, size_t len, int flags)
{
	queue_bytes(r, cookie, FAKE_RECV_INTO, f, buf, len)->flags = flags;
}

void ring_read(struct ring *r, uint64_t cookie, struct chan_file f, void *buf,
	       size_t len)
{
	queue_bytes(r, cookie, FAKE_READ, f, buf, len);
}

void ring_connect(struct ring *r, uint64_t cookie, struct chan_file f,
		  const struct sockaddr *addr, socklen_t len)
{
	queue_bytes(r, cookie, FAKE_CONNECT, f, addr, len);
}

void ring_writev(struct ring *r, uint64_t cookie, struct chan_file f,
		 const struct iovec *iov, unsigned int count)
{
	queue_bytes(r, cookie, FAKE_WRITE, f, 0, 0)->parts_from = iov;
	reqs[total - 1]->parts = count;
}

void ring_send(struct ring *r, uint64_t cookie, struct chan_file f,
	       const void *buf, size_t len, int flags, unsigned int how)
{
	struct fake_req *req = queue_bytes(r, cookie, FAKE_SEND, f, buf, len);

	req->flags = flags;
	set_how(req, how);
}

void ring_sendv(struct ring *r, uint64_t cookie, struct chan_file f,
		const struct msghdr *msg, int flags, unsigned int how)
{
	struct fake_req *req = queue(r, cookie, FAKE_SEND, f);

	req->msg = msg;
	req->flags = flags;
	set_how(req, how);
}

void ring_close_file(struct ring *r, uint64_t cookie, struct chan_file f,
		     unsigned int how)
{
	set_how(queue(r, cookie, FAKE_CLOSE, f), how);
}

void ring_cancel(struct ring *r, uint64_t cookie, uint64_t target)
{
	queue(r, cookie, FAKE_CANCEL, (struct chan_file){ .fd = -1 })->target =
		target;
}

void ring_poll(struct ring *r, uint64_t cookie, struct chan_file f,
	       unsigned int mask, bool multishot)
{
	struct fake_req *req = queue(r, cookie, FAKE_POLL, f);

	req->flags = (int)mask;
	req->stream = multishot;
}

void ring_setsockopt(struct ring *r, uint64_t cookie, struct chan_file f,
		     int level, int name, const void *val, int len)
{
	struct fake_req *req = queue(r, cookie, FAKE_SETSOCKOPT, f);

	if (len > FAKE_OPTION)
		fake_die("an option larger than the fake can hold");
	req->level = level;
	req->name = name;
	req->set = val;
	req->val_len = len;
}

void ring_getsockopt(struct ring *r, uint64_t cookie, struct chan_file f,
		     int level, int name, void *val, int len)
{
	struct fake_req *req = queue(r, cookie, FAKE_GETSOCKOPT, f);

	req->level = level;
	req->name = name;
	req->val = val;
	req->val_len = len;
}

void ring_siocinq(struct ring *r, uint64_t cookie, struct chan_file f)
{
	queue(r, cookie, FAKE_INQ, f);
}

void ring_siocoutq(struct ring *r, uint64_t cookie, struct chan_file f)
{
	queue(r, cookie, FAKE_OUTQ, f);
}

void ring_install(struct ring *r, uint64_t cookie, int slot)
{
	queue(r, cookie, FAKE_INSTALL,
	      (struct chan_file){ .fd = slot, .lw = true });
}

/* --- entering -------------------------------------------------------------- */

/* The kernel takes the queue: it reads headers now and payload later. */
static void take_queue(void)
{
	unsigned int i;

	fake.sent_in_last = total - submitted;
	for (i = submitted; i < total; i++) {
		struct fake_req *req = reqs[i];

		if (req->msg)
			take_header(req);
		if (req->parts_from)
			take_parts(req);
		if (req->set)
			memcpy(req->option, req->set, (size_t)req->val_len);
		req->submitted = true;
	}
	i = submitted;
	submitted = total;
	/* A cancel takes effect while it is submitted. It may end requests
	 * before it and itself, so the place in the array is found anew. */
	while (!fake.hold_cancels) {
		for (i = 0; i < submitted; i++)
			if (reqs[i]->op == FAKE_CANCEL)
				break;
		if (i == submitted)
			break;
		fake_cancel(reqs[i]);
	}
}

static int enter(enum fake_enter how)
{
	int error = fake.enter_error;

	fake.enters++;
	fake.submits += how == FAKE_SUBMIT;
	fake.reaps += how == FAKE_REAP;
	fake.waits += how == FAKE_WAIT;
	if (error) {
		fake.enter_error = 0;
		return error;
	}
	take_queue();
	if (fake.on_enter)
		fake.on_enter(how);
	if (how != FAKE_SUBMIT && !(fake.silent_rounds && fake.silent_rounds--))
		seen = tail;
	return (int)fake.sent_in_last;
}

int ring_submit(struct ring *r)
{
	return enter(FAKE_SUBMIT);
}

int ring_reap(struct ring *r)
{
	return enter(FAKE_REAP);
}

int ring_wait(struct ring *r, unsigned int count, int64_t timeout_ns,
	      const sigset_t *mask)
{
	int ret;

	fake.wait_count = count;
	fake.wait_ns = timeout_ns;
	fake.wait_mask = mask;
	ret = enter(FAKE_WAIT);
	if (ret < 0)
		return ret;
	if (!ring_ready(r) && timeout_ns < 0 && !fake.wait_result)
		fake_die("a sleep that nothing ends");
	return ring_ready(r) ? 0 : fake.wait_result;
}

/* --- completions ----------------------------------------------------------- */

bool ring_ready(const struct ring *r)
{
	return head != seen;
}

bool ring_pending_work(const struct ring *r)
{
	return seen != tail;
}

bool ring_overflowed(const struct ring *r)
{
	return fake.overflowed;
}

bool ring_next(struct ring *r, struct ring_event *ev)
{
	if (!ring_ready(r))
		return false;
	*ev = events[head++ % MAX_EVENTS];
	fake.completions--;
	return true;
}

int ring_find(struct ring *r, uint64_t cookie, int *res)
{
	unsigned int i;

	for (i = head; i != seen; i++) {
		struct ring_event *ev = &events[i % MAX_EVENTS];

		if (ev->cookie != cookie)
			continue;
		*res = ev->res;
		ev->cookie = 0;
		return true;
	}
	return false;
}

int ring_register_buffers(struct ring *r, void *mem, unsigned int entries,
			  unsigned int group)
{
	fake_die("the fake buffer ring is not registered");
}

static void post(uint64_t cookie, int res, uint32_t flags, uint16_t buffer)
{
	if (tail - head == MAX_EVENTS)
		fake_die("too many completions for the fake");
	events[tail++ % MAX_EVENTS] = (struct ring_event){
		.cookie = cookie, .res = res, .flags = flags,
		.buffer = buffer,
	};
	fake.completions++;
	if (!fake.defer)
		seen = tail;
}

static unsigned int place_of(const struct fake_req *req)
{
	unsigned int i;

	for (i = 0; i < submitted; i++)
		if (reqs[i] == req)
			return i;
	fake_die("a request that the kernel does not have is completed");
}

/* What is linked behind a request that failed or fell short ends with it. */
static void finish(struct fake_req *req, int res)
{
	unsigned int i = place_of(req);
	struct fake_req *next = i + 1 < submitted ? reqs[i + 1] : NULL;
	bool link = req->link, whole = res >= 0 && (size_t)res == req->len;

	memmove(&reqs[i], &reqs[i + 1], (total - i - 1) * sizeof(*reqs));
	submitted--;
	total--;
	free(req);
	if (!link || !next)
		return;
	next->linked = false;
	if (!whole)
		fake_complete(next, -ECANCELED, 0);
}

static bool says_nothing(const struct fake_req *req, int res)
{
	return req->silent && res >= 0 &&
	       (req->op != FAKE_SEND || (size_t)res == req->len);
}

void fake_complete(struct fake_req *req, int res, uint32_t flags)
{
	place_of(req);
	if (!says_nothing(req, res))
		post(req->cookie, res, flags & ~RING_F_MORE, 0);
	/* It is done while it is submitted: no work is put off. */
	if (req->once)
		seen = tail;
	finish(req, res);
}

void fake_more(struct fake_req *req, int res, uint32_t flags)
{
	place_of(req);
	if (!req->stream)
		fake_die("a single request goes on");
	post(req->cookie, res, flags | RING_F_MORE, 0);
}

bool fake_deliver(struct fake_req *req, const void *data, unsigned int len,
		  uint32_t flags, bool more)
{
	struct bufring *b;
	int id;

	place_of(req);
	id = fake_take_buffer(&b);
	if (id < 0) {
		fake_complete(req, -ENOBUFS, 0);
		return false;
	}
	if (len > b->size || req->op != FAKE_RECV || req->group != b->group)
		fake_die("these bytes do not fit this request");
	memcpy(bufring_data(b, (unsigned int)id), data, len);
	more &= req->stream;
	post(req->cookie, (int)len,
	     flags | RING_F_BUFFER | (more ? RING_F_MORE : 0), (uint16_t)id);
	if (!more)
		finish(req, (int)len);
	return true;
}

void fake_sent(struct fake_req *req, int res, char *to)
{
	size_t left = res > 0 ? (size_t)res : 0, n;
	unsigned int i;

	if (left > req->len)
		fake_die("more is sent than there was");
	for (i = 0; to && left; i++, left -= n) {
		n = req->iov[i].iov_len < left ? req->iov[i].iov_len : left;
		memcpy(to, req->iov[i].iov_base, n);
		to += n;
	}
	fake_complete(req, res, 0);
}

void fake_fill(struct fake_req *req, const char *data, size_t len)
{
	size_t done = 0, n;
	unsigned int i;

	if (len > req->len)
		fake_die("more is received than there is room for");
	for (i = 0; done < len; i++, done += n) {
		n = req->iov[i].iov_len < len - done ? req->iov[i].iov_len :
						       len - done;
		if (!(req->flags & MSG_TRUNC))
			memcpy(req->iov[i].iov_base, data + done, n);
	}
	fake_complete(req, (int)len, 0);
}

void fake_cancel(struct fake_req *cancel)
{
	struct fake_req *target = fake_cookie(cancel->target);
	uint64_t cookie = cancel->cookie;

	place_of(cancel);
	finish(cancel, 0);
	if (target)
		fake_complete(target, -ECANCELED, 0);
	post(cookie, target ? 0 : -ENOENT, 0, 0);
}

/* --- looking --------------------------------------------------------------- */

unsigned int fake_count(void)
{
	return submitted;
}

struct fake_req *fake_nth(unsigned int n)
{
	return n < submitted ? reqs[n] : NULL;
}

unsigned int fake_queued(void)
{
	return total - submitted;
}

struct fake_req *fake_queued_nth(unsigned int n)
{
	return n < total - submitted ? reqs[submitted + n] : NULL;
}
