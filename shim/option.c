/* SPDX-License-Identifier: MIT */
/* See option.h. */
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <string.h>

#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "listener.h"
#include "option.h"
#include "tx.h"
#include "user.h"
#include "vsock.h"

/* Integer options that the kernel takes on any connection when the value is
 * in range (tcp(7), socket(7), net/ipv4/tcp.c): they ride in the batch. */
static const struct {
	int level, name, min, max;
} batched[] = {
	{ IPPROTO_TCP, TCP_NODELAY, INT_MIN, INT_MAX },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 1, 32767 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 1, 32767 },
	{ IPPROTO_TCP, TCP_KEEPCNT, 1, 127 },
	{ SOL_SOCKET, SO_KEEPALIVE, INT_MIN, INT_MAX },
};

static bool is_batched(int level, int name, int value)
{
	size_t i;

	for (i = 0; i < sizeof(batched) / sizeof(batched[0]); i++)
		if (batched[i].level == level && batched[i].name == name)
			return value >= batched[i].min &&
			       value <= batched[i].max;
	return false;
}

static void queue_option(struct vsock *vs, int level, int name, int value)
{
	chan_setsockopt(vs->th->ch, vs->handle, vs_file(vs), level, name,
			&value, sizeof(value));
	vs->options++;
}

/* The cork is ours: what is queued while it is on goes out with MSG_MORE.
 * When the kernel holds some of that, taking the cork off must push it. */
static long set_cork(struct vsock *vs, int value)
{
	int off = 0;

	vs->corked = value;
	if (value)
		return 0;
	if (!vs->held || vs->tx_bytes)
		return 0;
	vs->held = false;
	if (vs->slot >= 0 && vs_mine(vs) && chan_caps(vs->th->ch)->sockopt)
		queue_option(vs, IPPROTO_TCP, TCP_CORK, 0);
	else if (vs->depth != DEPTH_LW)
		sys_setsockopt(vs->fd, IPPROTO_TCP, TCP_CORK, &off,
			       sizeof(off));
	return 0;
}

/* Options that change what reading ahead means, add messages to data or
 * errors to a queue of their own: the kernel's. With the value that they have
 * when nobody has set them. */
static const struct {
	int level, name, unset;
} kernels[] = {
	{ SOL_SOCKET, SO_OOBINLINE, 0 },
	{ SOL_SOCKET, SO_PEEK_OFF, -1 },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, 0 },
	{ SOL_SOCKET, SO_TIMESTAMP_OLD, 0 },
	{ SOL_SOCKET, SO_TIMESTAMP_NEW, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPNS_OLD, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPNS_NEW, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPING_OLD, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPING_NEW, 0 },
	{ SOL_SOCKET, SO_ZEROCOPY, 0 },
	{ IPPROTO_IP, IP_RECVERR, 0 },
	{ IPPROTO_IPV6, IPV6_RECVERR, 0 },
	{ IPPROTO_TCP, TCP_INQ, 0 },
	{ IPPROTO_TCP, TCP_REPAIR, 0 },
	{ IPPROTO_TCP, TCP_ULP, 0 },
};

#define KERNELS (sizeof(kernels) / sizeof(kernels[0]))

static bool changes_reading(int level, int name)
{
	size_t i;

	for (i = 0; i < KERNELS; i++)
		if (kernels[i].level == level && kernels[i].name == name)
			return true;
	return false;
}

static int int_option(int fd, int level, int name, int if_unknown)
{
	int value = if_unknown;
	socklen_t len = sizeof(value);

	return sys_getsockopt(fd, level, name, &value, &len) < 0 ?
		       if_unknown : value;
}

/* Most programs set none of them: then no socket need be asked. */
static bool any_set;

void option_note(int level, int name)
{
	if ((level == SOL_SOCKET && (name == SO_RCVLOWAT ||
				     name == SO_SNDBUF || name == SO_RCVBUF ||
				     name == SO_SNDBUFFORCE ||
				     name == SO_RCVBUFFORCE)) ||
	    changes_reading(level, name))
		__atomic_store_n(&any_set, true, __ATOMIC_RELAXED);
}

