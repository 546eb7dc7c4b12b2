/* SPDX-License-Identifier: MIT */
/* See leftover.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fdtable.h"
#include "fdinfo.h"
#include "leftover.h"
#include "listener.h"
#include "thread.h"

#define READ_EVENTS ((uint32_t)EPOLLIN | EPOLLRDNORM)
#define WRITE_EVENTS (EPOLLOUT | EPOLLWRNORM)

/* How an entry reports, not what. */
#define MODES (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)

/* Who reports to a set. */
enum teller {
	KERNEL,		/* the socket, as if nothing were in memory */
	BOTH,		/* the stand-in, and the socket what that can't tell */
	STAND_IN,	/* it alone: a one-shot entry */
	NOBODY,		/* a one-shot entry has fired */
};

/* A set that watches the socket, and for what. Sets are known by number: one
 * that was closed since answers ENOENT, which is no harm. */
struct watch {
	int epfd;
	int fd;			/* the program's number, -1: it was closed */
	int key;		/* the number that the kernel's set knows */
	int stand_in;		/* the eventfd, -1: nothing is in memory */
	enum teller teller;
	struct epoll_event ev;
};

/* One in a page; a socket that is in more sets than fit is reported by the
 * kernel alone in the others. */
#define WATCHES ((CHUNK_SIZE - 16) / sizeof(struct watch))

struct leftover {
	int nameless;		/* key of entries whose number was closed */
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
	l->nameless = -1;
	l->count = 0;
	vs->left = l;
	return l;
}

static bool raise_stand_in(struct watch *w)
{
	int fd;

	if (w->stand_in >= 0)
		return true;
	fd = sys_eventfd(1, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	w->stand_in = fd_hide(fd);
	return true;
}

static void drop(int *fd)
{
	if (*fd < 0)
		return;
	fd_unhide(*fd);
	sys_close(*fd);
	*fd = -1;
}

static struct watch *find(struct leftover *l, int epfd, int fd)
{
	unsigned int i;

	for (i = 0; i < l->count; i++)
		if (l->watch[i].epfd == epfd && l->watch[i].fd == fd)
			return &l->watch[i];
	return NULL;
}

static int put(int epfd, int fd, struct epoll_event *ev)
{
	int ret = sys_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, ev);

	if (ret == -EEXIST)
		ret = sys_epoll_ctl(epfd, EPOLL_CTL_MOD, fd, ev);
	return ret;
}

static void take_out(int epfd, int fd)
{
	if (fd >= 0)
		sys_epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
}

/* Not left to its close: a child may have a copy. */
static void dismiss(struct watch *w)
{
	take_out(w->epfd, w->stand_in);
	drop(&w->stand_in);
}

/* The stand-in tells that there is something to read and, in the same event,
 * that there is room to write; the socket the rest. A one-shot entry must not
 * tell twice: there the stand-in is alone. */
static void divide(struct watch *w, int now)
{
	uint32_t told = READ_EVENTS | (now & POLLOUT ? WRITE_EVENTS : 0);
	struct epoll_event part = w->ev;

	part.events = w->ev.events & (told | MODES);
	put(w->epfd, w->stand_in, &part);
	w->teller = w->ev.events & EPOLLONESHOT ? STAND_IN : BOTH;
	if (w->teller == STAND_IN) {
		take_out(w->epfd, w->key);
		return;
	}
	/* Edge-triggered sets must hear of each arrival behind it. */
	if (w->ev.events & EPOLLET)
		told &= ~READ_EVENTS;
	part.events = w->ev.events & ~told;
	put(w->epfd, w->key, &part);
}

/* The kernel's set has the entry: the stand-in joins it, or leaves. After the
 * peer's end the kernel itself says that the socket is readable. */
static void tell(const struct vsock *vs, struct watch *w)
{
	int now = sys_poll_now(w->key, POLLOUT | POLLRDHUP);

	if (w->ev.events & READ_EVENTS && leftover_any(vs) && now >= 0 &&
	    !(now & (POLLRDHUP | POLLHUP | POLLERR)) && raise_stand_in(w))
		divide(w, now);
	else
		dismiss(w);
}

