/* SPDX-License-Identifier: MIT */
/*
 * See ring.h. With bufring.c the only file that knows liburing.
 *
 * liburing's own submit and wait functions restart after a signal and drop
 * the rest of a time-out; epoll_wait() must do neither, so the enter call is
 * made here (enter_ring).
 */
#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "ring.h"
#include "stash.h"
#include "sys.h"

/* Younger than Debian 12's liburing 2.3; include/uapi/linux/io_uring.h. */
#define RING_SETUP_CQE_ROOM		4	/* completions per submission */
#define RING_FEAT_RECVSEND_BUNDLE	(1u << 14)	/* 6.10 */
#define RING_FEAT_RW_ATTR		(1u << 16)	/* 6.14 */
#define RING_FEAT_NO_IOWAIT		(1u << 17)	/* 6.15 */
#define RING_ENTER_NO_IOWAIT		(1u << 7)
#define RING_ACCEPT_DONTWAIT		(1u << 1)	/* 6.10 */
#define RING_ACCEPT_POLL_FIRST		(1u << 2)
#define RING_OP_FUTEX_WAIT		51		/* 6.7 */
#define RING_OP_FIXED_FD_INSTALL	54		/* 6.8 */
#define RING_SOCKET_SIOCINQ		0		/* 6.7 */
#define RING_SOCKET_SIOCOUTQ		1
#define RING_SOCKET_GETSOCKOPT		2
#define RING_SOCKET_SETSOCKOPT		3
#define RING_FILE_INDEX_ALLOC		(~0u)		/* 5.19 */
#define RING_RECV_MULTISHOT		(1u << 1)	/* 6.0 */

struct ring {
	struct io_uring uring;
	struct stash stash;
	struct ring_caps caps;
	bool registered;	/* entered by index: no descriptor look-up */
	unsigned int wait_flags;	/* of an enter that waits */
	int fd;
};

/* The ring itself is a page: mapped, so that no malloc is needed. */
#define RING_BYTES 4096
_Static_assert(sizeof(struct ring) <= RING_BYTES, "ring is one page");

static void probe_caps(struct ring *r)
{
	struct ring_caps *c = &r->caps;
	struct io_uring_probe *probe = io_uring_get_probe_ring(&r->uring);

	c->silent = r->uring.features & IORING_FEAT_CQE_SKIP;
	c->accept_poll_first = r->uring.features & RING_FEAT_RECVSEND_BUNDLE;
	/* Up to 6.12 a file that leaves its slot is kept until every request
	 * that was there before has ended, those on other slots included
	 * (io_rsrc_node list): with an idle connection's receive armed no
	 * other connection would ever send its FIN (seen on 6.12.117). 6.13
	 * changed that and has no bit of its own to tell. */
	c->slot_close = r->uring.features & RING_FEAT_RW_ATTR;
	if (!probe)
		return;
	c->recv_multishot =
		io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC);
	/* Socket commands have no opcode of their own; FUTEX_WAIT arrived in
	 * the same release. */
	c->sockopt = io_uring_opcode_supported(probe, RING_OP_FUTEX_WAIT);
	c->install = io_uring_opcode_supported(probe, RING_OP_FIXED_FD_INSTALL);
	io_uring_free_probe(probe);
}

static int setup(struct ring *r, unsigned int entries)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
		.cq_entries = entries * RING_SETUP_CQE_ROOM,
	};
	unsigned int i, *array;
	int ret = io_uring_queue_init_params(entries, &r->uring, &p);

	if (ret < 0)
		return ret;
	sys_mapped();
	array = r->uring.sq.array;
	for (i = 0; array && i < p.sq_entries; i++)
		array[i] = i;
	io_uring_ring_dontfork(&r->uring);
	r->fd = r->uring.ring_fd;
	return 0;
}

/* The table may not be larger than the soft limit of descriptors (-EMFILE),
 * and is not worth a failure: halve it until it fits. */
static void register_slots(struct ring *r, unsigned int slots)
{
	struct rlimit lim;

	if (!sys_prlimit(RLIMIT_NOFILE, NULL, &lim) && slots > lim.rlim_cur)
		slots = lim.rlim_cur;
	for (; slots; slots /= 2) {
		struct io_uring_rsrc_register reg = {
			.nr = slots, .flags = IORING_RSRC_REGISTER_SPARSE,
		};

		if (!sys_call4(SYS_io_uring_register, r->fd,
			       IORING_REGISTER_FILES2, &reg, sizeof(reg)))
			break;
	}
	r->caps.slots = slots;
}

