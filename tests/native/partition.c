/* SPDX-License-Identifier: MIT */
/*
 * Description: partitions of a listening socket, by the CPU of the client, on
 * two threads; what is done without the privilege.
 */
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "native.h"

#define CONNS 60

/* A thread with a channel, a mask, and what it has accepted. */
struct worker {
	struct mp_cpu_mask mask;
	pthread_t thread;
	int how;
	_Atomic int ready, stop, accepted;
};

static void take(struct worker *w, struct mp_channel *own,
		 struct mp_completion *c)
{
	struct mp_handle *h;

	CHECK(c->result >= 0);
	CHECK_EQ(mp_register(own, c->result, NULL, NULL, &h), 0);
	CHECK_EQ(mp_write(h, "k", 1), 0);
	CHECK_EQ(mp_close(h), 0);
	w->accepted++;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct mp_channel *own;
	struct mp_handle *l;
	struct mp_completion c;
	int ret;

	CHECK_EQ(mp_create(NULL, &own), 0);
	w->how = mp_register(own, lfd, NULL, &w->mask, &l);
	if (w->how >= 0)
		CHECK_EQ(mp_accept(l, MP_FOREVER, lw), 0);
	CHECK_EQ(mp_flush(own), 0);
	w->ready = 1;
	while (!w->stop) {
		ret = mp_dispatch(own, &c, 5);
		CHECK(ret >= 0);
		if (ret && c.op == MP_OP_ACCEPT)
			take(w, own, &c);
	}
	if (w->how >= 0)
		CHECK_EQ(mp_unregister(l), 0);
	CHECK_EQ(mp_destroy(own), 0);
	return NULL;
}

static void start(struct worker *w, unsigned int cpu)
{
	memset(w, 0, sizeof(*w));
	mp_cpu_add(&w->mask, cpu);
	w->thread = thread_start(work, w);
	UNTIL(w->ready);
}

static void stop(struct worker *w)
{
	w->stop = 1;
	thread_join(w->thread);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(sched_setaffinity(0, sizeof(set), &set));
}

static void connect_some(int count)
{
	int i, peer;

	for (i = 0; i < count; i++) {
		peer = net_client(&addr);
		peer_expect(peer, "k");
		peer_eof(peer);
		close(peer);
	}
}

static void by_cpu(void)
{
	struct worker a, b;
	cpu_set_t before;

	MUST(sched_getaffinity(0, sizeof(before), &before));
	if (CPU_COUNT(&before) < 2)
		tap_skip("one CPU");
	start(&a, 0);
	start(&b, 1);
	CHECK_EQ(a.how, b.how);
	printf("# kept apart by %d\n", a.how);
	CHECK(a.how == MP_PARTITION_EBPF || a.how == MP_PARTITION_CBPF ||
	      a.how == MP_PARTITION_HASH);
	run_on(0);
	connect_some(CONNS);
	if (a.how != MP_PARTITION_HASH)
		CHECK_EQ(a.accepted, CONNS);
	run_on(1);
	connect_some(CONNS);
	if (a.how != MP_PARTITION_HASH)
		CHECK_EQ(b.accepted, CONNS);
	/* The one that is left takes all, whoever came first. */
	stop(&a);
	run_on(0);
	connect_some(CONNS);
	CHECK_EQ(a.accepted + b.accepted, 3 * CONNS);
	/* A new one takes the place that is free. */
	start(&a, 0);
	connect_some(CONNS);
	if (a.how != MP_PARTITION_HASH)
		CHECK_EQ(a.accepted, CONNS);
	stop(&b);
	connect_some(5);
	stop(&a);
	MUST(sched_setaffinity(0, sizeof(before), &before));
}

static void three_join_and_leave(void)
{
	struct worker w[3];
	int i, sum = 0, n = 0;

	for (i = 0; i < 3; i++)
		start(&w[i], (unsigned int)i);
	connect_some(20);
	for (i = 0; i < 3; i++) {
		stop(&w[i]);
		n += 20;
		if (i < 2)
			connect_some(20);
	}
	for (i = 0; i < 3; i++)
		sum += w[i].accepted;
	CHECK_EQ(sum, n);
}