static bool in_kernels_set(const struct watch *w)
{
	return w->teller == KERNEL || w->teller == BOTH;
}

static int ctl_del(struct leftover *l, int epfd, int fd)
{
	struct watch *w = l ? find(l, epfd, fd) : NULL;
	int ret = 0;

	if (!w || in_kernels_set(w))
		ret = sys_epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
	if (ret || !w)
		return ret;
	dismiss(w);
	*w = l->watch[--l->count];
	return 0;
}

static struct watch *note(struct leftover *l, int epfd, int fd, int key,
			  const struct epoll_event *ev)
{
	struct watch *w = fd < 0 ? NULL : find(l, epfd, fd);
	int stand_in = w ? w->stand_in : -1;

	if (!w && l->count < WATCHES)
		w = &l->watch[l->count++];
	if (w)
		*w = (struct watch){ epfd, fd, key, stand_in, KERNEL, *ev };
	return w;
}

int leftover_ctl(struct vsock *vs, int epfd, int op, int fd,
		 const struct epoll_event *ev)
{
	struct leftover *l = vs->left ? vs->left : begin(vs);
	struct watch *w = l ? find(l, epfd, fd) : NULL;
	struct epoll_event copy;
	int ret;

	if (op == EPOLL_CTL_DEL)
		return ctl_del(l, epfd, fd);
	if (w && op == EPOLL_CTL_ADD)
		return -EEXIST;
	/* What is wrong with the call is said by the kernel. */
	if (w && !in_kernels_set(w) && op == EPOLL_CTL_MOD)
		op = EPOLL_CTL_ADD;
	if (ev)
		copy = *ev;
	ret = sys_epoll_ctl(epfd, op, fd, ev ? &copy : NULL);
	if (ret < 0 || !l)
		return ret;
	w = note(l, epfd, fd, fd, ev);
	if (w)
		tell(vs, w);
	return 0;
}

/* The key of entries whose number was closed: the program can't find them any
 * more, and gets their events until the last number is closed. */