int ring_open(unsigned int entries, unsigned int slots, struct ring **out)
{
	struct ring *r = sys_map(RING_BYTES, MAP_PRIVATE);
	int ret;

	if (!r)
		return -ENOMEM;
	ret = setup(r, entries);
	if (ret < 0) {
		sys_unmap(r, RING_BYTES);
		return ret;
	}
	probe_caps(r);
	r->wait_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	/* A server that is idle must not look like one that waits for a disk
	 * (since 6.5 a wait in a ring counts as iowait). */
	if (r->uring.features & RING_FEAT_NO_IOWAIT)
		r->wait_flags |= RING_ENTER_NO_IOWAIT;
	if (slots && r->caps.install && r->caps.slot_close)
		register_slots(r, slots);
	r->registered = io_uring_register_ring_fd(&r->uring) == 1;
	*out = r;
	return 0;
}

void ring_close(struct ring *r)
{
	stash_free(&r->stash);
	r->uring.ring_fd = r->fd;
	sys_unmapping();
	io_uring_queue_exit(&r->uring);
	sys_unmap(r, RING_BYTES);
}

void ring_forget(struct ring *r)
{
	stash_free(&r->stash);
	sys_close(r->fd);
	sys_unmap(r, RING_BYTES);
}

const struct ring_caps *ring_caps(const struct ring *r)
{
	return &r->caps;
}

int ring_fd(const struct ring *r)
{
	return r->fd;
}

void ring_moved(struct ring *r, int fd)
{
	if (r->uring.enter_ring_fd == r->fd)
		r->uring.enter_ring_fd = fd;
	r->uring.ring_fd = fd;
	r->fd = fd;
}

unsigned int ring_room(const struct ring *r)
{
	return io_uring_sq_space_left(&r->uring);
}

unsigned int ring_queued(const struct ring *r)
{
	return r->uring.sq.sqe_tail - *r->uring.sq.ktail;
}

static struct io_uring_sqe *next_sqe(struct ring *r, uint64_t cookie, int op,
				     struct chan_file f)
{
	struct io_uring_sq *sq = &r->uring.sq;
	struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail++ & *sq->kring_mask];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = (uint8_t)op;
	sqe->fd = f.fd;
	sqe->flags = f.lw ? IOSQE_FIXED_FILE : 0;
	sqe->user_data = cookie;
	return sqe;
}

static struct chan_file plain(int fd)
{
	return (struct chan_file){ .fd = fd };
}

void ring_accept(struct ring *r, uint64_t cookie, int fd,
		 struct sockaddr_storage *addr, socklen_t *len, bool direct)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, IORING_OP_ACCEPT,
					    plain(fd));

	*len = sizeof(*addr);
	sqe->addr = (uintptr_t)addr;
	sqe->addr2 = (uintptr_t)len;
	/* A slot has no close-on-exec flag: -EINVAL (io_accept_prep). */
	sqe->accept_flags = SOCK_NONBLOCK | (direct ? 0 : SOCK_CLOEXEC);
	/* liburing 2.3's helper adds one to the constant: set it here. */
	sqe->file_index = direct ? RING_FILE_INDEX_ALLOC : 0;
	/* A first try would allocate a socket and a file for nothing. */
	sqe->ioprio = r->caps.accept_poll_first ? RING_ACCEPT_POLL_FIRST : 0;
}

void ring_accept_now(struct ring *r, uint64_t cookie, int fd,
		     struct sockaddr_storage *addr, socklen_t *len)
{
	ring_accept(r, cookie, fd, addr, len, true);
	r->uring.sq.sqes[(r->uring.sq.sqe_tail - 1) &
			 *r->uring.sq.kring_mask].ioprio = RING_ACCEPT_DONTWAIT;
}

void ring_recv(struct ring *r, uint64_t cookie, struct chan_file f,
	       unsigned int group, bool multishot)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, IORING_OP_RECV, f);

	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)group;
	if (multishot && r->caps.recv_multishot)
		sqe->ioprio = RING_RECV_MULTISHOT;
}

