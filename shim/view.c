/* SPDX-License-Identifier: MIT */
/* See view.h. */
#include <errno.h>
#include <string.h>

#include "fdtable.h"
#include "partition.h"
#include "view.h"

/* Younger than Debian 12's headers; include/uapi/linux/memfd.h, fcntl.h. */
#define VIEW_MFD_NOEXEC_SEAL	8u
#define VIEW_SEAL_FUTURE_WRITE	16

/* Records that a thread takes at a time: about a page. */
#define RECORDS_AT_ONCE 51

static struct region_head *head;	/* NULL: there is no shared memory */
static int view_fd = -1;
static uint32_t epoch;			/* counts forks: whose records */

static void *part(size_t at)
{
	return (char *)head + at;
}

static struct region_line *line_at(unsigned int i)
{
	return (struct region_line *)part(REGION_LINES_AT) + i;
}

static struct region_sock *sock_at(uint32_t i)
{
	return (struct region_sock *)part(REGION_SOCKS_AT) + i;
}

/* --- the memory ------------------------------------------------------ */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);	/* vDSO: no system call */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ftruncate(2) beyond RLIMIT_FSIZE would be a signal (inode_newsize_ok()). */
static bool size_allowed(void)
{
	struct rlimit lim;

	return !sys_prlimit(RLIMIT_FSIZE, NULL, &lim) &&
	       lim.rlim_cur >= REGION_BYTES;
}

static int make_file(void)
{
	int fd;

	if (!size_allowed())
		return -EFBIG;
	fd = sys_memfd_create(REGION_NAME, MFD_CLOEXEC | VIEW_MFD_NOEXEC_SEAL);
	if (fd == -EINVAL)	/* before Linux 6.3 */
		fd = sys_memfd_create(REGION_NAME,
				      MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fd;
	if (sys_call3(SYS_ftruncate, fd, REGION_BYTES, 0) < 0) {
		sys_close(fd);
		return -EFBIG;
	}
	sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	return fd;
}

/* Line 0 goes on where the counters of this process have been so far. */
static bool map_rest(int fd)
{
	struct region_line before = stats_rest.line;

	if (!sys_map_file(&stats_rest, REGION_PAGE, fd, REGION_REST_AT))
		return false;
	stats_rest.line = before;
	return true;
}

/* Who opens it from now on can only read (Linux 5.1), and nobody can make it
 * smaller under us. Where our descriptors can't be out of the program's way
 * this one is not kept: then root alone finds the mapping. */
static void settle(int fd)
{
	int hidden;

	sys_fcntl(fd, F_ADD_SEALS, VIEW_SEAL_FUTURE_WRITE);
	sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL);
	hidden = fd_hide(fd);
	if (hidden == fd) {
		fd_unhide(fd);
		sys_close(fd);
		hidden = -1;
	}
	view_fd = hidden;
}

static void make_region(void)
{
	struct region_left *left;
	int fd = make_file(), i;

	if (fd < 0)
		return;
	head = sys_map_file(NULL, REGION_BYTES, fd, 0);
	if (!head || !map_rest(fd)) {
		if (head)
			sys_unmap(head, REGION_BYTES);
		head = NULL;
		sys_close(fd);
		return;
	}
	left = part(REGION_LEFT_AT);
	for (i = 0; i < REGION_LEFT; i++)
		left[i].fd = -1;
	head->version = REGION_VERSION;
	head->bytes = REGION_BYTES;
	head->pid = sys_getpid();
	head->counters = STAT_MAX;
	head->start_ns = clock_ns(CLOCK_MONOTONIC);
	head->start_real_ns = clock_ns(CLOCK_REALTIME);
	__atomic_store_n(&head->magic, REGION_MAGIC, __ATOMIC_RELEASE);
	settle(fd);
}

void view_forked(void)
{
	epoch++;
	stat_line = &stats_rest.line;
	if (!head) {
		memset(&stats_rest.line, 0, sizeof(stats_rest.line));
		return;
	}
	/* Written by the parent while it lives: not ours to count in. */
	sys_map_file(&stats_rest, REGION_PAGE, -1, 0);
	sys_unmap(head, REGION_BYTES);
	head = NULL;
	if (view_fd >= 0) {
		fd_unhide(view_fd);
		sys_close(view_fd);
	}
	view_fd = -1;
}

