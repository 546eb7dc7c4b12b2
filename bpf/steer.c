/* SPDX-License-Identifier: MIT */
/*
 * How a group of listening sockets gets its program: the kernel's own
 * (steer.bpf.c) through a generated loader, or a classic one made here.
 *
 * Owns: nothing. Invariant: no libc function that the shim exports, no
 * allocation. Called by: one thread of a process at a time.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "steer.h"

static long call_bpf(int cmd, const void *attr, unsigned int size)
{
	return sys_call3(SYS_bpf, cmd, attr, size);
}

int steer_add(int sockets, __u32 index, int sock)
{
	__u64 value = (__u64)sock;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (__u32)sockets;
	attr.key = (__u64)(unsigned long)&index;
	attr.value = (__u64)(unsigned long)&value;
	attr.flags = BPF_ANY;
	return (int)call_bpf(BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr));
}

int steer_attach(int sock, int program)
{
	return sys_setsockopt(sock, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF,
			      &program, sizeof(program));
}

/* --- the generated loader --------------------------------------------- */

#ifdef STEER_BUILTIN

/* The generated code speaks to the kernel through libc, whose names the shim
 * takes over, and allocates: it gets these instead. */
static int loader_errno;
static char loader_memory[512];

static long loader_syscall(long nr, int cmd, const void *attr,
			   unsigned int size)
{
	long ret = call_bpf(cmd, attr, size);

	loader_errno = ret < 0 ? (int)-ret : 0;
	return ret < 0 ? -1 : ret;
}

static void *loader_alloc(size_t size)
{
	if (size > sizeof(loader_memory))
		return NULL;
	return memset(loader_memory, 0, size);
}

#undef errno
#define errno loader_errno
#define syscall loader_syscall
#define close sys_close
#define calloc(count, size) loader_alloc((count) * (size))
#define free(memory) ((void)(memory))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstringop-truncation"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#include "steer.skel.h"
#pragma GCC diagnostic pop
#undef errno
#undef syscall
#undef close
#undef calloc
#undef free

/* Moves above 0 to 2, which are the program's own. */
static int take(int *from)
{
	int fd = sys_fcntl(*from, F_DUPFD_CLOEXEC, 3);

	sys_close(*from);
	*from = 0;
	return fd;
}

int steer_load(struct steer_fds *out)
{
	struct steer *skel = steer__open();
	int ret;

	if (!skel)
		return -ENOMEM;
	ret = steer__load(skel);
	if (ret < 0) {
		steer__destroy(skel);
		return ret;
	}
	out->table = take(&skel->maps.mp_partitions.map_fd);
	out->sockets = take(&skel->maps.mp_listeners.map_fd);
	out->program = take(&skel->progs.mp_steer.prog_fd);
	if (out->table >= 0 && out->sockets >= 0 && out->program >= 0)
		return 0;
	sys_close(out->table);
	sys_close(out->sockets);
	sys_close(out->program);
	return -EMFILE;
}

#else

int steer_load(struct steer_fds *out)
{
	return -ENOTSUP;
}

#endif

/* --- the classic program ---------------------------------------------- */

struct classic {
	struct sock_filter code[BPF_MAXINSNS];
	unsigned int len;
};

static void put(struct classic *c, __u16 op, __u8 jt, __u8 jf, __u32 k)
{
	if (c->len < BPF_MAXINSNS)
		c->code[c->len++] = (struct sock_filter){ op, jt, jf, k };
}

/* One of *n* at random, the only one, or 0 when there is none. */
static void put_choice(struct classic *c, const __u32 *list, unsigned int n)
{
	unsigned int i;

	if (n > 1) {
		put(c, BPF_LD | BPF_W | BPF_ABS, 0, 0,
		    (__u32)(SKF_AD_OFF + SKF_AD_RANDOM));
		put(c, BPF_ALU | BPF_MOD | BPF_K, 0, 0, n);
	}
	for (i = 0; i + 1 < n; i++) {
		put(c, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, i);
		put(c, BPF_RET | BPF_K, 0, 0, list[i]);
	}
	put(c, BPF_RET | BPF_K, 0, 0, n ? list[n - 1] : 0);
}

/* The active partitions, of one CPU when *cpu* is not negative. */
static unsigned int list_active(const struct steer_table *t, int cpu,
				__u32 *list)
{
	unsigned int i, n = 0;

	for (i = 0; i < t->count && i < STEER_PARTS; i++)
		if (steer_active(&t->parts[i]) &&
		    (cpu < 0 || steer_has_cpu(&t->parts[i], (__u32)cpu)))
			list[n++] = i;
	return n;
}

/* So many that a conditional jump, 255 instructions, crosses their code. */
#define CHOICES_MAX 120

int steer_attach_classic(int sock, const struct steer_table *t, bool by_cpu,
			 unsigned int cpus)
{
	static struct classic c;
	struct sock_fprog prog;
	__u32 list[STEER_PARTS];
	unsigned int cpu, n, at;

	c.len = 0;
	for (cpu = 0; by_cpu && cpu < cpus && cpu < STEER_CPUS; cpu++) {
		n = list_active(t, (int)cpu, list);
		/* The last choice below must find room. */
		if (!n || c.len > BPF_MAXINSNS / 2)
			continue;
		put(&c, BPF_LD | BPF_W | BPF_ABS, 0, 0,
		    (__u32)(SKF_AD_OFF + SKF_AD_CPU));
		at = c.len;
		put(&c, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, cpu);
		put_choice(&c, list, n < CHOICES_MAX ? n : CHOICES_MAX);
		c.code[at].jf = (__u8)(c.len - at - 1);
	}
	put_choice(&c, list, list_active(t, -1, list));
	prog = (struct sock_fprog){ .len = (unsigned short)c.len,
				    .filter = c.code };
	return sys_setsockopt(sock, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
			      &prog, sizeof(prog));
}
