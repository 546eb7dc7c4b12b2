/* SPDX-License-Identifier: MIT */
/*
 * Partitioned listeners and the process: when they are made, what a child
 * inherits, which numbers name them. See partition.h.
 *
 * Owns: the list of them, what is known of calls of listen(), their lock,
 * inside which no other is taken.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "clone.h"
#include "config.h"
#include "fdtable.h"
#include "init.h"
#include "listener.h"
#include "orphan.h"
#include "partition.h"
#include "partition_table.h"
#include "turns.h"

/* Twice as many as CPUs: the workers of a server and those that follow them
 * at a reload. */
#define PER_CPU 2
#define FEWEST 8

/* Listeners of this process, as far as we know them. */
#define NOTES 64

/* Descriptors of ours count against a limit that can't be passed: below this
 * one the program may need them all. */
#define LIMIT_MIN 4096

struct note {
	int fd;
	int backlog;
	bool done;
	bool forked;		/* children have it too */
	uint64_t cookie;	/* SO_COOKIE: never the same again */
};

static struct note notes[NOTES];
static unsigned int note_count;
static struct lock part_lock;
bool partition_any;
struct list partition_list = LIST_INIT(partition_list);
static struct pool part_pool = POOL_INIT(sizeof(struct partition), 65536);

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

void partition_listened(int fd, int backlog)
{
	uint64_t cookie;
	unsigned int i;

	if (shim_off)
		return;
	cookie = cookie_of(fd);
	if (!cookie || !lock_take(&part_lock))
		return;
	for (i = 0; i < note_count && notes[i].fd != fd; i++)
		;
	if (i < NOTES) {
		if (i == note_count)
			note_count++;
		if (notes[i].cookie != cookie)
			notes[i].done = notes[i].forked = false;
		notes[i].fd = fd;
		notes[i].backlog = backlog;
		notes[i].cookie = cookie;
	}
	lock_give(&part_lock);
}

bool partition_only_here(int fd)
{
	uint64_t cookie = cookie_of(fd);
	bool only = false;
	unsigned int i;

	if (!cookie || !lock_take(&part_lock))
		return false;
	for (i = 0; i < note_count && !only; i++)
		only = notes[i].cookie == cookie && !notes[i].forked;
	lock_give(&part_lock);
	return only;
}

/* --- making ---------------------------------------------------------- */

static unsigned int wanted_count(void)
{
	uint64_t cpus[STEER_WORDS] = { 0 };
	unsigned int i, n = 0;

	sys_call3(SYS_sched_getaffinity, 0, sizeof(cpus), cpus);
	for (i = 0; i < STEER_WORDS; i++)
		n += (unsigned int)__builtin_popcountll(cpus[i]);
	n *= PER_CPU;
	n = n < FEWEST ? FEWEST : n;
	return n < STEER_PARTS ? n : STEER_PARTS;
}

/* Room for descriptors of ours, and a way to hear of the end of others. */
static int process_allows(void)
{
	struct rlimit lim;
	int pidfd;

	/* What this process holds keeps no child waiting for another. */
	if (__atomic_load_n(&turns_lock_made, __ATOMIC_RELAXED))
		return -EDEADLK;
	if (sys_prlimit(RLIMIT_NOFILE, NULL, &lim) < 0)
		return -EMFILE;
	if (lim.rlim_cur == lim.rlim_max && lim.rlim_cur < LIMIT_MIN)
		return -EMFILE;
	pidfd = (int)sys_call3(434 /* pidfd_open */, sys_getpid(), 0, 0);
	if (pidfd >= 0)
		sys_close(pidfd);
	return pidfd < 0 ? pidfd : 0;
}

static int number_option(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	sys_getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return value;
}