static int nameless(struct vsock *vs, struct leftover *l)
{
	int fd;

	if (l->nameless >= 0)
		return l->nameless;
	fd = sys_fcntl(vs->fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		l->nameless = fd_hide(fd);
	return l->nameless;
}

static void hide_entry(struct vsock *vs, struct leftover *l, struct watch *w)
{
	int old = w->key;
	bool fired = w->ev.events & EPOLLONESHOT && w->teller == KERNEL &&
		     !leftover_is_armed(w->epfd, old);

	w->fd = -1;
	w->key = nameless(vs, l);
	if (!in_kernels_set(w))
		return;
	take_out(w->epfd, old);
	if (fired) {
		w->teller = NOBODY;
		return;
	}
	w->teller = KERNEL;
	put(w->epfd, w->key, &w->ev);
	tell(vs, w);
}

void leftover_rename(struct vsock *vs, int fd)
{
	struct leftover *l = vs->left;
	unsigned int i;

	for (i = 0; l && i < l->count; i++)
		if (l->watch[i].fd == fd)
			hide_entry(vs, l, &l->watch[i]);
}

void leftover_enter(struct vsock *vs, int epfd, int fd,
		    const struct epoll_event *ev, bool fired)
{
	struct leftover *l = vs->left ? vs->left : begin(vs);
	struct epoll_event copy = *ev;
	struct watch *w;
	int key = fd;

	if (fd_object(fd) != (void *)vs) {
		key = l ? nameless(vs, l) : vs->fd;
		fd = -1;
	}
	w = l ? note(l, epfd, fd, key, ev) : NULL;
	if (fired && w) {
		w->teller = NOBODY;
		return;
	}
	put(epfd, key, &copy);
	if (w)
		tell(vs, w);
}

bool leftover_keeps(const struct vsock *vs)
{
	unsigned int i;

	for (i = 0; vs->left && i < vs->left->count; i++)
		if (!in_kernels_set(&vs->left->watch[i]) ||
		    vs->left->watch[i].fd < 0)
			return true;
	return false;
}

/* A file's number as the kernel shows it. */
static uint64_t inode_of(int fd)
{
	struct stat st;

	return sys_call3(SYS_fstat, fd, &st, 0) < 0 ? 0 : st.st_ino;
}

/* Is it the line of the file on *tfd*? One that was there before may live on
 * under a copy. */
static bool is_line_of(const char *line, uint64_t inode)
{
	char *p = strstr(line, "ino:");

	return !p || strtoull(p + 4, NULL, 16) == inode;
}

/* Has a one-shot entry not fired yet? The kernel shows what each waits for
 * (fs/eventpoll.c, ep_show_fdinfo()): "tfd: 7 events: 40000000 data: 2a  pos:0
 * ino:1c1f sdev:8". In a set so large that it is not found: it has, as
 * programs read when told to. */
bool leftover_is_armed(int epfd, int tfd)
{
	uint64_t inode = inode_of(tfd);
	char buf[8192];
	char *p, *end;

	if (fdinfo_read(epfd, buf, sizeof(buf)) < 0)
		return false;
	for (p = buf; (p = strstr(p, "tfd:")); p = end) {
		end = p + 4;
		if (strtol(end, &end, 10) != tfd || !is_line_of(end, inode))
			continue;
		p = strstr(end, "events:");
		return p && strtoul(p + 7, &end, 16) & ~(unsigned long)MODES;
	}
	return false;
}

/* More behind what a set was told of: an edge. */
static void show_again(struct watch *w)
{
	static const uint64_t one = 1;

	sys_write(w->stand_in, &one, sizeof(one));
}

void leftover_show(struct vsock *vs)
{
	struct leftover *l = vs->left;
	unsigned int i;

	if (!l || !leftover_any(vs))
		return;
	for (i = 0; i < l->count; i++) {
		struct watch *w = &l->watch[i];

		/* One that has fired is told at its next EPOLL_CTL_MOD. */
		if (w->stand_in >= 0)
			show_again(w);
		else if (w->teller == KERNEL &&
			 (!(w->ev.events & EPOLLONESHOT) ||
			  leftover_is_armed(w->epfd, w->key)))
			tell(vs, w);
	}
}

void leftover_room(struct vsock *vs)
{
	struct leftover *l = vs->left;
	unsigned int i;

	for (i = 0; l && i < l->count; i++) {
		struct watch *w = &l->watch[i];

		if (!(w->ev.events & EPOLLET) ||
		    !(w->ev.events & WRITE_EVENTS) || !in_kernels_set(w) ||
		    (w->ev.events & EPOLLONESHOT &&
		     !leftover_is_armed(w->epfd, w->key)))
			continue;
		if (w->teller == KERNEL)
			put(w->epfd, w->key, &w->ev);
		tell(vs, w);
	}
}

/* A one-shot entry that the stand-in has not fired waits again. */
static void restore(struct watch *w)
{
	if (w->teller == STAND_IN && !leftover_is_armed(w->epfd, w->stand_in))
		w->teller = NOBODY;
	if (w->teller == STAND_IN || w->teller == BOTH) {
		put(w->epfd, w->key, &w->ev);
		w->teller = KERNEL;
	}
	dismiss(w);
}

void leftover_read(struct vsock *vs)
{
	struct leftover *l = vs->left;
	unsigned int i;

	for (i = 0; l && i < l->count; i++)
		if (l->watch[i].stand_in >= 0)
			restore(&l->watch[i]);
}

void leftover_close(struct vsock *vs)
{
	struct leftover *l = vs->left;
	unsigned int i;

	for (i = 0; l && i < l->count; i++) {
		if (vs->shared) {
			restore(&l->watch[i]);
			continue;
		}
		take_out(l->watch[i].epfd, l->watch[i].key);
		dismiss(&l->watch[i]);
	}
	leftover_free(vs);
}

void leftover_free(struct vsock *vs)
{
	struct leftover *l = vs->left;
	unsigned int i;

	if (!l)
		return;
	for (i = 0; i < l->count; i++)
		drop(&l->watch[i].stand_in);
	drop(&l->nameless);
	pool_put(&vs->th->chunks_pool, l);
	vs->left = NULL;
}