void view_refused(int why)
{
	if (head)
		head->refused = -why;
}

/* --- channels -------------------------------------------------------- */

void view_channel_open(struct thread *th)
{
	struct region_line *line;
	unsigned int i;

	if (!head)
		make_region();
	th->line = NULL;
	if (th->records.epoch != epoch)
		th->records = (struct view_records){ .epoch = epoch };
	for (i = 1; head && i < REGION_LINES; i++) {
		line = line_at(i);
		if (line->state == LINE_FREE)
			break;
	}
	if (!head || i == REGION_LINES)
		return;
	memset(line, 0, sizeof(*line));
	line->tid = sys_gettid();
	line->since_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
	line->buffers = chan_buffers(th->ch);
	line->slots = chan_slots(th->ch);
	__atomic_store_n(&line->state, LINE_LIVE, __ATOMIC_RELEASE);
	th->line = line;
	stat_line = line;
}

/* What it counted is not lost. */
void view_channel_close(struct thread *th)
{
	struct region_line *line = th->line, *rest = &stats_rest.line;
	unsigned int i;

	stat_line = rest;
	th->line = NULL;
	if (!line || !head)
		return;
	for (i = 0; i < REGION_COUNTERS; i++)
		__atomic_fetch_add(&rest->counter[i], line->counter[i],
				   __ATOMIC_RELAXED);
	for (i = 0; i < REGION_BATCHES; i++)
		__atomic_fetch_add(&rest->batch[i], line->batch[i],
				   __ATOMIC_RELAXED);
	__atomic_store_n(&line->state, LINE_FREE, __ATOMIC_RELEASE);
}

uint64_t view_sum(enum stat_id id)
{
	uint64_t sum = stats_rest.line.counter[id];
	unsigned int i;

	for (i = 1; head && i < REGION_LINES; i++)
		if (line_at(i)->state == LINE_LIVE)
			sum += line_at(i)->counter[id];
	return sum;
}

/* --- sockets --------------------------------------------------------- */

static struct region_sock *take_record(struct thread *th)
{
	struct view_records *r = &th->records;
	struct region_sock *record;

	if (!head || r->epoch != epoch)
		return NULL;
	if (r->free) {
		record = sock_at(r->free - 1);
		r->free = record->next;
		return record;
	}
	if (r->fresh == r->end) {
		uint32_t at = __atomic_load_n(&head->socks, __ATOMIC_RELAXED);

		if (at <= REGION_SOCKS - RECORDS_AT_ONCE)
			at = __atomic_fetch_add(&head->socks, RECORDS_AT_ONCE,
						__ATOMIC_RELAXED);
		if (at > REGION_SOCKS - RECORDS_AT_ONCE) {
			head->unrecorded++;
			return NULL;
		}
		r->fresh = at;
		r->end = at + RECORDS_AT_ONCE;
	}
	return sock_at(r->fresh++);
}

