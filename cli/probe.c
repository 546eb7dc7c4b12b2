/* SPDX-License-Identifier: MIT */
/* See probe.h. */
#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bpf/steer.h"
#include "probe.h"

/* What a channel asks for; it goes down to a fourth when memory is short
 * (core/channel.c). */
#define RING_ENTRIES 256
#define RING_ENTRIES_MIN 32

static void try_ring(struct probe_ring *out)
{
	struct ring *r;

	for (out->entries = RING_ENTRIES;; out->entries /= 2) {
		out->error = ring_open(out->entries, 16, &r);
		if (out->error != -ENOMEM || out->entries == RING_ENTRIES_MIN)
			break;
	}
	if (out->error < 0)
		return;
	out->error = 0;
	out->caps = *ring_caps(r);
	ring_close(r);
}

void probe_ring(struct probe_ring *out)
{
	struct probe_ring *shared;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	out->error = -ENOMEM;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return;
	*shared = *out;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		try_ring(shared);
		_exit(0);
	}
	if (pid > 0) {
		waitpid(pid, NULL, 0);
		*out = *shared;
	} else {
		out->error = -errno;
	}
	munmap(shared, sizeof(*shared));
}

/* Some profiles of containers answer as a kernel without it would. */
static int hidden(int error)
{
	return error == -ENOSYS &&
	       !access("/proc/sys/kernel/io_uring_disabled", F_OK) ? -EPERM :
								     error;
}

const char *probe_ring_reason(int error)
{
	switch (hidden(error)) {
	case -ENOSYS:
		return "this kernel has no io_uring";
	case -EPERM:
	case -EACCES:
		return probe_number("/proc/sys/kernel/io_uring_disabled", 0) ?
			"forbidden by kernel.io_uring_disabled" :
			"forbidden by a seccomp filter";
	case -ENOMEM:
		return "too little locked memory";
	case -EINVAL:
		return "io_uring is older than Linux 6.1";
	case -EMFILE:
	case -ENFILE:
		return "no descriptor is left";
	default:
		return strerror(-error);
	}
}

const char *probe_ring_advice(int error)
{
	switch (hidden(error)) {
	case -EPERM:
	case -EACCES:
		return probe_number("/proc/sys/kernel/io_uring_disabled", 0) ?
			"sysctl kernel.io_uring_disabled=0" :
			"allow io_uring_setup, io_uring_enter and "
			"io_uring_register in the container's seccomp profile";
	case -ENOMEM:
		return "raise the limit of locked memory: ulimit -l, "
		       "LimitMEMLOCK=";
	case -EMFILE:
	case -ENFILE:
		return "raise the limit of open files: ulimit -n, LimitNOFILE=";
	default:
		return "Linux 6.1 or later is needed";
	}
}

/* The program itself: what loads it needs more than a small one would. */
int probe_ebpf(void)
{
	struct steer_fds fds;
	int ret = steer_load(&fds);

	if (ret < 0)
		return ret;
	close(fds.table);
	close(fds.sockets);
	close(fds.program);
	return 0;
}

int probe_cbpf(void)
{
	static struct sock_filter program[] = {
		{ .code = BPF_RET | BPF_K, .k = 0 },
	};
	struct sock_fprog prog = { .len = 1, .filter = program };
	int one = 1, ret = 0, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog,
		       sizeof(prog)))
		ret = -errno;
	close(fd);
	return ret;
}

long probe_number(const char *path, long otherwise)
{
	FILE *f = fopen(path, "re");
	long n;

	if (!f)
		return otherwise;
	if (fscanf(f, "%ld", &n) != 1)
		n = otherwise;
	fclose(f);
	return n;
}
