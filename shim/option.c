/* SPDX-License-Identifier: MIT */
/* See option.h. */
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <string.h>

#include "entry.h"
#include "handover.h"
#include "option.h"
#include "tx.h"
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
	mp_setsockopt(vs->th->ch, vs->handle, vs_file(vs), level, name, &value,
		      sizeof(value));
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
	if (vs->slot >= 0 && vs_mine(vs) && mp_caps(vs->th->ch)->sockopt)
		queue_option(vs, IPPROTO_TCP, TCP_CORK, 0);
	else if (vs->depth != DEPTH_LW)
		sys_setsockopt(vs->fd, IPPROTO_TCP, TCP_CORK, &off,
			       sizeof(off));
	return 0;
}

/* Options that change what reading ahead means: the kernel's. */
static bool changes_reading(int level, int name)
{
	return (level == SOL_SOCKET &&
		(name == SO_RCVLOWAT || name == SO_OOBINLINE)) ||
	       (level == IPPROTO_TCP &&
		(name == TCP_ULP || name == TCP_ZEROCOPY_RECEIVE ||
		 name == TCP_REPAIR));
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

	if (vs->listener || vs->depth == DEPTH_GIVEN)
		return SHIM_PASS;
	if (changes_reading(level, name)) {
		vs_give_back(vs, STAT_handover_call);
		return SHIM_PASS;
	}
	if (!val || len < sizeof(value))
		return need_descriptor(vs);
	memcpy(&value, val, sizeof(value));
	if (level == IPPROTO_TCP && name == TCP_CORK && vs_mine(vs))
		return set_cork(vs, value != 0);
	if (vs->depth != DEPTH_LW || !vs_mine(vs) ||
	    !mp_caps(vs->th->ch)->sockopt || !is_batched(level, name, value))
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
	if (!val || !len)
		return -EFAULT;
	if ((int)*len < 0)
		return -EINVAL;
	if (*len > sizeof(value))
		*len = sizeof(value);
	memcpy(val, &value, *len);
	return 0;
}

long option_get(struct vsock *vs, int level, int name, void *val,
		socklen_t *len)
{
	int ret;

	if (vs->listener ||
	    (vs->depth == DEPTH_GIVEN && (name != SO_ERROR || !vs->err)))
		return SHIM_PASS;
	if (level == SOL_SOCKET && name == SO_ERROR) {
		ret = vs_take_error(vs);
		if (ret)
			return give_int(ret, val, len);
	}
	if (level == IPPROTO_TCP && name == TCP_CORK)
		return give_int(vs->corked, val, len);
	if (level == IPPROTO_TCP && name == TCP_NODELAY && vs->nodelay >= 0 &&
	    vs->depth == DEPTH_LW)
		return give_int(vs->nodelay, val, len);
	if (vs->depth != DEPTH_LW || level != SOL_SOCKET || !val || !len ||
	    (int)*len < 0 || !vs_mine(vs) || !mp_caps(vs->th->ch)->sockopt)
		return need_descriptor(vs);
	ret = mp_call_getsockopt(vs->th->ch, vs_file(vs), name, val,
				 (int)*len);
	if (ret < 0)
		return ret;
	*len = (socklen_t)ret;
	return 0;
}