void ring_recv_into(struct ring *r, uint64_t cookie, struct chan_file f,
		    struct msghdr *msg, int flags)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, IORING_OP_RECVMSG, f);

	sqe->addr = (uintptr_t)msg;
	sqe->len = 1;
	sqe->msg_flags = (uint32_t)flags;
}

static uint8_t sqe_flags(unsigned int how)
{
	return (uint8_t)((how & RING_LINK ? IOSQE_IO_LINK : 0) |
			 (how & RING_SILENT ? IOSQE_CQE_SKIP_SUCCESS : 0));
}

static uint32_t send_flags(int flags, unsigned int how)
{
	return (uint32_t)(flags | (how & RING_ONCE ? MSG_DONTWAIT : 0));
}

/* Reading and writing of bytes, where *offset* -1 is the file's own. */
static struct io_uring_sqe *bytes_sqe(struct ring *r, uint64_t cookie, int op,
				      struct chan_file f, const void *buf,
				      size_t len, uint64_t offset)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, op, f);

	sqe->addr = (uintptr_t)buf;
	sqe->len = (uint32_t)len;
	sqe->off = offset;
	return sqe;
}

void ring_recv_bytes(struct ring *r, uint64_t cookie, struct chan_file f,
		     void *buf, size_t len, int flags)
{
	struct io_uring_sqe *sqe = bytes_sqe(r, cookie, IORING_OP_RECV, f, buf,
					     len, 0);

	sqe->msg_flags = (uint32_t)flags;
}

void ring_read(struct ring *r, uint64_t cookie, struct chan_file f, void *buf,
	       size_t len)
{
	bytes_sqe(r, cookie, IORING_OP_READ, f, buf, len, UINT64_MAX);
}

void ring_writev(struct ring *r, uint64_t cookie, struct chan_file f,
		 const struct iovec *iov, unsigned int count)
{
	bytes_sqe(r, cookie, IORING_OP_WRITEV, f, iov, count, UINT64_MAX);
}

void ring_connect(struct ring *r, uint64_t cookie, struct chan_file f,
		  const struct sockaddr *addr, socklen_t len)
{
	bytes_sqe(r, cookie, IORING_OP_CONNECT, f, addr, 0, len);
}

void ring_send(struct ring *r, uint64_t cookie, struct chan_file f,
	       const void *buf, size_t len, int flags, unsigned int how)
{
	struct io_uring_sqe *sqe = bytes_sqe(r, cookie, IORING_OP_SEND, f, buf,
					     len, 0);

	sqe->msg_flags = send_flags(flags, how);
	sqe->flags |= sqe_flags(how);
}

void ring_sendv(struct ring *r, uint64_t cookie, struct chan_file f,
		const struct msghdr *msg, int flags, unsigned int how)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, IORING_OP_SENDMSG, f);

	sqe->addr = (uintptr_t)msg;
	sqe->len = 1;
	sqe->msg_flags = send_flags(flags, how);
	sqe->flags |= sqe_flags(how);
}

void ring_close_file(struct ring *r, uint64_t cookie, struct chan_file f,
		     unsigned int how)
{
	struct io_uring_sqe *sqe;

	/* A slot is named by file_index, never by the flag (-EINVAL). */
	sqe = next_sqe(r, cookie, IORING_OP_CLOSE, plain(f.lw ? 0 : f.fd));
	sqe->file_index = f.lw ? (uint32_t)f.fd + 1 : 0;
	sqe->flags |= sqe_flags(how);
}

void ring_cancel(struct ring *r, uint64_t cookie, uint64_t target)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, IORING_OP_ASYNC_CANCEL,
					    plain(-1));

	sqe->addr = target;
}

void ring_poll(struct ring *r, uint64_t cookie, struct chan_file f,
	       unsigned int events, bool multishot)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, IORING_OP_POLL_ADD, f);

	sqe->poll32_events = events;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	sqe->poll32_events = __builtin_bswap32(events) >> 16 |
			     __builtin_bswap32(events) << 16;
#endif
	sqe->len = multishot ? IORING_POLL_ADD_MULTI : 0;
}