/* Clients that come while the group of sockets is being made: one in a fifth
 * of a millisecond, which is the load, not a wait for something. */
static void *keep_coming(void *arg)
{
	_Atomic int *made = arg;
	int peer[CONNS], i, n = 0;

	while (n < CONNS && !*made) {
		peer[n++] = net_client(&addr);
		usleep(200);
	}
	for (i = 0; i < n; i++) {
		peer_expect(peer[i], "k");
		peer_eof(peer[i]);
		close(peer[i]);
	}
	return NULL;
}

static void clients_from_the_start(void)
{
	struct worker w = { .ready = 0 };
	const int on = 1;
	pthread_t early;

	/* As servers do: else their connections keep the port to themselves. */
	MUST(setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	early = thread_start(keep_coming, &w.ready);
	mp_cpu_add(&w.mask, 0);
	w.thread = thread_start(work, &w);
	thread_join(early);
	stop(&w);
	CHECK(w.how == MP_PARTITION_EBPF || w.how == MP_PARTITION_CBPF ||
	      w.how == MP_PARTITION_HASH);
}

/* Without SO_REUSEADDR a connection keeps the port, and no clone can have it:
 * that is said, and connections are accepted all the same. */
static void port_is_kept(void)
{
	struct mp_completion c;
	struct mp_handle *h;
	struct mp_cpu_mask mask = { { 1 } };
	int peer, other;

	h = native_accept(&peer, NULL);
	CHECK_EQ(mp_unregister(listener), 0);
	CHECK_EQ(mp_register(ch, lfd, NULL, &mask, &listener),
		 MP_PARTITION_SHARED);
	CHECK_EQ(mp_accept(listener, 1, lw), 0);
	other = net_client(&addr);
	c = native_expect(listener, MP_OP_ACCEPT);
	CHECK(c.result >= 0);
	CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &h), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	peer_eof(other);
	close(other);
	close(peer);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	MUST((int)syscall(SYS_capset, &head, none));
}

/* In a child: capabilities do not come back. */
static void unprivileged(void (*run)(void), int want)
{
	struct worker w;
	pid_t pid = MUST(fork());

	if (!pid) {
		drop_capabilities();
		start(&w, 0);
		stop(&w);
		CHECK_EQ(w.how, want);
		run();
		_exit(0);
	}
	child_ok(pid);
}

static void without_privilege(void)
{
	unprivileged(by_cpu, MP_PARTITION_CBPF);
	unprivileged(three_join_and_leave, MP_PARTITION_CBPF);
}

static void what_can_not_be_partitioned(void)
{
	struct mp_cpu_mask none = { { 0 } }, one = { { 1 } };
	struct mp_handle *h;
	int peer = net_client(&addr);

	CHECK_EQ(mp_register(ch, lfd, NULL, &none, &h), -EINVAL);
	CHECK_EQ(mp_register(ch, peer, NULL, &one, &h), -EINVAL);
	CHECK_EQ(mp_register(ch, 0, NULL, &one, &h), -EINVAL);
	close(peer);
}

/* CPUs above the last one name nothing, and none is a name too many. */
static void large_numbers(void)
{
	struct mp_cpu_mask m = { { 0 } };

	mp_cpu_add(&m, 0);
	mp_cpu_add(&m, 255);
	mp_cpu_add(&m, 256);
	mp_cpu_add(&m, 100000);
	CHECK_EQ(m.bits[0], 1);
	CHECK(m.bits[3] == (uint64_t)1 << 63);
	CHECK_EQ(m.bits[1] | m.bits[2], 0);
}

static const struct native_case cases[] = {
	{ "each CPU's connections to its thread", by_cpu },
	{ "three join, all leave", three_join_and_leave },
	{ "clients that were there before it", clients_from_the_start },
	{ "connections keep the port: not partitioned", port_is_kept },
	{ "without privilege: a classic program", without_privilege },
	{ "what is no listener, and an empty mask",
	  what_can_not_be_partitioned },
	{ "a mask has 256 CPUs", large_numbers },
};

NATIVE_MAIN(cases)
