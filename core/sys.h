/* SPDX-License-Identifier: MIT */
/*
 * System calls without libc: the shim exports libc's names, so core and the
 * shim's own housekeeping must never call them.
 *
 * Owns: nothing. Every function returns a count or -errno and leaves errno
 * alone. Any thread, signal handlers included.
 */
#ifndef MP_SYS_H
#define MP_SYS_H

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
static inline long sys_call6(long nr, long a, long b, long c, long d, long e,
			     long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long sys_call6(long nr, long a, long b, long c, long d, long e,
			     long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#error "system call convention of this architecture is not known"
#endif

#define sys_call3(nr, a, b, c) \
	sys_call6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys_call4(nr, a, b, c, d) \
	sys_call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static inline int sys_close(int fd)
{
	return (int)sys_call3(SYS_close, fd, 0, 0);
}

static inline int sys_dup3(int fd, int to, int flags)
{
	return (int)sys_call3(SYS_dup3, fd, to, flags);
}

static inline int sys_fcntl(int fd, int cmd, long arg)
{
	return (int)sys_call3(SYS_fcntl, fd, cmd, arg);
}

static inline int sys_open(const char *path, int flags)
{
	return (int)sys_call4(SYS_openat, AT_FDCWD, path, flags, 0600);
}

static inline int sys_memfd_create(const char *name, unsigned int flags)
{
	return (int)sys_call3(SYS_memfd_create, name, flags, 0);
}

static inline long sys_read(int fd, void *buf, size_t len)
{
	return sys_call3(SYS_read, fd, buf, len);
}

static inline long sys_write(int fd, const void *buf, size_t len)
{
	return sys_call3(SYS_write, fd, buf, len);
}

static inline long sys_pread(int fd, void *buf, size_t len, off_t off)
{
	return sys_call4(SYS_pread64, fd, buf, len, off);
}

static inline int sys_getpid(void)
{
	return (int)sys_call3(SYS_getpid, 0, 0, 0);
}

static inline int sys_gettid(void)
{
	return (int)sys_call3(SYS_gettid, 0, 0, 0);
}

static inline int sys_tgkill(int pid, int tid, int sig)
{
	return (int)sys_call3(SYS_tgkill, pid, tid, sig);
}

static inline int sys_getsockopt(int fd, int level, int name, void *val,
				 socklen_t *len)
{
	return (int)sys_call6(SYS_getsockopt, fd, level, name, (long)val,
			      (long)len, 0);
}

/* The first byte of TCP_INFO is tcpi_state (tcp(7)), and only a TCP socket
 * answers: -1 for others. */
static inline int sys_tcp_state(int fd)
{
	uint8_t state = 0;
	socklen_t len = sizeof(state);

	return sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) < 0 ?
		       -1 : state;
}

static inline int sys_setsockopt(int fd, int level, int name, const void *val,
				 socklen_t len)
{
	return (int)sys_call6(SYS_setsockopt, fd, level, name, (long)val,
			      (long)len, 0);
}

/* Is it a regular file, as those of /proc are? */
static inline bool sys_is_file(int fd)
{
	struct stat st;

	return sys_call3(SYS_fstat, fd, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static inline int sys_shutdown(int fd, int how)
{
	return (int)sys_call3(SYS_shutdown, fd, how, 0);
}

static inline int sys_epoll_ctl(int epfd, int op, int fd,
				struct epoll_event *ev)
{
	return (int)sys_call4(SYS_epoll_ctl, epfd, op, fd, ev);
}

static inline int sys_epoll_wait0(int epfd, struct epoll_event *ev, int max)
{
	return (int)sys_call6(SYS_epoll_pwait, epfd, (long)ev, max, 0, 0, 8);
}

static inline int sys_eventfd(unsigned int start, int flags)
{
	return (int)sys_call3(SYS_eventfd2, start, flags, 0);
}

/* Is one of *events* true of fd right now? 0, or the bits, or -errno. */
static inline int sys_poll_now(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct timespec none = { 0, 0 };
	long n = sys_call6(SYS_ppoll, (long)&p, 1, (long)&none, 0, 8, 0);

	return n < 0 ? (int)n : n ? p.revents : 0;
}

/* Bytes that wait to be read (FIONREAD); 0 where there is no such count. */
static inline int sys_unread(int fd)
{
	int n = 0;

	sys_call3(SYS_ioctl, fd, FIONREAD, &n);
	return n;
}

static inline int sys_prlimit(int what, const struct rlimit *set,
			      struct rlimit *old)
{
	return (int)sys_call4(SYS_prlimit64, 0, what, set, old);
}

static inline int sys_futex(uint32_t *word, int op, uint32_t val,
			    const struct timespec *wait)
{
	return (int)sys_call4(SYS_futex, word, op, val, wait);
}

/* The kernel may give one thread the addresses that another has given back.
 * The thread sanitizer does not see our system calls and liburing's: it is
 * told the order, by an address that all know. */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define sys_mapped() __tsan_acquire(&environ)
#define sys_unmapping() __tsan_release(&environ)
#else
#define sys_mapped() ((void)0)
#define sys_unmapping() ((void)0)
#endif

/* NULL when there is no memory. Anonymous, zeroed. */
static inline void *sys_map(size_t size, int flags)
{
	long p = sys_call6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
			   MAP_ANONYMOUS | flags, -1, 0);

	sys_mapped();
	return p < 0 && p > -4096 ? NULL : (void *)p;
}

/* *at* NULL: anywhere, and NULL when there is none; otherwise there or not. */
static inline void *sys_map_file(void *at, size_t size, int fd, off_t off)
{
	long p = sys_call6(SYS_mmap, (long)at, (long)size,
			   PROT_READ | PROT_WRITE,
			   fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED :
			   at ? MAP_SHARED | MAP_FIXED : MAP_SHARED, fd, off);

	return p < 0 && p > -4096 ? NULL : (void *)p;
}

static inline void sys_unmap(void *p, size_t size)
{
	sys_unmapping();
	sys_call3(SYS_munmap, p, size, 0);
}

static inline int64_t sys_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);	/* vDSO: no system call */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#endif
