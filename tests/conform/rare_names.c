/* SPDX-License-Identifier: MIT */
/*
 * Description: libc's other names for the same calls, aio, and rare calls.
 */
#include "../lib/net.h"

#include <aio.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <threads.h>
#include <unistd.h>

ssize_t __read(int fd, void *buf, size_t len);
ssize_t __write(int fd, const void *buf, size_t len);
ssize_t __send(int fd, const void *buf, size_t len, int flags);
int __close(int fd);
int __fcntl(int fd, int cmd, ...);
int __dup2(int fd, int to);
off_t __lseek(int fd, off_t off, int whence);
ssize_t __pread64(int fd, void *buf, size_t len, off64_t off);
ssize_t __pwrite64(int fd, const void *buf, size_t len, off64_t off);
int __poll(struct pollfd *fds, nfds_t count, int timeout);
int __select(int count, fd_set *rd, fd_set *wr, fd_set *ex,
	     struct timeval *timeout);
int __connect(int fd, const struct sockaddr *addr, socklen_t len);
int __dprintf_chk(int fd, int flag, const char *fmt, ...);

static void arrive(struct fix *f, const char *text)
{
	peer_write(f->peer, text, strlen(text));
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
}

static void t_data(struct fix *f)
{
	char buf[8];

	CHECK_ERRNO(__read(f->fd, buf, 8), EAGAIN);
	arrive(f, "hello");
	CHECK_EQ(__read(f->fd, buf, 8), 5);
	CHECK_MEM(buf, "hello", 5);
	CHECK_EQ(send(f->fd, "a", 1, 0), 1);
	CHECK_EQ(__write(f->fd, "b", 1), 1);
	CHECK_EQ(__send(f->fd, "c", 1, 0), 1);
	CHECK_EQ(__dprintf_chk(f->fd, 1, "%s%d", "d", 5), 2);
	CHECK_EQ(dprintf(f->fd, "%c", 'e'), 1);
	peer_expect(f->peer, "abcd5e");
	CHECK_ERRNO(__lseek(f->fd, 0, SEEK_CUR), ESPIPE);
	CHECK_ERRNO(__pread64(f->fd, buf, 8, 0), ESPIPE);
	CHECK_ERRNO(__pwrite64(f->fd, buf, 8, 0), ESPIPE);
	CHECK_ERRNO(__connect(f->fd, (struct sockaddr *)&f->addr,
			      sizeof(f->addr)), EISCONN);
}

static void t_numbers(struct fix *f)
{
	int copy = MUST(__fcntl(f->fd, F_DUPFD_CLOEXEC, 200)), fd = f->fd;

	CHECK(__fcntl(f->fd, F_GETFL) & O_NONBLOCK);
	CHECK_EQ(__dup2(f->fd, 210), 210);
	CHECK_EQ(__close(f->fd), 0);
	f->fd = -1;
	CHECK_ERRNO(__close(fd), EBADF);
	CHECK_EQ(send(210, "x", 1, 0), 1);
	CHECK_EQ(__close(210), 0);
	CHECK_EQ(send(copy, "y", 1, 0), 1);
	CHECK_EQ(__close(copy), 0);
	peer_expect(f->peer, "xy");
	peer_eof(f->peer);
}

static void t_waits(struct fix *f)
{
	struct pollfd pfd = { .fd = f->fd, .events = POLLIN };
	struct timeval tv = { 0, 0 };
	fd_set rd;

	arrive(f, "x");
	CHECK_EQ(__poll(&pfd, 1, 0), 1);
	CHECK_EQ(pfd.revents, POLLIN);
	FD_ZERO(&rd);
	FD_SET(f->fd, &rd);
	CHECK_EQ(__select(f->fd + 1, &rd, NULL, NULL, &tv), 1);
	CHECK(FD_ISSET(f->fd, &rd));
}

static int aio_end(struct aiocb *cb)
{
	UNTIL(aio_error(cb) != EINPROGRESS);
	return aio_error(cb);
}