static struct io_uring_sqe *socket_command(struct ring *r, uint64_t cookie,
					   struct chan_file f, uint32_t cmd)
{
	struct io_uring_sqe *sqe = next_sqe(r, cookie, IORING_OP_URING_CMD, f);

	sqe->cmd_op = cmd;
	return sqe;
}

/* struct io_uring_sqe since 6.7: level and optname share addr, optlen shares
 * file_index, optval shares addr3. */
static void option_command(struct ring *r, uint64_t cookie, struct chan_file f,
			   uint32_t cmd, const int where[2], uintptr_t val,
			   int len)
{
	struct io_uring_sqe *sqe = socket_command(r, cookie, f, cmd);

	memcpy(&sqe->addr, where, 2 * sizeof(int));
	sqe->file_index = (uint32_t)len;
	memcpy((char *)sqe + 48, &val, sizeof(val));
}

void ring_setsockopt(struct ring *r, uint64_t cookie, struct chan_file f,
		     int level, int name, const void *val, int len)
{
	const int where[2] = { level, name };

	option_command(r, cookie, f, RING_SOCKET_SETSOCKOPT, where,
		       (uintptr_t)val, len);
}

void ring_getsockopt(struct ring *r, uint64_t cookie, struct chan_file f,
		     int level, int name, void *val, int len)
{
	const int where[2] = { level, name };

	option_command(r, cookie, f, RING_SOCKET_GETSOCKOPT, where,
		       (uintptr_t)val, len);
}

void ring_siocinq(struct ring *r, uint64_t cookie, struct chan_file f)
{
	socket_command(r, cookie, f, RING_SOCKET_SIOCINQ);
}

void ring_siocoutq(struct ring *r, uint64_t cookie, struct chan_file f)
{
	socket_command(r, cookie, f, RING_SOCKET_SIOCOUTQ);
}

void ring_install(struct ring *r, uint64_t cookie, int slot)
{
	next_sqe(r, cookie, RING_OP_FIXED_FD_INSTALL,
		 (struct chan_file){ .fd = slot, .lw = true });
}

/* Shows the queued entries to the kernel and counts them. */
static unsigned int publish(struct ring *r)
{
	struct io_uring_sq *sq = &r->uring.sq;

	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	return sq->sqe_tail - io_uring_smp_load_acquire(sq->khead);
}

static int enter_ring(struct ring *r, unsigned int wait, unsigned int flags,
		      void *arg, size_t size)
{
	unsigned int submit = publish(r);

	if (r->registered)
		flags |= IORING_ENTER_REGISTERED_RING;
	return io_uring_enter2((unsigned int)r->uring.enter_ring_fd, submit,
			       wait, flags, arg, size);
}

int ring_submit(struct ring *r)
{
	return enter_ring(r, 0, 0, NULL, 0);
}

/* The kernel says "there is work" after it has queued it; by then the work
 * may be done, and the word would stay until there is more
 * (io_req_local_work_add()). It is taken back before an enter, which does all
 * the work there is; what is queued later is said again. */
static void take_word_back(struct ring *r)
{
	if (IO_URING_READ_ONCE(*r->uring.sq.kflags) & IORING_SQ_TASKRUN)
		__atomic_fetch_and(r->uring.sq.kflags,
				   ~(unsigned int)IORING_SQ_TASKRUN,
				   __ATOMIC_SEQ_CST);
}

int ring_reap(struct ring *r)
{
	take_word_back(r);
	return enter_ring(r, 0, IORING_ENTER_GETEVENTS, NULL, 0);
}

int ring_wait(struct ring *r, unsigned int count, int64_t timeout_ns,
	      const sigset_t *mask)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ns / 1000000000,
		.tv_nsec = timeout_ns % 1000000000,
	};
	struct io_uring_getevents_arg arg = {
		.sigmask = (uintptr_t)mask,
		.sigmask_sz = _NSIG / 8,
		.ts = timeout_ns < 0 ? 0 : (uintptr_t)&ts,
	};
	int64_t start = timeout_ns > 0 ? sys_now_ns() : 0;
	int ret;

	take_word_back(r);
	ret = enter_ring(r, count, r->wait_flags, &arg, sizeof(arg));
	if (ret == -ETIME || ret == -EBUSY)
		return 0;
	/* Requests that the kernel refused for now: it did not wait. */
	if (ret <= 0 || io_uring_cq_ready(&r->uring) >= count ||
	    stash_any(&r->stash) || io_uring_sq_ready(&r->uring))
		return ret < 0 ? ret : 0;
	/* Something was submitted, so the count hides why the wait ended:
	 * either the time is over or a signal came (io_uring_enter(2)). */
	if (timeout_ns == 0 ||
	    (timeout_ns > 0 && sys_now_ns() - start >= timeout_ns))
		return 0;
	return -EINTR;
}

