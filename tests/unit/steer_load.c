/* SPDX-License-Identifier: MIT */
/*
 * Description: the programs steer real connections; the port stays taken.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../bpf/steer.h"
#include "../lib/net.h"
#include "unit.h"

#define MEMBERS 3
#define TRIES 40

static struct sockaddr_in addr;
static int member[MEMBERS];
static struct steer_table local, *t;
static int cpu;

static int bound(bool reuseport, bool reuseaddr)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)), on = 1;

	if (reuseaddr)
		MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	if (reuseport)
		MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	if (!bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -errno;
}

/* As a partitioned listener is made: the first listens alone, the others join
 * it while it is live. All run on one CPU, which takes every SYN. */
static void group(void)
{
	socklen_t len = sizeof(addr);
	cpu_set_t set;
	int i, on = 1;

	cpu = MUST(sched_getcpu());
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(sched_setaffinity(0, sizeof(set), &set));
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	member[0] = bound(false, true);
	MUST(getsockname(member[0], (struct sockaddr *)&addr, &len));
	MUST(listen(member[0], 128));
	MUST(setsockopt(member[0], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	for (i = 1; i < MEMBERS; i++) {
		member[i] = bound(true, true);
		CHECK(member[i] >= 0);
		MUST(listen(member[i], 128));
	}
}

static void fill(struct steer_table *to)
{
	int i;

	t = to;
	t->count = MEMBERS;
	for (i = 0; i < MEMBERS; i++)
		t->parts[i].owner = 1;
}

static void own_cpu(int part)
{
	int i;

	for (i = 0; i < MEMBERS; i++)
		memset(t->parts[i].cpus, 0, sizeof(t->parts[i].cpus));
	t->parts[part].cpus[cpu / 64] = 1ull << (cpu % 64);
}

static int drain(int fd)
{
	int n = 0, conn;

	while ((conn = accept(fd, NULL, NULL)) >= 0) {
		close(conn);
		n++;
	}
	return n;
}

/* TRIES connections; how many each member got, and holds. They are taken at
 * once: a queue that is left alone counts as stuck after a while. */
static void offer(int got[MEMBERS])
{
	int i, tries;

	memset(got, 0, MEMBERS * sizeof(*got));
	for (tries = 0; tries < TRIES; tries++) {
		close(net_client(&addr));
		for (i = 0; i < MEMBERS; i++) {
			got[i] += drain(member[i]);
			t->parts[i].held = (__u32)got[i];
			t->parts[i].seen = t->parts[i].steered;
		}
	}
}

static void expect_all(int part)
{
	int got[MEMBERS], i;

	/* A SYN's weight lasts till it is seen: one at a time. */
	for (i = 0; i < 4; i++) {
		int conn = net_client(&addr);

		CHECK_EQ(drain(member[part]), 1);
		t->parts[part].seen = t->parts[part].steered;
		close(conn);
	}
	t->parts[part].held = 0;
	for (i = 0; i < MEMBERS; i++)
		got[i] = drain(member[i]);
	for (i = 0; i < MEMBERS; i++)
		CHECK_EQ(got[i], 0);
}

static struct steer_fds fds;

static void load_or_skip(void)
{
	int ret = steer_load(&fds), i;
	struct steer_table *map;

	if (ret == -EPERM || ret == -ENOTSUP)
		tap_skip(ret == -EPERM ? "no CAP_BPF" : "built without clang");
	CHECK_EQ(ret, 0);
	group();
	map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED,
		   fds.table, 0);
	CHECK(map != MAP_FAILED);
	fill(map);
	for (i = 0; i < MEMBERS; i++)
		CHECK_EQ(steer_add(fds.sockets, (__u32)i, member[i]), 0);
	CHECK_EQ(steer_attach(member[0], fds.program), 0);
}

static void kernel_by_cpu(void)
{
	int i;

	load_or_skip();
	for (i = MEMBERS - 1; i >= 0; i--) {
		own_cpu(i);
		expect_all(i);
	}
}

static void kernel_passes_over(void)
{
	load_or_skip();
	own_cpu(2);
	t->parts[2].paused = 1;
	t->parts[0].held = 1;
	expect_all(1);
	t->parts[2].paused = 0;
	expect_all(2);
	t->parts[1].owner = t->parts[2].owner = 0;
	expect_all(0);
	t->parts[0].owner = 0;
	expect_all(0);
}

static void kernel_balances(void)
{
	int got[MEMBERS], i;

	load_or_skip();
	own_cpu(1);
	offer(got);
	CHECK_EQ(got[0] + got[1] + got[2], TRIES);
	for (i = 0; i < MEMBERS; i++)
		CHECK(got[i] > 0 && got[i] <= got[1]);
	CHECK_EQ(t->parts[1].steered, got[1]);
}

/* What waits in the queue of a socket that is closed goes to another. */
static void kernel_migrates(void)
{
	int conn;

	load_or_skip();
	own_cpu(1);
	conn = net_client(&addr);
	t->parts[1].owner = 0;
	own_cpu(2);
	close(member[1]);
	CHECK_EQ(drain(member[0]), 0);
	CHECK_EQ(drain(member[2]), 1);
	close(conn);
}

static void classic_by_cpu(void)
{
	int i;

	group();
	fill(&local);
	for (i = MEMBERS - 1; i >= 0; i--) {
		own_cpu(i);
		CHECK_EQ(steer_attach_classic(member[1], t, true,
					      (unsigned int)cpu + 1), 0);
		expect_all(i);
	}
	t->parts[0].owner = 0;
	t->parts[2].owner = 0;
	CHECK_EQ(steer_attach_classic(member[1], t, true,
				      (unsigned int)cpu + 1), 0);
	expect_all(1);
}

static void classic_at_random(void)
{
	int got[MEMBERS];

	group();
	fill(&local);
	t->parts[1].paused = 1;
	CHECK_EQ(steer_attach_classic(member[0], t, false, 0), 0);
	offer(got);
	CHECK_EQ(got[1], 0);
	CHECK(got[0] > 0 && got[2] > 0);
	CHECK_EQ(got[0] + got[2], TRIES);
}

/* As many CPUs and partitions as the table has still make a program. */
static void classic_largest(void)
{
	unsigned int i;
	int ret;

	group();
	fill(&local);
	t->count = STEER_PARTS;
	for (i = 0; i < STEER_PARTS; i++) {
		t->parts[i].owner = 1;
		memset(t->parts[i].cpus, 0xff, sizeof(t->parts[i].cpus));
	}
	ret = steer_attach_classic(member[0], t, true, STEER_CPUS);
	/* net.core.optmem_max is 20 KiB till Linux 6.6: then without CPUs, as
	 * the shim does (partition_table.c). */
	if (ret == -ENOMEM)
		ret = steer_attach_classic(member[0], t, false, 0);
	CHECK_EQ(ret, 0);
}

/* A second server that asks for SO_REUSEPORT gets no share of a port whose
 * owner did not. Members need the option; a guard that lost it conflicts with
 * everyone, once the kernel does not go by its memory of the last bind(): a
 * socket under repair, bound without the option, makes it forget. */
static void port_stays_taken(void)
{
	int guard, repaired, off = 0, on = 1;

	group();
	guard = bound(true, false);
	CHECK(guard >= 0);
	MUST(setsockopt(guard, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off)));
	repaired = MUST(socket(AF_INET, SOCK_STREAM, 0));
	if (setsockopt(repaired, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		tap_skip("no CAP_NET_ADMIN");
	MUST(bind(repaired, (struct sockaddr *)&addr, sizeof(addr)));
	close(repaired);
	CHECK_EQ(bound(true, true), -EADDRINUSE);
	CHECK_EQ(bound(true, false), -EADDRINUSE);
	CHECK_EQ(bound(false, true), -EADDRINUSE);
}

static const struct unit_case cases[] = {
	{ "the kernel's program goes by CPU", kernel_by_cpu },
	{ "... passes over paused and unowned ones", kernel_passes_over },
	{ "... gives to lighter ones", kernel_balances },
	{ "... moves the queue of a closed socket", kernel_migrates },
	{ "the classic program goes by CPU", classic_by_cpu },
	{ "... at random among the active", classic_at_random },
	{ "... has room for the largest table", classic_largest },
	{ "a guard keeps others off the port", port_stays_taken },
};

UNIT_MAIN(cases)