static bool is_any_set(void)
{
	return __atomic_load_n(&any_set, __ATOMIC_RELAXED);
}

/* A listener may have been set up by who started the program, and its
 * connections inherit: what is found there is noted. */
bool option_all_ours(int fd, bool listener)
{
	bool found;
	size_t i;

	if (!listener && !is_any_set())
		return true;
	found = int_option(fd, SOL_SOCKET, SO_RCVLOWAT, 1) != 1;
	for (i = 0; i < KERNELS && !found; i++)
		found = int_option(fd, kernels[i].level, kernels[i].name,
				   kernels[i].unset) != kernels[i].unset;
	if (found)
		__atomic_store_n(&any_set, true, __ATOMIC_RELAXED);
	return !found;
}

/* Linux 5.14; include/net/sock.h's SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK. */
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#define SNDBUF_LOCK 1
#define RCVBUF_LOCK 2

struct option_limits option_default_limits(void)
{
	return (struct option_limits){
		.send = opts.sndbuf, .receive = opts.readahead,
	};
}

struct option_limits option_limits(int fd, bool listener)
{
	struct option_limits limits = option_default_limits();
	uint32_t size;
	int set;

	if (!listener && !is_any_set())
		return limits;
	set = int_option(fd, SOL_SOCKET, SO_BUF_LOCK, 0);
	if (set & (SNDBUF_LOCK | RCVBUF_LOCK))
		__atomic_store_n(&any_set, true, __ATOMIC_RELAXED);
	if (set & SNDBUF_LOCK) {
		size = (uint32_t)int_option(fd, SOL_SOCKET, SO_SNDBUF, 0);
		limits.send = size < limits.send ? size : limits.send;
	}
	if (set & RCVBUF_LOCK) {
		size = (uint32_t)int_option(fd, SOL_SOCKET, SO_RCVBUF, 0);
		limits.receive = size < limits.receive ? size : limits.receive;
	}
	return limits;
}

/* A program that wants small buffers gets no large queue before them. */
static long set_buffer(struct vsock *vs, int name, const void *val,
		       socklen_t len)
{
	long ret = vs_materialise(vs, STAT_mat_option);

	if (!ret)
		ret = sys_setsockopt(vs->fd, SOL_SOCKET, name, val, len);
	if (ret)
		return ret;
	vs->limits = option_limits(vs->fd, true);
	vs_touch(vs);
	return 0;
}

/* The kernel says what is possible, and then counts no more: bytes that we
 * hold are none that it sees. */
static long set_lowat(struct vsock *vs, const void *val, socklen_t len)
{
	int one = 1;
	long ret = vs_materialise(vs, STAT_mat_option);

	if (!ret)
		ret = sys_setsockopt(vs->fd, SOL_SOCKET, SO_RCVLOWAT, val, len);
	if (ret)
		return ret;
	vs->lowat = (uint32_t)int_option(vs->fd, SOL_SOCKET, SO_RCVLOWAT, 1);
	if (vs->lowat > 1)
		sys_setsockopt(vs->fd, SOL_SOCKET, SO_RCVLOWAT, &one,
			       sizeof(one));
	vs->in_edge++;
	vs_touch(vs);
	ep_notify(vs);
	return 0;
}

/* What connections inherit. The socket may be gone when it is given back. */
static long set_of_listener(struct vsock *vs, int level, int name,
			    const void *val, socklen_t len)
{
	struct partition *part = vs->listener->part;
	bool given = changes_reading(level, name) ||
		     (level == SOL_SOCKET && name == SO_RCVLOWAT);
	bool buffer = level == SOL_SOCKET &&
		      (name == SO_SNDBUF || name == SO_RCVBUF);
	long ret;

	if (given)
		vs_give_back(vs, STAT_handover_call);
	if (!part && !buffer)
		return SHIM_PASS;
	ret = part ? partition_option(part, level, name, val, len) :
		     sys_setsockopt(vs->fd, level, name, val, len);
	if (!ret && buffer)
		vs->limits = option_limits(vs->fd, true);
	return ret;
}