static bool is_tcp_listener(int fd)
{
	return number_option(fd, SO_ACCEPTCONN) &&
	       number_option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

static void drop_socks(struct partition *p)
{
	unsigned int i;

	for (i = 1; i < p->count; i++) {
		fd_unhide(p->socks[i]);
		sys_close(p->socks[i]);
	}
	fd_unhide(p->guard);
	sys_close(p->guard);
}

static void drop_change(struct partition *p)
{
	fd_unhide(p->change);
	sys_close(p->change);
	orphan_close(p);
}

/* From what can fail to what is seen. */
static int make_socks(struct partition *p, int backlog)
{
	struct steer_fds fds;
	int ret = table_load(p, &fds);

	if (ret < 0)
		return ret;
	p->change = clone_hide(sys_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	ret = p->change < 0 ? p->change : orphan_open(p);
	if (ret < 0 && p->change >= 0)
		drop_change(p);
	if (!ret) {
		ret = clone_listener(p->fd, backlog, p->socks + 1,
				     p->count - 1, &p->guard);
		if (ret < 0)
			drop_change(p);
	}
	if (!ret) {
		ret = table_attach(p, &fds);
		if (ret < 0) {
			drop_socks(p);
			drop_change(p);
		}
	}
	if (ret < 0)
		table_unload(p, &fds);
	return ret;
}

struct partition *partition_new(void)
{
	struct partition *p = pool_get(&part_pool);

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	memset(p->pidfds, 0xff, sizeof(p->pidfds));
	p->kind = OBJ_PARTITION;
	p->refs = 1;
	p->mine = p->table_fd = p->watch = -1;
	p->orphans[0] = p->orphans[1] = -1;
	return p;
}

void partition_free(struct partition *p)
{
	p->kind = OBJ_NONE;
	pool_put(&part_pool, p);
}

void partition_add(struct partition *p)
{
	list_append(&partition_list, &p->all);
	fd_set_object(p->fd, p);
	partition_any = true;
}

static int make(const struct note *note)
{
	struct partition *p;
	int ret = process_allows();

	if (!ret)
		ret = clone_possible(note->fd);
	if (ret < 0)
		return ret;
	p = partition_new();
	if (!p)
		return -ENOMEM;
	p->fd = p->socks[0] = note->fd;
	p->count = wanted_count();
	ret = make_socks(p, note->backlog);
	if (ret < 0)
		partition_free(p);
	else
		partition_add(p);
	return ret;
}

/* One that is adopted has its object: this process is a server itself. */
static void consider(struct note *note)
{
	int ret;

	if (note->done || fd_object(note->fd) ||
	    cookie_of(note->fd) != note->cookie ||
	    !is_tcp_listener(note->fd) || !config_takes_socket(note->fd))
		return;
	note->done = true;
	ret = make(note);
	stat_inc(ret < 0 ? STAT_partition_refused : STAT_partitioned);
	shim_tell(ret < 0 ? "listener %d is not partitioned: %s" :
			    "listener %d is partitioned%s",
		  note->fd, ret < 0 ? strerrordesc_np(-ret) : "");
}

void partition_before_fork(void)
{
	unsigned int i;

	if (!lock_take(&part_lock))
		return;
	for (i = 0; i < note_count; i++) {
		notes[i].forked = true;
		if (opts.partition != PARTITION_OFF && init_usable())
			consider(&notes[i]);
	}
}

void partition_after_fork(void)
{
	if (lock_is_mine(&part_lock))
		lock_give(&part_lock);
}

static void forget_process(struct partition *p)
{
	unsigned int i;

	for (i = 0; i < p->count; i++) {
		if (p->pidfds[i] < 0)
			continue;
		fd_unhide(p->pidfds[i]);
		sys_close(p->pidfds[i]);
		p->pidfds[i] = -1;
		p->owners[i] = 0;
	}
	if (p->watch >= 0) {
		fd_unhide(p->watch);
		sys_close(p->watch);
	}
	p->watch = p->mine = -1;
	p->record = NULL;
	p->accepted = 0;
	p->vs = NULL;
	p->handle = 0;
	p->native = p->armed = p->elsewhere = p->moved = false;
	memset(p->watched, 0, sizeof(p->watched));
}

void partition_forked(void)
{
	struct list *node;

	part_lock = (struct lock){ 0 };
	turns_forked();
	for (node = partition_list.next; node != &partition_list;
	     node = node->next)
		forget_process(list_entry(node, struct partition, all));
}

/* --- numbers --------------------------------------------------------- */

void partition_named(struct partition *p, int fd)
{
	if (!lock_take(&part_lock))
		return;
	p->refs++;
	fd_set_object(fd, p);
	lock_give(&part_lock);
}

static void rename_to_other(struct partition *p, int fd)
{
	int i;

	for (i = 0; p->fd == fd && i < FD_TABLE_MAX; i++)
		if (i != fd && fd_object(i) == (void *)p)
			p->fd = p->socks[0] = i;
}

/* Where nobody else has the clones, what waited there has moved to the
 * program's own socket; before Linux 7.1 who waits for that is not told
 * (inet_csk_listen_stop()).
 * LIMIT: who is killed can't tell: then it waits until the next connection
 * wakes whoever has that socket, or that one looks by itself. */
static void tell_moved(const struct partition *p)
{
	listener_wake_all(p->fd);
}

void partition_closed(struct partition *p, int fd)
{
	bool last;

	if (!lock_take(&part_lock))
		return;
	fd_set_object(fd, NULL);
	last = !--p->refs;
	if (last)
		list_remove(&p->all);
	else
		rename_to_other(p, fd);
	lock_give(&part_lock);
	if (!last)
		return;
	drop_socks(p);
	tell_moved(p);
	drop_change(p);
	table_unload(p, NULL);
	if (!lock_take(&part_lock))
		return;
	partition_free(p);
	lock_give(&part_lock);
}

/* --- all of them ----------------------------------------------------- */

void partition_share_all(void)
{
	struct list *node;

	if (!lock_take(&part_lock))
		return;
	for (node = partition_list.next; node != &partition_list;
	     node = node->next)
		partition_share(list_entry(node, struct partition, all));
	lock_give(&part_lock);
}

void partition_pass(struct partition *p)
{
	table_share(p);
}

void partition_passed(int fd)
{
	uint64_t cookie = note_count ? cookie_of(fd) : 0;
	unsigned int i;

	if (!cookie || !lock_take(&part_lock))
		return;
	for (i = 0; i < note_count; i++)
		if (notes[i].cookie == cookie)
			notes[i].forked = true;
	lock_give(&part_lock);
}

void partition_end(void)
{
	struct list *node;

	if (!lock_take(&part_lock))
		return;
	for (node = partition_list.next; node != &partition_list;
	     node = node->next) {
		struct partition *p = list_entry(node, struct partition, all);

		drop_socks(p);
		p->count = 1;
		tell_moved(p);
	}
	lock_give(&part_lock);
}

void partition_exit(void)
{
	struct list *node;

	if (!lock_take(&part_lock))
		return;
	for (node = partition_list.next; node != &partition_list;
	     node = node->next)
		table_release(list_entry(node, struct partition, all));
	lock_give(&part_lock);
}

/* --- the program's calls --------------------------------------------- */

long partition_accept_native(struct partition *p, struct sockaddr *addr,
			     socklen_t *len, int flags)
{
	unsigned int i;
	long ret = -EAGAIN;

	for (i = 1; i < partition_live(p) && ret == -EAGAIN; i++)
		ret = sys_call4(SYS_accept4, p->socks[i], addr, len, flags);
	return ret != -EAGAIN ? ret : orphan_take(p, addr, len, flags);
}

void partition_ctl(struct partition *p, int epfd, int op,
		   const struct epoll_event *ev)
{
	/* What was shut down would be told of for ever. */
	int theirs = p->table->stopped ? EPOLL_CTL_DEL : op;
	unsigned int i;

	for (i = 1; p->native && i < p->table->used && i < p->count; i++)
		sys_epoll_ctl(epfd, theirs, p->socks[i],
			      (struct epoll_event *)ev);
	if (p->native)
		sys_epoll_ctl(epfd, op, p->orphans[1],
			      (struct epoll_event *)ev);
}

int partition_option(struct partition *p, int level, int name,
		     const void *val, socklen_t len)
{
	bool port = level == SOL_SOCKET && name == SO_REUSEPORT;
	int ret = sys_setsockopt(p->fd, level, name, val, len), value;
	static const int on = 1;
	unsigned int i;

	if (ret < 0)
		return ret;
	if (port) {
		memcpy(&value, val, sizeof(value));
		p->reuseport = value;
		sys_setsockopt(p->fd, level, name, &on, sizeof(on));
		return 0;
	}
	for (i = 1; i < p->count; i++)
		sys_setsockopt(p->socks[i], level, name, val, len);
	return 0;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 sa = { 0 };
	socklen_t len = sizeof(sa);

	sys_call3(SYS_getsockname, fd, &sa, &len);
	return sa.sin6_port;		/* at the same place for IPv4 */
}

bool partition_lent_port(int fd)
{
	uint16_t port = port_of(fd);
	struct list *node;
	bool lent = false;

	if (number_option(fd, SO_PROTOCOL) != IPPROTO_TCP ||
	    number_option(fd, SO_ACCEPTCONN) || !lock_take(&part_lock))
		return false;
	for (node = partition_list.next; node != &partition_list && !lent;
	     node = node->next)
		lent = port_of(list_entry(node, struct partition, all)->fd) ==
		       port;
	lock_give(&part_lock);
	return lent;
}

void partition_backlog(struct partition *p, int backlog)
{
	unsigned int i;

	/* Those that nobody has claimed yet, too. */
	for (i = 1; !p->table->stopped && i < p->count; i++)
		sys_call3(SYS_listen, p->socks[i], backlog, 0);
}

/* The listener stops for all who have it. It may listen again, and the guard
 * must let it. */
void partition_stop(struct partition *p)
{
	static const int on = 1;
	unsigned int i;

	p->table->stopped = 1;
	sys_setsockopt(p->guard, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	sys_setsockopt(p->guard, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	table_share(p);
	table_changed(p);	/* ... who shared it already, too */
	for (i = 1; i < p->count; i++)
		sys_shutdown(p->socks[i], SHUT_RDWR);
}
