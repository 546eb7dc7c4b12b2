/* SPDX-License-Identifier: MIT */
/* See fdtable.h. */
#include <errno.h>
#include <string.h>

#include "fdtable.h"

void *fd_table[FD_TABLE_MAX];

/* Our own descriptors go above the soft limit, but not so far that the
 * kernel's table grows large: it is copied by every fork. */
#define HIDE_BASE_MAX 4096

/* So many fit above it: a ring for each thread, the sockets of partitioned
 * listeners. */
#define HIDE_ROOM 1024

/* When the limit can't be raised they go into its upper half, where a program
 * that opens few does not come; below this limit every number counts. */
#define HIDE_WITHIN_MIN 256

/* At most this many free numbers are held; a bitmap keeps the lowest first. */
#define HELD_MAX 65536
#define WORD_BITS 64

static struct lock number_lock;
static uint64_t held_bits[HELD_MAX / WORD_BITS];
static int held_count;
static int held_first;		/* no bit is set in words before this one */
static int anchor = -1;
static uint8_t private_object = OBJ_PRIVATE;
static uint8_t held_object = OBJ_HELD;

static uint8_t plain_object = OBJ_PLAIN;
static uint8_t inherited_object = OBJ_INHERITED;
static uint8_t inherited_copied = OBJ_INHERITED;	/* and plain */
static bool any_hidden;

static void *marked_plain(const void *object)
{
	return object && *(const uint8_t *)object == OBJ_INHERITED ?
		       &inherited_copied : &plain_object;
}

void fd_mark_plain(int fd)
{
	fd_set_object(fd, marked_plain(fd_object(fd)));
}

static bool can_mark(const void *object)
{
	const uint8_t *kind = object;

	return !kind || *kind == OBJ_PLAIN || *kind == OBJ_INHERITED;
}

bool fd_mark_kernels(int fd)
{
	void *object;
	int state;

	if (fd < 0 || fd >= FD_TABLE_MAX)
		return false;
	state = sys_tcp_state(fd);
	if (state < 0 || state == TCP_LISTEN)
		return false;
	do {
		object = fd_object(fd);
	} while (can_mark(object) &&
		 !fd_claim(fd, object, marked_plain(object)));
	return true;
}

/* One for each number of sets: the last for more than are counted. */
#define KEPT_COUNT 8

static uint8_t kept_objects[KEPT_COUNT] = {
	[0 ... KEPT_COUNT - 1] = OBJ_PLAIN,
};

/* How many sets the object stands for; 0 for others, and when not counted. */
static int kept_count(const void *object)
{
	const uint8_t *kept = object;

	return kept >= kept_objects && kept < kept_objects + KEPT_COUNT - 1 ?
		       (int)(kept - kept_objects) + 1 : 0;
}

void *fd_kept_once(void)
{
	return &kept_objects[0];
}

