/* SPDX-License-Identifier: MIT */
/* See leftover.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fdtable.h"
#include "leftover.h"
#include "listener.h"
#include "thread.h"

#define READ_EVENTS (EPOLLIN | EPOLLRDNORM)
#define WRITE_EVENTS (EPOLLOUT | EPOLLWRNORM)

/* How an entry reports, not what. */
#define MODES (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)

/* A set that watches the socket, and for what. Sets are known by number: one
 * that was closed since answers ENOENT, which is no harm. */
struct watch {
	int epfd, fd;
	struct epoll_event ev;
};

/* One in a page; a socket that is in more sets than fit is reported by the
 * kernel alone in the others. */
#define WATCHES ((CHUNK_SIZE - 8) / sizeof(struct watch))

struct leftover {
	int stand_in;		/* -1: nothing is in memory */
	unsigned int count;
	struct watch watch[WATCHES];
};

_Static_assert(sizeof(struct leftover) <= CHUNK_SIZE, "from the chunks' pool");

bool leftover_any(const struct vsock *vs)
{
	return vs->rx_bytes || vs->err || listener_pending(vs);
}

static struct leftover *begin(struct vsock *vs)
{
	struct leftover *l = pool_get(&vs->th->chunks_pool);

	if (!l)
		return NULL;
	l->stand_in = -1;
	l->count = 0;
	vs->left = l;
	return l;
}

