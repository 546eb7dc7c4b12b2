/* SPDX-License-Identifier: MIT */
/*
 * See spread.h.
 *
 * LIMIT: partitions are of the channels of one process. Processes partition
 * by each having a listening socket of its own with SO_REUSEPORT.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>

#include "bpf/steer.h"
#include "spread.h"
#include "sys.h"

#define TABLE_BYTES sizeof(struct steer_table)
#define GROUPS_MAX 64

_Static_assert(sizeof(((struct mp_cpu_mask *)0)->bits) ==
		       STEER_WORDS * sizeof(__u64), "a mask is a part's");

struct spread {
	uint64_t cookie;	/* of the socket, 0: unused */
	enum mp_partition kind;
	struct steer_fds fds;	/* of the kernel's own program */
	struct steer_table *table;
	unsigned int members;
	int original;		/* the socket itself, -1: closed */
	int fd[STEER_PARTS];	/* of places, active or idle; -1: none */
};

static struct spread groups[GROUPS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return sys_getsockopt(fd, level, name, &value, &len) < 0 ? 0 : value;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

static int set_reuseport(int fd)
{
	const int on = 1;

	return sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

/* --- clones --------------------------------------------------------------- */

/* What must agree for two sockets to share a port, and what connections have
 * from their listener. */
static const struct {
	int level, name;
} copied[] = {
	{ SOL_SOCKET, SO_REUSEADDR },
	{ SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_RCVBUF },
	{ SOL_SOCKET, SO_SNDBUF },
	{ SOL_SOCKET, SO_MARK },
	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT },
	{ IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_FASTOPEN },
	{ IPPROTO_IPV6, IPV6_V6ONLY },
};

/* The kernel doubles a buffer size when it is set. */
static int as_set(int name, int value)
{
	return name == SO_RCVBUF || name == SO_SNDBUF ? value / 2 : value;
}

/* Only what differs: setting some options, even to the same value, changes
 * what the kernel does by itself. */
static void copy_options(int from, int to)
{
	size_t i;

	for (i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		int level = copied[i].level, name = copied[i].name;
		int value = option(from, level, name);

		if (value == option(to, level, name))
			continue;
		if (level == SOL_SOCKET)
			value = as_set(name, value);
		sys_setsockopt(to, level, name, &value, sizeof(value));
	}
}

static int backlog_of(int fd)
{
	struct tcp_info info = { .tcpi_sacked = 128 };
	socklen_t len = sizeof(info);

	sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return (int)info.tcpi_sacked;
}

/* A socket that listens beside *fd*, or -errno. */
static int clone_listener(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int ret, family = option(fd, SOL_SOCKET, SO_DOMAIN);
	int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int new = (int)sys_call3(SYS_socket, family, flags, 0);

	if (new < 0)
		return new;
	copy_options(fd, new);
	ret = set_reuseport(new);
	if (!ret)
		ret = (int)sys_call3(SYS_getsockname, fd, &addr, &len);
	if (!ret)
		ret = (int)sys_call3(SYS_bind, new, &addr, len);
	if (!ret)
		ret = (int)sys_call3(SYS_listen, new, backlog_of(fd), 0);
	if (!ret)
		return new;
	sys_close(new);
	return ret;
}

/* --- groups --------------------------------------------------------------- */

static struct spread *find(uint64_t cookie)
{
	unsigned int i;

	for (i = 0; i < GROUPS_MAX; i++)
		if (groups[i].cookie == cookie)
			return &groups[i];
	return NULL;
}

static void close_program(struct spread *g)
{
	sys_close(g->fds.table);
	sys_close(g->fds.sockets);
	sys_close(g->fds.program);
}

static void close_group(struct spread *g)
{
	unsigned int i;

	for (i = 0; i < g->table->count; i++)
		if (g->fd[i] >= 0 && g->fd[i] != g->original)
			sys_close(g->fd[i]);
	if (g->kind == MP_PARTITION_EBPF)
		close_program(g);
	sys_unmap(g->table, TABLE_BYTES);
	*g = (struct spread){ .cookie = 0 };
}

static void drop_program(struct spread *g)
{
	if (g->table)
		sys_unmap(g->table, TABLE_BYTES);
	g->table = NULL;
	close_program(g);
}

/* The kernel's own program, not yet in force; or -errno. That takes it tens of
 * milliseconds. */
static int load_program(struct spread *g)
{
	int ret = steer_load(&g->fds);

	if (ret < 0)
		return ret;
	g->table = sys_map_file(NULL, TABLE_BYTES, g->fds.table, 0);
	if (g->table)
		return 0;
	close_program(g);
	return -ENOMEM;
}

static int attach_program(struct spread *g)
{
	int ret = steer_add(g->fds.sockets, 0, g->fd[0]);

	if (!ret)
		ret = steer_add(g->fds.sockets, 1, g->fd[1]);
	if (!ret)
		ret = steer_attach(g->fd[0], g->fds.program);
	return ret;
}

/* The second place may have got connections before the program was in force,
 * and nobody need ever take it. When it is closed the program has the choice,
 * which is the first place, and nothing comes to a new one. */
static int empty_second(struct spread *g)
{
	sys_close(g->fd[1]);
	g->fd[1] = clone_listener(g->fd[0]);
	return g->fd[1] < 0 ? g->fd[1] :
			      steer_add(g->fds.sockets, 1, g->fd[1]);
}

/* A socket that began to listen without SO_REUSEPORT becomes one of a group
 * when a second one joins it (inet_reuseport_add_sock()), so the second place
 * is made at once.
 * LIMIT: without the kernel's own program, a connection that comes right then
 * waits for who takes that place. */
static int open_sockets(struct spread *g, int fd)
{
	unsigned int i;
	int ret = set_reuseport(fd);

	if (ret < 0)
		return ret;
	for (i = 0; i < STEER_PARTS; i++)
		g->fd[i] = -1;
	g->original = g->fd[0] = fd;
	g->fd[1] = clone_listener(fd);
	return g->fd[1] < 0 ? g->fd[1] : 0;
}

static int open_group(struct spread *g, int fd, uint64_t cookie)
{
	bool loaded = load_program(g) == 0;
	int ret = open_sockets(g, fd);

	if (loaded && (ret < 0 || attach_program(g) < 0)) {
		drop_program(g);
		loaded = false;
	}
	if (ret < 0)
		return ret;
	g->kind = loaded ? MP_PARTITION_EBPF : MP_PARTITION_CBPF;
	if (!g->table)
		g->table = sys_map(TABLE_BYTES, MAP_PRIVATE);
	if (!g->table) {
		sys_close(g->fd[1]);
		return -ENOMEM;
	}
	g->table->count = 2;
	g->cookie = cookie;
	g->members = 0;
	if (loaded && empty_second(g) < 0) {
		close_group(g);
		return -ENOMEM;
	}
	return 0;
}

/* The program that has the table in its code is made anew. */
static void attach_classic(struct spread *g)
{
	unsigned int i;

	for (i = 0; i < g->table->count; i++) {
		if (!g->table->parts[i].owner)
			continue;
		if (steer_attach_classic(g->fd[i], g->table, true,
					 STEER_CPUS) < 0)
			g->kind = MP_PARTITION_HASH;
		return;
	}
}

/* --- members -------------------------------------------------------------- */

/* An idle place, or one without a socket: any with the kernel's own program,
 * the next with a classic one, which knows the order of listening. */
static unsigned int free_index(const struct spread *g)
{
	unsigned int i, none = g->table->count;

	for (i = 0; i < g->table->count; i++) {
		if (g->fd[i] >= 0 && !g->table->parts[i].owner)
			return i;
		if (i && g->fd[i] < 0 && g->kind == MP_PARTITION_EBPF)
			none = i;
	}
	return none;
}

static void activate(struct spread *g, const struct spread_place *place,
		     const struct mp_cpu_mask *mask)
{
	struct steer_part *p = &g->table->parts[place->index];

	memcpy(p->cpus, mask->bits, sizeof(p->cpus));
	p->held = p->paused = 0;
	p->seen = p->steered;
	if (place->index >= g->table->count)
		__atomic_store_n(&g->table->count, place->index + 1,
				 __ATOMIC_RELEASE);
	__atomic_store_n(&p->owner, (__u32)sys_gettid(), __ATOMIC_RELEASE);
	g->members++;
	if (g->kind != MP_PARTITION_EBPF)
		attach_classic(g);
}

/* The first one has the socket itself. */
static int take_place(struct spread *g, int fd, struct spread_place *place)
{
	int ret = 0;

	place->index = free_index(g);
	if (place->index >= STEER_PARTS)
		return -ENOSPC;
	place->fd = g->fd[place->index];
	if (place->fd == g->original)
		place->fd = fd;
	if (place->fd < 0)
		place->fd = ret = clone_listener(fd);
	if (ret > 0 && g->kind == MP_PARTITION_EBPF) {
		ret = steer_add(g->fds.sockets, place->index, place->fd);
		if (ret < 0)
			sys_close(place->fd);
	}
	if (ret < 0)
		return ret;
	if (place->fd == fd)
		g->original = fd;
	place->clone = place->fd != fd;
	g->fd[place->index] = place->fd;
	return 0;
}

static int join(int fd, uint64_t cookie, const struct mp_cpu_mask *mask,
		struct spread_place *place)
{
	struct spread *g = find(cookie);

	if (!g) {
		g = find(0);
		if (!g || open_group(g, fd, cookie) < 0)
			return MP_PARTITION_SHARED;
	}
	if (take_place(g, fd, place) < 0) {
		place->fd = fd;
		return MP_PARTITION_SHARED;
	}
	place->group = g;
	place->balanced = g->kind == MP_PARTITION_EBPF;
	activate(g, place, mask);
	return (int)g->kind;
}

static bool is_listener(int fd)
{
	return option(fd, SOL_SOCKET, SO_ACCEPTCONN) &&
	       option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
}

int spread_join(int fd, const struct mp_cpu_mask *mask,
		struct spread_place *place)
{
	static const struct mp_cpu_mask none;
	uint64_t cookie = cookie_of(fd);
	int ret;

	place->fd = fd;
	if (!cookie || !is_listener(fd) || !memcmp(mask, &none, sizeof(none)))
		return -EINVAL;
	pthread_mutex_lock(&lock);
	ret = join(fd, cookie, mask, place);
	pthread_mutex_unlock(&lock);
	return ret;
}

static unsigned int index_of(const struct spread *g,
			     const struct spread_place *place)
{
	unsigned int i;

	for (i = 0; i < g->table->count; i++)
		if (g->fd[i] == place->fd)
			return i;
	return place->index;
}

void spread_pause(struct spread_place *place)
{
	struct spread *g = place->group;

	if (!g)
		return;
	pthread_mutex_lock(&lock);
	__atomic_store_n(&g->table->parts[index_of(g, place)].owner, 0,
			 __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}

/* A kernel that has moved a connection from the closed one to another does
 * not wake who waits for it (before April 2026); this does, and nothing else:
 * inet_shutdown() of a listening socket. */
static void kick(const struct spread *g)
{
	unsigned int i;

	for (i = 0; i < g->table->count; i++)
		if (g->table->parts[i].owner)
			sys_shutdown(g->fd[i], SHUT_WR);
}

/* The kernel puts the last one into the place that became free. The mover is
 * not told: its place is found by its descriptor. */
static void close_gap(struct spread *g, unsigned int index)
{
	unsigned int last = g->table->count - 1;

	if (index != last) {
		g->table->parts[index] = g->table->parts[last];
		g->fd[index] = g->fd[last];
	}
	g->table->parts[last].owner = 0;
	g->table->count = last;
	attach_classic(g);
}

void spread_leave(struct spread_place *place, bool closed)
{
	struct spread *g = place->group;
	unsigned int index;
	bool gone;

	if (!g)
		return;
	pthread_mutex_lock(&lock);
	index = index_of(g, place);
	gone = closed || place->clone;
	g->table->parts[index].owner = 0;
	if (!closed && place->clone)
		sys_close(place->fd);
	if (closed && !place->clone)
		g->original = -1;
	if (gone)
		g->fd[index] = -1;
	if (--g->members == 0) {
		close_group(g);
	} else if (g->kind == MP_PARTITION_EBPF) {
		kick(g);
	} else if (gone) {
		close_gap(g, index);
	} else {
		attach_classic(g);
	}
	pthread_mutex_unlock(&lock);
	place->group = NULL;
}

void spread_count(const struct spread_place *place, unsigned int held,
		  bool taken)
{
	struct steer_part *p;

	if (!place->group || !place->balanced)
		return;
	p = &place->group->table->parts[place->index];
	__atomic_store_n(&p->held, held, __ATOMIC_RELAXED);
	if (taken)
		__atomic_store_n(&p->seen, p->seen + 1, __ATOMIC_RELAXED);
}
