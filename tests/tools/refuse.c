/* SPDX-License-Identifier: MIT */
/*
 * Description: run a program for which io_uring or bpf fails with an errno.
 *
 *	refuse ERRNO_NAME [bpf] [--] PROGRAM [ARGUMENT]...
 *
 * A seccomp filter makes io_uring_setup, io_uring_enter and
 * io_uring_register return the errno, as container runtimes (EPERM), old
 * kernels (ENOSYS) and memory limits (ENOMEM) do; or bpf() alone.  The filter
 * is inherited by all children and cannot be removed.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define THIS_ARCH AUDIT_ARCH_RISCV64
#else
#error "name this architecture"
#endif

/* Everything that strerrorname_np() knows; glibc ends below this. */
#define ERRNO_END 200

static int errno_by_name(const char *name)
{
	for (int i = 1; i < ERRNO_END; i++) {
		const char *known = strerrorname_np(i);

		if (known && !strcmp(known, name))
			return i;
	}
	return 0;
}

static int refuse(int err, const unsigned int calls[3])
{
	/* Calls of a foreign architecture have other numbers: let pass. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[0],
			 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[1],
			 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[2],
			 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
			 SECCOMP_RET_ERRNO | (err & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned int uring[3] = {
		SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register
	}, bpf[3] = { SYS_bpf, SYS_bpf, SYS_bpf };
	const unsigned int *calls = uring;
	int err, ret, first = 2;

	if (argc > first && !strcmp(argv[first], "bpf")) {
		calls = bpf;
		first++;
	}
	if (argc > first && !strcmp(argv[first], "--"))
		first++;
	err = argc > first ? errno_by_name(argv[1]) : 0;
	if (!err) {
		fprintf(stderr,
			"usage: refuse ERRNO_NAME [bpf] [--] PROGRAM "
			"[ARG]...\n");
		return 2;
	}
	ret = refuse(err, calls);
	if (ret) {
		fprintf(stderr, "refuse: seccomp: %s\n", strerror(-ret));
		return 77;
	}
	execvp(argv[first], argv + first);
	fprintf(stderr, "refuse: %s: %s\n", argv[first], strerror(errno));
	return 127;
}