bool fd_claim(int fd, void *was, void *object)
{
	return __atomic_compare_exchange_n(&fd_table[fd], &was, object, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

bool fd_keep(int fd)
{
	void *old = fd_object(fd), *new;

	if (fd < 0 || fd >= FD_TABLE_MAX)
		return true;
	do {
		int n = kept_count(old);

		if (old && !n)
			return *(uint8_t *)old != OBJ_SOCK;
		new = &kept_objects[n];
	} while (!__atomic_compare_exchange_n(&fd_table[fd], &old, new, false,
					      __ATOMIC_RELEASE,
					      __ATOMIC_ACQUIRE));
	return true;
}

void fd_unkeep(int fd)
{
	void *old = fd_object(fd), *new;

	do {
		int n = kept_count(old);

		if (!n)
			return;
		new = n > 1 ? &kept_objects[n - 2] : NULL;
	} while (!__atomic_compare_exchange_n(&fd_table[fd], &old, new, false,
					      __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

void fd_mark_inherited(int fd)
{
	fd_set_object(fd, &inherited_object);
}

void fd_leave_set(int fd)
{
	if (fd_lookup(fd, OBJ_INHERITED))
		fd_set_object(fd, fd_object(fd) == &inherited_copied ?
					  &plain_object : NULL);
}

void fd_unmark(int fd)
{
	if (fd_lookup(fd, OBJ_PLAIN) || fd_lookup(fd, OBJ_INHERITED))
		fd_set_object(fd, NULL);
}

static rlim_t soft_limit(void)
{
	struct rlimit lim;

	return sys_prlimit(RLIMIT_NOFILE, NULL, &lim) ? 1024 : lim.rlim_cur;
}

/* A copy above the soft limit, which is raised meanwhile. */
static int copy_above(int fd, const struct rlimit *old)
{
	struct rlimit raised = *old;
	int moved = -1;

	raised.rlim_cur = old->rlim_cur + HIDE_ROOM < old->rlim_max ?
				  old->rlim_cur + HIDE_ROOM : old->rlim_max;
	if (!sys_prlimit(RLIMIT_NOFILE, &raised, NULL)) {
		moved = sys_fcntl(fd, F_DUPFD_CLOEXEC,
				  old->rlim_cur < HIDE_BASE_MAX ?
					  (long)old->rlim_cur : HIDE_BASE_MAX);
		sys_prlimit(RLIMIT_NOFILE, old, NULL);
	}
	return moved;
}

int fd_hide(int fd)
{
	struct rlimit lim;
	int moved = -1;

	if (!sys_prlimit(RLIMIT_NOFILE, NULL, &lim)) {
		if (lim.rlim_cur < lim.rlim_max)
			moved = copy_above(fd, &lim);
		else if (lim.rlim_cur >= HIDE_WITHIN_MIN)
			moved = sys_fcntl(fd, F_DUPFD_CLOEXEC,
					  lim.rlim_cur / 2 < HIDE_BASE_MAX ?
						  (long)lim.rlim_cur / 2 :
						  HIDE_BASE_MAX);
	}
	if (moved < 0 || moved >= FD_TABLE_MAX)
		moved = fd;
	else
		sys_close(fd);
	fd_set_object(moved, &private_object);
	__atomic_store_n(&any_hidden, true, __ATOMIC_RELAXED);
	return moved;
}

bool fd_hidden(void)
{
	return __atomic_load_n(&any_hidden, __ATOMIC_RELAXED);
}

void fd_mark_private(int fd)
{
	fd_set_object(fd, &private_object);
	__atomic_store_n(&any_hidden, true, __ATOMIC_RELAXED);
}

void fd_unhide(int fd)
{
	fd_set_object(fd, NULL);
}

/* "/proc/self/fd/N" */
static void name_of_number(char *to, int fd)
{
	static const char directory[] = "/proc/self/fd/";
	char digits[12];
	int n = 0;

	memcpy(to, directory, sizeof(directory) - 1);
	to += sizeof(directory) - 1;
	do {
		digits[n++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd);
	while (n)
		*to++ = digits[--n];
	*to = '\0';
}

/* O_PATH: read, write, epoll_ctl and ioctl say EBADF on every copy. Of a
 * socket, so that stat() and /proc/PID/fd show one, and so that it is no
 * directory for openat(). */
static int open_anchor(void)
{
	int fd = -ENOENT, sock;
	char path[32];

	sock = (int)sys_call3(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC,
			      0);
	if (sock >= 0) {
		name_of_number(path, sock);
		fd = sys_open(path, O_PATH | O_CLOEXEC);
		sys_close(sock);
	}
	if (fd < 0)		/* without /proc */
		fd = sys_open("/", O_PATH | O_CLOEXEC);
	if (fd >= 0)
		anchor = fd_hide(fd);
	return fd < 0 ? fd : 0;
}

static void hold(int fd)
{
	fd_set_object(fd, &held_object);
	held_bits[fd / WORD_BITS] |= 1ull << (fd % WORD_BITS);
	held_count++;
	if (fd / WORD_BITS < held_first)
		held_first = fd / WORD_BITS;
}

static int take_held(void)
{
	int i, fd;

	if (!held_count)
		return -1;
	for (i = held_first; !held_bits[i]; i++)
		;
	held_first = i;
	fd = i * WORD_BITS + __builtin_ctzll(held_bits[i]);
	held_bits[i] &= held_bits[i] - 1;
	held_count--;
	fd_set_object(fd, NULL);
	return fd;
}

int fd_reserve(void)
{
	int fd, ret = 0;

	if (!lock_take(&number_lock))
		return -EMFILE;
	fd = take_held();
	if (fd < 0 && anchor < 0)
		ret = open_anchor();
	lock_give(&number_lock);
	if (fd >= 0 || ret < 0)
		return fd >= 0 ? fd : ret;
	fd = sys_fcntl(anchor, F_DUPFD_CLOEXEC, 0);
	if (fd >= FD_TABLE_MAX) {
		sys_close(fd);
		return -EMFILE;
	}
	return fd;
}

/* Numbers in the upper half of what the program may open go back to the
 * kernel: a program near its limit must not find them taken. So do those of
 * the standard streams, which programs open by closing and opening. */
static bool worth_holding(int fd)
{
	return fd < HELD_MAX && (rlim_t)fd < soft_limit() / 2;
}

/* The limit is asked for only when a number is higher than any held before:
 * in a steady state no system call. */
static int known_good;

static bool may_hold(int fd)
{
	if (fd <= STDERR_FILENO)
		return false;
	if (fd < known_good)
		return true;
	if (!worth_holding(fd))
		return false;
	known_good = fd + 1;
	return true;
}

void fd_release(int fd)
{
	bool held = false;

	if (lock_take(&number_lock)) {
		held = may_hold(fd);
		if (held)
			hold(fd);
		lock_give(&number_lock);
	}
	if (!held)
		sys_close(fd);
}

void fd_release_real(int fd)
{
	if (anchor < 0 || sys_dup3(anchor, fd, O_CLOEXEC) < 0)
		sys_close(fd);
	else
		fd_release(fd);
}

bool fd_unhold(int fd)
{
	bool held = false;

	if (!lock_take(&number_lock))
		return false;
	if (fd < HELD_MAX &&
	    held_bits[fd / WORD_BITS] & 1ull << (fd % WORD_BITS)) {
		held_bits[fd / WORD_BITS] &= ~(1ull << (fd % WORD_BITS));
		held_count--;
		fd_set_object(fd, NULL);
		held = true;
	}
	lock_give(&number_lock);
	return held;
}

int fd_trim(void)
{
	int fd, n = 0;

	if (!lock_take(&number_lock))
		return 0;
	known_good = 0;
	while ((fd = take_held()) >= 0) {
		sys_close(fd);
		n++;
	}
	lock_give(&number_lock);
	return n;
}

void fd_table_forked(void)
{
	number_lock = (struct lock){ 0 };
	fd_trim();
}
