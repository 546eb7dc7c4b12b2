/* SPDX-License-Identifier: MIT */
/* See orphan.h. */
#include <errno.h>
#include <string.h>

#include "clone.h"
#include "fdtable.h"
#include "orphan.h"
#include "user.h"

/* Each connection is a message: its name, and it. */
struct orphan {
	struct sockaddr_storage name;
	socklen_t len;
};

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Room for what a server of many workers leaves at once: 4 MiB where the
 * privilege allows, else what anybody gets. A message takes about 1 KiB. */
#define ROOM (4 << 20)

int orphan_open(struct partition *p)
{
	static const int room = ROOM;
	int pair[2], ret, i;

	ret = (int)sys_call4(SYS_socketpair, AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			     pair);
	if (ret < 0)
		return ret;
	if (sys_setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room,
			   sizeof(room)) < 0)
		sys_setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room,
			       sizeof(room));
	for (i = 0; i < 2; i++) {
		p->orphans[i] = clone_hide(pair[i]);
		if (p->orphans[i] < 0)
			ret = p->orphans[i];
	}
	if (ret < 0)
		orphan_close(p);
	return ret;
}

void orphan_close(struct partition *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (p->orphans[i] < 0)
			continue;
		fd_unhide(p->orphans[i]);
		sys_close(p->orphans[i]);
		p->orphans[i] = -1;
	}
}

/* If nobody takes it, it ends as what waits in a listener that is closed: by a
 * reset. */
static const struct linger reset = { .l_onoff = 1 };

bool orphan_give(struct partition *p, int fd,
		 const struct sockaddr_storage *name, socklen_t len)
{
	struct orphan o = { .len = len };
	struct iovec iov = { &o, sizeof(o) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	if (len > sizeof(o.name))
		return false;
	memcpy(&o.name, name, len);
	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (sys_call3(SYS_sendmsg, p->orphans[0], &msg,
		      MSG_DONTWAIT | MSG_NOSIGNAL) != (long)sizeof(o))
		return false;
	stat_inc(STAT_orphans_given);
	return true;
}

/* A message that finds no number for its descriptor is lost: asked before. */
static int number_is_free(int any)
{
	int fd = sys_fcntl(any, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		sys_close(fd);
	return fd < 0 ? fd : 0;
}

static int receive(int sock, struct orphan *o)
{
	struct iovec iov = { o, sizeof(*o) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;
	long ret = sys_call3(SYS_recvmsg, sock, &msg,
			     MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (ret < 0)
		return (int)ret;
	head = CMSG_FIRSTHDR(&msg);
	if (!ret || !head)
		return -EAGAIN;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

/* As a connection that was just accepted. */
static void dress(const struct partition *p, int fd, int flags)
{
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);

	sys_getsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (!(flags & SOCK_NONBLOCK))
		sys_fcntl(fd, F_SETFL, O_RDWR);
	if (!(flags & SOCK_CLOEXEC))
		sys_fcntl(fd, F_SETFD, 0);
}

static bool is_empty(const struct partition *p)
{
	return sys_poll_now(p->orphans[1], POLLIN) <= 0;
}

long orphan_take(struct partition *p, struct sockaddr *addr, socklen_t *len,
		 int flags)
{
	struct orphan o;
	int fd;

	if (is_empty(p))
		return -EAGAIN;
	if (addr && (user_bad(len, sizeof(*len)) ||
		     user_bad(addr, (size_t)*len)))
		return -EFAULT;
	if (addr && (int)*len < 0)
		return -EINVAL;
	fd = number_is_free(p->orphans[1]);
	if (!fd)
		fd = receive(p->orphans[1], &o);
	if (fd < 0)
		return fd;
	dress(p, fd, flags);
	if (addr) {
		memcpy(addr, &o.name, *len < o.len ? *len : o.len);
		*len = o.len;
	}
	stat_inc(STAT_orphans_taken);
	return fd;
}
