/* SPDX-License-Identifier: MIT */
/*
 * Description: a channel of the real kernel, a listener with a handle, and
 * plain blocking peers. Each case runs with descriptors and with lightweight
 * sockets, where there are any.
 */
#ifndef MP_TEST_NATIVE_H
#define MP_TEST_NATIVE_H

#include <string.h>
#include <unistd.h>

#include "../../core/megapipe.h"
#include "../lib/net.h"

struct native_case {
	const char *what;
	void (*run)(void);
};

static struct mp_channel *ch;
static struct mp_handle *listener;
static struct sockaddr_in addr;
static int lfd, lw;

/* The end of a ring makes a blocking call of its task return EINTR soon after
 * (kernel fact): short sleeps take that, until one of them has. */
static inline void native_settle(void)
{
	for (int i = 0; i < 30; i++)
		if (usleep(1000) < 0)
			return;
}

static inline void native_close(void)
{
	if (ch)
		CHECK_EQ(mp_destroy(ch), 0);
	ch = NULL;
	net_interrupted = true;	/* on a busy machine it may come later */
	native_settle();
	if (lfd >= 0)
		close(lfd);
	lfd = -1;
}

static inline void native_open(void)
{
	struct mp_options options = MP_OPTIONS_INIT;

	if (ch)
		native_close();
	if (!lw)
		options.lwsockets = 0;
	CHECK_EQ(mp_create(&options, &ch), 0);
	lfd = net_listen(&addr, 128);
	CHECK_EQ(mp_register(ch, lfd, &addr, NULL, &listener),
		 MP_PARTITION_NONE);
}

/* The next completion. */
static inline struct mp_completion native_next(void)
{
	struct mp_completion c;

	memset(&c, 0x5a, sizeof(c));
	CHECK_EQ(mp_dispatch(ch, &c, WAIT_MS), 1);
	return c;
}

static inline struct mp_completion native_expect(struct mp_handle *h,
						 enum mp_op op)
{
	struct mp_completion c = native_next();

	CHECK_EQ(c.op, op);
	CHECK((struct mp_handle *)c.handle == h);
	return c;
}

static inline int native_result(struct mp_handle *h, enum mp_op op)
{
	return native_expect(h, op).result;
}

/* Nothing is there, and nothing comes at once. */
static inline void native_quiet(void)
{
	struct mp_completion c;

	CHECK_EQ(mp_dispatch(ch, &c, 0), 0);
	CHECK_EQ(mp_dispatch(ch, &c, 20), 0);
}

/* A connection: its handle, and its blocking peer. */
static inline struct mp_handle *native_accept(int *peer, void *cookie)
{
	struct mp_completion c;
	struct mp_handle *h;

	*peer = net_client(&addr);
	CHECK_EQ(mp_accept(listener, 1, lw), 0);
	c = native_expect(listener, MP_OP_ACCEPT);
	CHECK(c.cookie == (void *)&addr);
	CHECK(c.result >= 0);
	CHECK_EQ(!!(c.result & MP_LWSOCKET), lw);
	CHECK_EQ(mp_register(ch, c.result, cookie, NULL, &h),
		 MP_PARTITION_NONE);
	return h;
}

static inline void native_run(void *arg)
{
	native_open();
	((const struct native_case *)arg)->run();
	native_close();
}

/* False where a channel has no lightweight sockets. */
static inline bool native_lwsockets(void)
{
	struct mp_completion c;
	int peer;

	native_open();
	peer = net_client(&addr);
	CHECK_EQ(mp_accept(listener, 1, 1), 0);
	c = native_expect(listener, MP_OP_ACCEPT);
	native_close();
	close(peer);
	return c.result & MP_LWSOCKET;
}

static inline void native_or_skip(void)
{
	int ret = mp_create(NULL, &ch);

	if (ret == -ENOSYS || ret == -EPERM || ret == -ENOMEM)
		tap_skip_all("there is no io_uring for us here");
	if (ret < 0)
		tap_bail_out("no channel");
	mp_destroy(ch);
	ch = NULL;
	net_interrupted = true;	/* on a busy machine it may come later */
	native_settle();
}

static inline int native_main(const struct native_case *cases, size_t count)
{
	size_t i;
	int depths;

	lfd = -1;
	native_or_skip();
	lw = 1;
	depths = native_lwsockets() ? 2 : 1;
	tap_plan((int)count * depths);
	for (lw = 0; lw < depths; lw++)
		for (i = 0; i < count; i++)
			tap_case(cases[i].what, lw ? ", lwsocket" : ", descriptor",
				 native_run, (void *)&cases[i]);
	return tap_result();
}

#define NATIVE_MAIN(cases) \
	int main(void) \
	{ \
		return native_main(cases, ARRAY_SIZE(cases)); \
	}

#endif