/* Between these two a reader takes nothing from the record for granted. */
static void write_begin(struct region_sock *record)
{
	__atomic_store_n(&record->seq, record->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void write_end(struct region_sock *record)
{
	__atomic_store_n(&record->seq, record->seq + 1, __ATOMIC_RELEASE);
}

static void put_name(const struct sockaddr_in6 *sa, uint8_t *address,
		     uint16_t *port)
{
	*port = sa->sin6_port;	/* at the same place for IPv4 */
	if (sa->sin6_family == AF_INET)
		memcpy(address, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	else
		memcpy(address, &sa->sin6_addr, 16);
}

/* Names are needed where the kernel shows none for a number: of a listener,
 * for the connections that it accepts; peers of lightweight sockets. */
static void write_names(struct vsock *vs, struct region_sock *record)
{
	struct sockaddr_in6 sa = { 0 };
	socklen_t len = sizeof(sa);

	record->family = 0;
	record->local_port = record->peer_port = 0;
	memset(record->local, 0, sizeof(record->local));
	memset(record->peer, 0, sizeof(record->peer));
	if (vs->life == VS_LISTEN &&
	    !sys_call3(SYS_getsockname, vs->fd, &sa, &len)) {
		record->family = sa.sin6_family;
		put_name(&sa, record->local, &record->local_port);
	} else if (vs->depth == DEPTH_LW && vs->peer_len) {
		record->family = vs->peer.sin6_family;
		put_name(&vs->peer, record->peer, &record->peer_port);
	}
}

void view_sock_open(struct vsock *vs)
{
	struct region_sock *record = take_record(vs->th);

	if (!record)
		return;
	write_begin(record);
	record->since_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
	record->line = vs->th->line ?
		(uint16_t)(vs->th->line - line_at(0)) : 0;
	write_names(vs, record);
	vs->record = record;
	view_sock_store(vs);
	write_end(record);
}

void view_sock_accepted(struct vsock *vs, const struct vsock *listener)
{
	struct region_sock *record;

	view_sock_open(vs);
	record = vs->record;
	if (!record || !listener->record)
		return;
	record->local_port = listener->record->local_port;
	if (listener->record->family == record->family)
		memcpy(record->local, listener->record->local, 16);
}

void view_sock_close(struct vsock *vs)
{
	struct region_sock *record = vs->record;
	struct view_records *r = &vs->th->records;

	vs->record = NULL;
	if (!record || !head || r->epoch != epoch)
		return;
	write_begin(record);
	record->life = SOCK_FREE;
	record->next = r->free;
	write_end(record);
	r->free = (uint32_t)(record - sock_at(0)) + 1;
}

static uint8_t facts(const struct vsock *vs)
{
	return (uint8_t)(vs->eof * SOCK_FACT_EOF |
			 (vs->reset | vs->refused) * SOCK_FACT_RESET |
			 vs->shut_rd * SOCK_FACT_SHUT_RD |
			 vs->shut_wr * SOCK_FACT_SHUT_WR |
			 vs->nonblock * SOCK_FACT_NONBLOCK);
}

_Static_assert((int)SOCK_LISTEN == VS_LISTEN + 1 &&
	       (int)SOCK_OPEN == VS_OPEN + 1 &&
	       (int)SOCK_CLOSING == VS_CLOSING + 1 &&
	       (int)SHOWN_LW == DEPTH_LW && (int)SHOWN_GIVEN == DEPTH_GIVEN,
	       "shown as they are");

void view_sock_store(struct vsock *vs)
{
	struct region_sock *record = vs->record;
	const struct epent *e = vs->ents;

	record->rx = vs->rx_bytes;
	record->tx = vs->tx_bytes;
	record->fd = vs->fd;
	record->life = vs->life + 1;
	record->depth = vs->depth;
	record->facts = facts(vs);
	record->giving = vs->giving;
	record->events = e ? e->events : 0;
	record->set = e ? e->set->fd : -1;
}

void view_left(int fd, uint32_t reason)
{
	struct region_left *left;

	if (!head || fd < 0)
		return;
	left = (struct region_left *)part(REGION_LEFT_AT) + fd % REGION_LEFT;
	left->fd = -1;
	left->reason = reason;
	left->since_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
	__atomic_store_n(&left->fd, fd, __ATOMIC_RELEASE);
}

/* --- partitions ------------------------------------------------------ */

void view_partition_open(struct partition *p)
{
	struct region_part *record = part(REGION_PARTS_AT);
	struct sockaddr_in6 sa = { 0 };
	socklen_t len = sizeof(sa);
	unsigned int i;

	p->record = NULL;
	for (i = 0; head && i < REGION_PARTS && record->used; i++)
		record++;
	if (!head || i == REGION_PARTS)
		return;
	memset(record, 0, sizeof(*record));
	record->fd = p->fd;
	record->made = p->count;
	record->step = (uint8_t)p->table->step;
	if (!sys_call3(SYS_getsockname, p->fd, &sa, &len)) {
		record->family = sa.sin6_family;
		put_name(&sa, record->address, &record->port);
	}
	p->record = record;
	view_partition(p);
	__atomic_store_n(&record->used, 1, __ATOMIC_RELEASE);
}

void view_partition(struct partition *p)
{
	struct region_part *record = p->record;

	if (!record)
		return;
	record->mine = p->mine;
	record->shared = p->table->shared;
	record->paused = p->paused;
	record->accepted = p->accepted;
	if (p->mine < 0)
		return;
	record->held = p->table->parts[p->mine].held;
	memcpy(record->cpus, p->table->parts[p->mine].cpus,
	       sizeof(record->cpus));
}

void view_partition_close(struct partition *p)
{
	if (p->record)
		p->record->used = 0;
	p->record = NULL;
}