static void t_aio(struct fix *f)
{
	char buf[8];
	struct aiocb out = { .aio_fildes = f->fd, .aio_buf = "hello",
			     .aio_nbytes = 5 };
	struct aiocb in = { .aio_fildes = f->fd, .aio_buf = buf,
			    .aio_nbytes = 8 };

	CHECK_EQ(send(f->fd, "<", 1, 0), 1);
	MUST(aio_write(&out));
	CHECK_EQ(aio_end(&out), 0);
	CHECK_EQ(aio_return(&out), 5);
	CHECK_EQ(send(f->fd, ">", 1, 0), 1);
	peer_expect(f->peer, "<hello>");
	peer_write(f->peer, "back", 4);
	CHECK_EV(set_next(f->ep, f->fd, WAIT_MS), EPOLLIN);
	MUST(aio_read(&in));
	CHECK_EQ(aio_end(&in), 0);
	CHECK_EQ(aio_return(&in), 4);
	CHECK_MEM(buf, "back", 4);
	MUST(aio_read(&in));
	CHECK_EQ(aio_end(&in), EAGAIN);
	CHECK_EQ(aio_return(&in), -1);
}

static void t_lio(struct fix *f)
{
	struct aiocb one = { .aio_fildes = f->fd, .aio_buf = "one",
			     .aio_nbytes = 3, .aio_lio_opcode = LIO_WRITE };
	struct aiocb *list[] = { &one, NULL };

	MUST(lio_listio(LIO_WAIT, list, 2, NULL));
	CHECK_EQ(aio_return(&one), 3);
	peer_expect(f->peer, "one");
}

/* A socket is a socket, and no file and no directory. */
static void t_kind(struct fix *f)
{
	struct statfs fs;
	char byte;

	CHECK_EQ(isfdtype(f->fd, S_IFSOCK), 1);
	CHECK_EQ(isfdtype(f->fd, S_IFREG), 0);
	CHECK_EQ(sockatmark(f->fd), 0);
	CHECK_ERRNO(fsync(f->fd), EINVAL);
	CHECK_ERRNO(fdatasync(f->fd), EINVAL);
	CHECK_ERRNO(fchdir(f->fd), ENOTDIR);
	CHECK_ERRNO(openat(f->fd, "etc", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(fstatfs(-1, &fs), EBADF);
	CHECK_EQ(isatty(f->fd), 0);
	CHECK_EQ(errno, ENOTTY);
	arrive(f, "x");
	CHECK_EQ(recv(f->fd, &byte, 1, 0), 1);
}

static thrd_t sleeper;

static int nothing(void *arg)
{
	return 7;
}

/* What was sent before a call that may wait is out while it waits. */
static void t_before_waits(struct fix *f)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST }, *found;
	struct timespec tick = { 0, 1000 };
	int result = 0;
	char buf[4];

	CHECK_EQ(send(f->fd, "a", 1, 0), 1);
	CHECK_EQ(getaddrinfo("127.0.0.1", "80", &hints, &found), 0);
	freeaddrinfo(found);
	CHECK_EQ(recv(f->peer, buf, 4, MSG_DONTWAIT), 1);
	CHECK_EQ(send(f->fd, "b", 1, 0), 1);
	thrd_sleep(&tick, NULL);
	CHECK_EQ(recv(f->peer, buf, 4, MSG_DONTWAIT), 1);
	CHECK_EQ(thrd_create(&sleeper, nothing, NULL), thrd_success);
	CHECK_EQ(send(f->fd, "c", 1, 0), 1);
	CHECK_EQ(thrd_join(sleeper, &result), thrd_success);
	CHECK_EQ(result, 7);
	CHECK_EQ(recv(f->peer, buf, 4, MSG_DONTWAIT), 1);
	CHECK_EQ(send(f->fd, "d", 1, 0), 1);
	fsync(STDERR_FILENO);
	CHECK_EQ(recv(f->peer, buf, 4, MSG_DONTWAIT), 1);
	CHECK_MEM(buf, "d", 1);
}

static const struct net_case cases[] = {
	{ "__read __write __send __dprintf_chk and kin", t_data, BOTH },
	{ "__fcntl __dup2 __close", t_numbers, BOTH },
	{ "__poll __select", t_waits, BOTH },
	{ "aio_read() and aio_write()", t_aio, BOTH },
	{ "lio_listio()", t_lio, BOTH },
	{ "what kind of a file it is", t_kind, BOTH },
	{ "sent before name resolution, sleep, join, fsync",
	  t_before_waits, BOTH },
};

NET_MAIN(cases)
