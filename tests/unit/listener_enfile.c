/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: accept requests that end with ENFILE: the system's table of
 * files is full, or that of the slots.
 */
#include <fcntl.h>
#include <unistd.h>

#include "../../shim/entry.h"
#include "../../shim/epset.h"
#include "../../shim/init.h"
#include "../../shim/listener.h"
#include "../../shim/ready.h"
#include "../../shim/thread.h"
#include "../../shim/vsock.h"
#include "../fake/fake.h"
#include "unit.h"

/* init.c's and proc.c's: the rest of them needs a guest. */
static uint32_t alive = 1;
volatile uint32_t *shim_alive = &alive;
bool shim_off;

bool init_usable(void)
{
	return true;
}

void shim_tell(const char *fmt, ...)
{
	/* nobody reads a log here */
}

void entry_forked(void)
{
	CHECK(!"there is no fork here");
}

static struct thread *th;
static struct vsock *vs;

/* A listener in a set of this thread, and a request that waits. */
static void open_listener(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int why = 0, fd = MUST(open("/dev/null", O_RDONLY));
	struct epset *set = ep_new(MUST(epoll_create1(0)));

	th = thread_get(&why);
	CHECK(th && set && lock_take(&th->lock));
	ep_attach(set, th);
	vs = vs_new(th, VS_LISTEN, DEPTH_FD, fd);
	CHECK(vs);
	CHECK_EQ(listener_open(vs), 0);
	CHECK_EQ(ep_add(set, vs, fd, &ev), 0);
}

static struct fake_req *armed(void)
{
	struct fake_req *req;

	listener_arm_all(th, true);
	CHECK_EQ(chan_flush(th->ch), 0);
	req = fake_find(FAKE_ACCEPT, 0);
	CHECK(req);
	return req;
}

static void complete(struct fake_req *req, int result)
{
	fake_complete(req, result, 0);
	CHECK_EQ(thread_dispatch(th), 1);
}

static int take(void)
{
	return listener_take(vs, NULL, NULL, SOCK_NONBLOCK);
}

/* The program is told, once, and the next request waits. */
static void of_the_system(void)
{
	struct fake_req *req = armed();

	CHECK(!req->direct);
	complete(req, -ENFILE);
	CHECK_EV(vs_ready(vs) & EPOLLIN, EPOLLIN);
	CHECK_EQ(take(), -ENFILE);
	CHECK_EV(vs_ready(vs) & EPOLLIN, 0);
	CHECK_EQ(take(), -EAGAIN);
	CHECK(!armed()->direct);
}

/* The kernel is asked for a descriptor, and so it is the next time. */
static void of_the_slots(void)
{
	struct fake_req *req = fake_find(FAKE_ACCEPT, 0);

	complete(req, -ENFILE);
	CHECK_EQ(take(), -ENFILE);
	listener_saw_registered(vs);
	listener_saw_registered(vs);
	req = armed();
	CHECK(req->direct);
	complete(req, -ENFILE);
	CHECK_EV(vs_ready(vs) & EPOLLIN, EPOLLIN);
	CHECK_EQ(take(), -EAGAIN);
	CHECK(!armed()->direct);
}

static const struct unit_case cases[] = {
	{ "the system has no file left", of_the_system },
	{ "the channel has no slot left", of_the_slots },
};

int main(void)
{
	int ret;

	fake_reset();
	open_listener();
	ret = unit_main(cases, ARRAY_SIZE(cases));
	mp_destroy(th->ch);
	return ret;
}