bool ring_ready(const struct ring *r)
{
	return io_uring_cq_ready(&r->uring) > 0 ||
	       stash_any(&r->stash);
}

bool ring_pending_work(const struct ring *r)
{
	return IO_URING_READ_ONCE(*r->uring.sq.kflags) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

bool ring_overflowed(const struct ring *r)
{
	return IO_URING_READ_ONCE(*r->uring.sq.kflags) &
	       IORING_SQ_CQ_OVERFLOW;
}

static void to_event(const struct io_uring_cqe *cqe, struct ring_event *ev)
{
	ev->cookie = cqe->user_data;
	ev->res = cqe->res;
	ev->flags = (cqe->flags & IORING_CQE_F_BUFFER ? RING_F_BUFFER : 0) |
		    (cqe->flags & IORING_CQE_F_MORE ? RING_F_MORE : 0) |
		    (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY ?
			     RING_F_NONEMPTY : 0);
	ev->buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
}

/* Moves what a full queue has up to *tail* into the stash, in order: the
 * kernel adds what overflowed meanwhile only when there is room. 0 or
 * -ENOMEM. */
static int make_way(struct ring *r, unsigned int tail)
{
	struct io_uring_cq *cq = &r->uring.cq;
	unsigned int head = *cq->khead;
	struct stash *s = &r->stash;

	if (tail - head < *cq->kring_entries)
		return 0;
	if (stash_grow(s, tail - head) < 0)
		return -ENOMEM;
	for (; head != tail; head++) {
		struct io_uring_cqe *cqe = &cq->cqes[head & *cq->kring_mask];

		if (cqe->user_data)
			to_event(cqe, &s->events[s->tail++]);
	}
	io_uring_smp_store_release(cq->khead, head);
	return 0;
}

/* What was found is gone, and takes no room where nothing waits before it:
 * a program may make any number of calls before it reads completions. */
static void skip_found(struct ring *r)
{
	struct io_uring_cq *cq = &r->uring.cq;
	unsigned int head = *cq->khead;
	unsigned int tail = io_uring_smp_load_acquire(cq->ktail);

	while (head != tail && !cq->cqes[head & *cq->kring_mask].user_data)
		head++;
	io_uring_smp_store_release(cq->khead, head);
}

/* The newest completion is the likely one. A completion that is looked for is
 * never in the stash: what is moved there was looked at before. */
int ring_find(struct ring *r, uint64_t cookie, int *res)
{
	struct io_uring_cq *cq = &r->uring.cq;
	unsigned int head = *cq->khead;
	unsigned int end = io_uring_smp_load_acquire(cq->ktail), i = end;

	while (i != head) {
		struct io_uring_cqe *cqe = &cq->cqes[--i & *cq->kring_mask];

		if (cqe->user_data != cookie)
			continue;
		*res = cqe->res;
		cqe->user_data = 0;
		skip_found(r);
		return 1;
	}
	return make_way(r, end);
}

bool ring_next(struct ring *r, struct ring_event *ev)
{
	struct io_uring_cq *cq = &r->uring.cq;
	unsigned int head = *cq->khead;
	struct stash *s = &r->stash;

	if (__builtin_expect(stash_any(s), 0)) {
		*ev = s->events[s->head++];
		return true;
	}
	if (head == io_uring_smp_load_acquire(cq->ktail))
		return false;
	to_event(&cq->cqes[head & *cq->kring_mask], ev);
	io_uring_smp_store_release(cq->khead, head + 1);
	return true;
}

int ring_register_buffers(struct ring *r, void *mem, unsigned int entries,
			  unsigned int group)
{
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)mem,
		.ring_entries = entries,
		.bgid = (uint16_t)group,
	};

	return io_uring_register_buf_ring(&r->uring, &reg, 0);
}