static bool raise_stand_in(struct leftover *l)
{
	int fd;

	if (l->stand_in >= 0)
		return true;
	fd = sys_eventfd(1, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	l->stand_in = fd_hide(fd);
	return true;
}

static void drop_stand_in(struct leftover *l)
{
	if (l->stand_in < 0)
		return;
	fd_unhide(l->stand_in);
	sys_close(l->stand_in);
	l->stand_in = -1;
}

static struct watch *find(struct leftover *l, int epfd, int fd)
{
	unsigned int i;

	for (i = 0; i < l->count; i++)
		if (l->watch[i].epfd == epfd && l->watch[i].fd == fd)
			return &l->watch[i];
	return NULL;
}

/* What each of the two reports: the stand-in that there is something to read
 * and, in the same event, room to write if there is; the socket the rest. A
 * one-shot entry must not report twice. */
static void split(int fd, const struct epoll_event *ev,
		  struct epoll_event *memory, struct epoll_event *kernel)
{
	uint32_t told = READ_EVENTS;

	*memory = *kernel = *ev;
	if (!(ev->events & READ_EVENTS)) {
		memory->events = ev->events & MODES;
		return;
	}
	if (sys_poll_now(fd, POLLOUT) & POLLOUT)
		told |= WRITE_EVENTS;
	memory->events = ev->events & (told | MODES);
	kernel->events = ev->events & ~(ev->events & EPOLLONESHOT ? ~MODES :
								    told);
}

static void note(struct leftover *l, int epfd, int fd,
		 const struct epoll_event *ev)
{
	struct watch *w = find(l, epfd, fd);

	if (!w && l->count < WATCHES)
		w = &l->watch[l->count++];
	if (w)
		*w = (struct watch){ .epfd = epfd, .fd = fd, .ev = *ev };
}

static int ctl_del(struct leftover *l, int epfd, int fd)
{
	int ret = sys_epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
	struct watch *w = ret || !l ? NULL : find(l, epfd, fd);

	if (!w)
		return ret;
	/* Not left to its close: a child may have a copy. */
	if (l->stand_in >= 0)
		sys_epoll_ctl(epfd, EPOLL_CTL_DEL, l->stand_in, NULL);
	*w = l->watch[--l->count];
	return 0;
}

int leftover_ctl(struct vsock *vs, int epfd, int op, int fd,
		 const struct epoll_event *ev)
{
	struct leftover *l = vs->left ? vs->left : begin(vs);
	struct epoll_event memory, kernel;
	bool stands_in;
	int ret;

	if (op == EPOLL_CTL_DEL)
		return ctl_del(l, epfd, fd);
	if (!l || !ev)
		return sys_epoll_ctl(epfd, op, fd, (struct epoll_event *)ev);
	kernel = *ev;
	stands_in = leftover_any(vs) && raise_stand_in(l);
	if (stands_in)
		split(fd, ev, &memory, &kernel);
	ret = sys_epoll_ctl(epfd, op, fd, &kernel);
	if (ret < 0)
		return ret;
	if (stands_in && sys_epoll_ctl(epfd, EPOLL_CTL_ADD, l->stand_in,
				       &memory) == -EEXIST)
		sys_epoll_ctl(epfd, EPOLL_CTL_MOD, l->stand_in, &memory);
	note(l, epfd, fd, ev);
	return 0;
}

/* Has a one-shot entry not fired yet? The kernel shows what each waits for
 * (fs/eventpoll.c, ep_show_fdinfo()): "tfd: 7 events: 40000000 ...". In a set
 * so large that it is not found: it has, as programs read when told to. */
static bool is_armed(int epfd, int stand_in)
{
	static const char path[] = "/proc/thread-self/fdinfo/";
	char name[64], buf[4096];
	char *p, *end;
	int fd, n, i = sizeof(name) - 1;

	name[i] = '\0';
	do {
		name[--i] = (char)('0' + epfd % 10);
	} while (epfd /= 10);
	i -= (int)sizeof(path) - 1;
	memcpy(name + i, path, sizeof(path) - 1);
	fd = sys_open(name + i, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = (int)sys_read(fd, buf, sizeof(buf) - 1);
	sys_close(fd);
	buf[n > 0 ? n : 0] = '\0';
	for (p = buf; (p = strstr(p, "tfd:")); p = end) {
		end = p + 4;
		if (strtol(end, &end, 10) != stand_in)
			continue;
		p = strstr(end, "events:");
		return p && strtoul(p + 7, &end, 16) & READ_EVENTS;
	}
	return false;
}

void leftover_show(struct vsock *vs)
{
	struct leftover *l = vs->left;
	unsigned int i;

	if (!l || l->stand_in >= 0 || !leftover_any(vs) || !raise_stand_in(l))
		return;
	for (i = 0; i < l->count; i++) {
		struct watch *w = &l->watch[i];
		struct epoll_event memory, kernel;

		/* One that has fired is told at its next EPOLL_CTL_MOD. */
		if (w->ev.events & EPOLLONESHOT && !is_armed(w->epfd, w->fd))
			continue;
		split(w->fd, &w->ev, &memory, &kernel);
		sys_epoll_ctl(w->epfd, EPOLL_CTL_MOD, w->fd, &kernel);
		sys_epoll_ctl(w->epfd, EPOLL_CTL_ADD, l->stand_in, &memory);
	}
}

void leftover_read(struct vsock *vs)
{
	struct leftover *l = vs->left;
	unsigned int i;

	if (!l || l->stand_in < 0)
		return;
	for (i = 0; i < l->count; i++) {
		struct watch *w = &l->watch[i];
		bool one = w->ev.events & EPOLLONESHOT &&
			   w->ev.events & READ_EVENTS;

		if (!one || is_armed(w->epfd, l->stand_in))
			sys_epoll_ctl(w->epfd, EPOLL_CTL_MOD, w->fd, &w->ev);
		sys_epoll_ctl(w->epfd, EPOLL_CTL_DEL, l->stand_in, NULL);
	}
	drop_stand_in(l);
}

void leftover_close(struct vsock *vs)
{
	struct leftover *l = vs->left;

	while (l && l->count) {
		struct watch w = l->watch[l->count - 1];

		if (ctl_del(l, w.epfd, w.fd))
			l->count--;
	}
	leftover_free(vs);
}

void leftover_free(struct vsock *vs)
{
	struct leftover *l = vs->left;

	if (!l)
		return;
	drop_stand_in(l);
	pool_put(&vs->th->chunks_pool, l);
	vs->left = NULL;
}
