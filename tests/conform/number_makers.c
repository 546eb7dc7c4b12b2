/* SPDX-License-Identifier: MIT */
/*
 * Description: every call that makes a descriptor finds the number of a closed
 * connection when it is the only one left.
 */
/* no-asan: setrlimit() is not taken over there */
/* no-tsan: setrlimit() is not taken over there */
#include "../lib/net.h"

#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Names that fortified programs, old ones and other libraries use. */
int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int pidfd_open(pid_t pid, unsigned int flags);

#define NULL_FILE "/dev/null"
#define LIMIT 50

static char name[64];
static sigset_t none;
static struct {
	struct file_handle head;
	char rest[MAX_HANDLE_SZ];
} handle = { .head.handle_bytes = MAX_HANDLE_SZ };
static int mount_fd;

/* The stream is left open: its number is what the caller closes. */
static int from_stream(FILE *stream)
{
	return stream ? fileno(stream) : -1;
}

static int from_shm(void)
{
	int fd = shm_open(name, O_RDWR | O_CREAT, 0600), err = errno;

	shm_unlink(name);
	errno = err;
	return fd;
}

#define MAKERS(X)                                                         \
	X(open(NULL_FILE, O_RDONLY))                                      \
	X(open64(NULL_FILE, O_RDONLY))                                    \
	X(openat(AT_FDCWD, NULL_FILE, O_RDONLY))                          \
	X(openat64(AT_FDCWD, NULL_FILE, O_RDONLY))                        \
	X(__open(NULL_FILE, O_RDONLY))                                    \
	X(__open64(NULL_FILE, O_RDONLY))                                  \
	X(__open_2(NULL_FILE, O_RDONLY))                                  \
	X(__open64_2(NULL_FILE, O_RDONLY))                                \
	X(__openat_2(AT_FDCWD, NULL_FILE, O_RDONLY))                      \
	X(__openat64_2(AT_FDCWD, NULL_FILE, O_RDONLY))                    \
	X(creat(NULL_FILE, 0600))                                         \
	X(creat64(NULL_FILE, 0600))                                       \
	X(from_shm())                                                     \
	X(posix_openpt(O_RDWR | O_NOCTTY))                                \
	X(open_by_handle_at(mount_fd, &handle.head, O_RDONLY))            \
	X(socket(AF_INET, SOCK_STREAM, 0))                                \
	X(eventfd(0, 0))                                                  \
	X(timerfd_create(CLOCK_MONOTONIC, 0))                             \
	X(signalfd(-1, &none, 0))                                         \
	X(inotify_init())                                                 \
	X(inotify_init1(0))                                               \
	X(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY))                       \
	X(memfd_create("makers", 0))                                      \
	X(pidfd_open(getpid(), 0))                                        \
	X(epoll_create(1))                                                \
	X(epoll_create1(0))                                               \
	X(dup(0))                                                         \
	X(fcntl(0, F_DUPFD, 0))                                           \
	X(fcntl(0, F_DUPFD_CLOEXEC, 3))                                   \
	X(from_stream(fopen(NULL_FILE, "r")))                             \
	X(from_stream(fopen64(NULL_FILE, "r")))                           \
	X(from_stream(tmpfile()))                                         \
	X(from_stream(tmpfile64()))

enum {
#define COUNT(call) +1
	MAKER_COUNT = 0 MAKERS(COUNT)
#undef COUNT
};

static int make(int which, const char **what)
{
	int i = 0;

#define CASE(call)                                                        \
	if (i++ == which) {                                               \
		*what = #call;                                            \
		return call;                                              \
	}
	MAKERS(CASE)
#undef CASE
	return -1;
}

static void set_soft(const struct rlimit *before, rlim_t soft)
{
	struct rlimit lim = *before;

	lim.rlim_cur = soft;
	MUST(setrlimit(RLIMIT_NOFILE, &lim));
}

static int fill(int *fds)
{
	int n = 0;

	while (n < LIMIT && (fds[n] = dup(STDIN_FILENO)) >= 0)
		n++;
	CHECK_EQ(errno, EMFILE);
	return n;
}

/* One connection is closed, and one call can be made: not two. */
static void take_its_number(struct fix *f, int which)
{
	int fds[LIMIT], n, peer, fd, made;
	const char *what = "";
	struct rlimit before;

	made = make(which, &what);
	if (made < 0) {
		printf("# not here: %s: %s\n", what, strerror(errno));
		return;
	}
	MUST(close(made));
	fd = server_accept(f, &peer, EPOLLIN);
	MUST(getrlimit(RLIMIT_NOFILE, &before));
	set_soft(&before, LIMIT);
	n = fill(fds);
	MUST(close(fd));
	peer_eof(peer);
	made = make(which, &what);
	if (made < 0)
		printf("# %s: %s\n", what, strerror(errno));
	CHECK_EQ(made, fd);
	CHECK_ERRNO(make(which, &what), EMFILE);
	MUST(close(made));
	while (n > 0)
		MUST(close(fds[--n]));
	MUST(close(peer));
	set_soft(&before, before.rlim_cur);
}

static void t_each(struct fix *f)
{
	for (int i = 0; i < MAKER_COUNT; i++)
		take_its_number(f, i);
}

/* Written inside libc, after what the program wrote before. */
static void t_backtrace(struct fix *f)
{
	void *frames[2] = { (void *)t_each, (void *)t_backtrace };
	char got[1024];
	size_t len = 0;
	ssize_t n;

	server_write(f->ep, f->fd, "<", 1);
	backtrace_symbols_fd(frames, 2, f->fd);
	server_write(f->ep, f->fd, ">", 1);
	do {
		n = MUST((int)recv(f->peer, got + len, sizeof(got) - 1 - len,
				   0));
		len += (size_t)n;
		got[len] = '\0';
	} while (n && !strchr(got, '>'));
	CHECK_EQ(got[0], '<');
	CHECK(strstr(got, "number_makers"));
	/* Two lines, and nothing behind. */
	CHECK(strchr(got, '\n') != strrchr(got, '\n'));
	CHECK_EQ(strrchr(got, '\n')[1], '>');
	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, got, 1);
}

static const struct net_case cases[] = {
	{ "the number of a closed connection", t_each, BOTH },
	{ "a backtrace into a connection", t_backtrace, BOTH },
};

int main(void)
{
	int id;

	snprintf(name, sizeof(name), "/number_makers.%d", (int)getpid());
	mount_fd = MUST(open("/", O_RDONLY | O_DIRECTORY));
	if (name_to_handle_at(AT_FDCWD, "/", &handle.head, &id, 0) < 0)
		printf("# no file handles here: %s\n", strerror(errno));
	return net_main(cases, ARRAY_SIZE(cases));
}
