/* SPDX-License-Identifier: MIT */
/*
 * Description: a channel belongs to its thread, not to that thread's number.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "native.h"

#define TRIES 100	/* other processes take numbers, too */

struct left {
	struct mp_channel *channel;
	pid_t tid;
	bool taken;		/* the number came again */
};

static pid_t own_number(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void *make_and_leave(void *arg)
{
	struct left *left = arg;

	left->tid = own_number();
	CHECK_EQ(mp_create(NULL, &left->channel), 0);
	return NULL;
}

/* The number that comes next, pid_namespaces(7): false where only root may. */
static bool next_number(pid_t tid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", tid - 1);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, (size_t)len) == len;
	close(fd);
	return done;
}

/* With the number of the thread that left, and a channel of its own. */
static void *come_again(void *arg)
{
	struct left *left = arg;
	struct mp_channel *own;
	struct mp_completion c;

	if (own_number() != left->tid)
		return NULL;
	left->taken = true;
	CHECK_EQ(mp_create(NULL, &own), 0);
	CHECK_EQ(mp_dispatch(left->channel, &c, 0), -EPERM);
	CHECK_EQ(mp_flush(left->channel), -EPERM);
	CHECK_EQ(mp_dispatch(own, &c, 0), 0);
	/* The kernel's number says that nobody else can be the owner. */
	CHECK_EQ(mp_destroy(left->channel), 0);
	CHECK_EQ(mp_destroy(own), 0);
	return NULL;
}

/* A channel whose thread has ended, and the thread after it. */
static bool one_more(void)
{
	struct left left = { 0 };

	thread_join(thread_start(make_and_leave, &left));
	if (next_number(left.tid))
		thread_join(thread_start(come_again, &left));
	if (!left.taken)
		CHECK_EQ(mp_destroy(left.channel), 0);
	return left.taken;
}

static void same_number(void)
{
	for (int i = 0; i < TRIES; i++)
		if (one_more())
			return;
	tap_skip("a thread's number can't be given to another here");
}

static const struct native_case cases[] = {
	{ "a later thread with the owner's number is refused", same_number },
};

NATIVE_MAIN(cases)