static long need_descriptor(struct vsock *vs)
{
	long ret = vs_materialise(vs, STAT_mat_option);

	return ret ? ret : SHIM_PASS;
}

long option_set(struct vsock *vs, int level, int name, const void *val,
		socklen_t len)
{
	int value;

	if (vs->listener)
		return set_of_listener(vs, level, name, val, len);
	if (vs->depth == DEPTH_GIVEN)
		return SHIM_PASS;
	if (changes_reading(level, name)) {
		vs_give_back(vs, STAT_handover_call);
		return SHIM_PASS;
	}
	if (user_bad(val, sizeof(value)) || len < sizeof(value))
		return need_descriptor(vs);
	if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF))
		return set_buffer(vs, name, val, len);
	if (level == SOL_SOCKET && name == SO_RCVLOWAT && !vs->giving)
		return set_lowat(vs, val, len);
	memcpy(&value, val, sizeof(value));
	if (level == IPPROTO_TCP && name == TCP_CORK && vs_mine(vs))
		return set_cork(vs, value != 0);
	if (vs->depth != DEPTH_LW || !vs_mine(vs) ||
	    !chan_caps(vs->th->ch)->sockopt || !is_batched(level, name, value))
		return need_descriptor(vs);
	if (level == IPPROTO_TCP && name == TCP_NODELAY) {
		if (vs->nodelay == !!value)
			return 0;
		vs->nodelay = !!value;
	}
	queue_option(vs, level, name, value);
	return 0;
}

static long give_int(int value, void *val, socklen_t *len)
{
	if ((int)*len < 0)
		return -EINVAL;
	if (*len > sizeof(value))
		*len = sizeof(value);
	memcpy(val, &value, *len);
	return 0;
}

/* Partitions share their port; the program has not asked for that. */
static bool is_hidden_port(const struct vsock *vs, int level, int name)
{
	return unlikely(partition_any) && level == SOL_SOCKET &&
	       name == SO_REUSEPORT &&
	       (vs->listener ? !!vs->listener->part : vs->accepted);
}

long option_get(struct vsock *vs, int level, int name, void *val,
		socklen_t *len)
{
	int ret;

	if (is_hidden_port(vs, level, name) &&
	    !user_bad(val, sizeof(int)) && !user_bad(len, sizeof(*len)))
		return give_int(vs->listener ? vs->listener->part->reuseport :
					       0, val, len);
	if (vs->listener ||
	    (vs->depth == DEPTH_GIVEN && (name != SO_ERROR || !vs->err)))
		return SHIM_PASS;
	if (user_bad(val, sizeof(int)) || user_bad(len, sizeof(*len)))
		return need_descriptor(vs);
	if (level == SOL_SOCKET && name == SO_ERROR) {
		ret = vs_take_error(vs);
		if (!ret)
			ret = vs_ask_error(vs);
		return give_int(ret, val, len);
	}
	if (level == SOL_SOCKET && name == SO_RCVLOWAT && vs->lowat > 1)
		return give_int((int)vs->lowat, val, len);
	if (level == IPPROTO_TCP && name == TCP_CORK)
		return give_int(vs->corked, val, len);
	if (level == IPPROTO_TCP && name == TCP_NODELAY && vs->nodelay >= 0 &&
	    vs->depth == DEPTH_LW)
		return give_int(vs->nodelay, val, len);
	/* It counts what was sent, not what is queued for the next flush. */
	if (level == IPPROTO_TCP && name == TCP_INFO && vs_mine(vs))
		tx_drain(vs);
	if (vs->depth != DEPTH_LW || level != SOL_SOCKET || (int)*len < 0 ||
	    !vs_mine(vs) || !chan_caps(vs->th->ch)->sockopt)
		return need_descriptor(vs);
	ret = chan_call_getsockopt(vs->th->ch, vs_file(vs), name, val,
				   (int)*len);
	if (ret < 0)
		return ret;
	*len = (socklen_t)ret;
	return 0;
}
