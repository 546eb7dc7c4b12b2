/* SPDX-License-Identifier: MIT */
/*
 * Entry points: select over sockets of ours. See poll.h.
 *
 * The sets are the words that the kernel reads, of any length: programs with
 * many descriptors bring larger ones than libc's fd_set. Words beyond the
 * descriptor table must not be touched, they need not be there.
 * Owns: nothing. Threads: any.
 */
#include <errno.h>
#include <string.h>

#include "entry.h"
#include "poll.h"

/* select()'s classes in poll()'s words, fs/select.c. */
#define IN_SET (POLLIN | POLLRDNORM | POLLHUP | POLLERR)
#define OUT_SET (POLLOUT | POLLWRNORM | POLLERR)

#define WORD_BITS (8 * (int)sizeof(long))

/* What one call works with. */
struct selection {
	int words;
	unsigned long *given[3];	/* the program's sets, or NULL */
	unsigned long *ready[2];	/* what of ours is ready */
	unsigned long *asked[3];	/* what the kernel is asked about */
	unsigned long *memory;
	unsigned long local[5 * FD_SETSIZE / WORD_BITS];
};

static void set_bit(unsigned long *set, int fd)
{
	set[fd / WORD_BITS] |= 1ul << fd % WORD_BITS;
}

static bool has_bit(const unsigned long *set, int fd)
{
	return set && set[fd / WORD_BITS] >> fd % WORD_BITS & 1;
}

/* The program's numbers in one word of its sets, those below *count*. */
static unsigned long word_of(unsigned long *const given[3], int word,
			     int count)
{
	unsigned long bits = 0;
	int i;

	for (i = 0; i < 3; i++)
		bits |= given[i] ? given[i][word] : 0;
	if (count - word * WORD_BITS < WORD_BITS)
		bits &= (1ul << (count - word * WORD_BITS)) - 1;
	return bits;
}

/* The next number from *fd* on; -1: none. */
static int next_number(const struct selection *s, int count, int fd)
{
	int word;

	for (word = fd / WORD_BITS; word < s->words; word++) {
		unsigned long bits = word_of(s->given, word, count);

		if (word == fd / WORD_BITS)
			bits &= ~0ul << fd % WORD_BITS;
		if (bits)
			return word * WORD_BITS + __builtin_ctzl(bits);
	}
	return -1;
}

#define FOR_EACH(fd, s, count) \
	for (fd = next_number(s, count, 0); fd >= 0; \
	     fd = next_number(s, count, fd + 1))

static bool any_ours(const struct selection *s, int count)
{
	int fd;

	FOR_EACH(fd, s, count) {
		if (likely(!fd_object(fd)))
			continue;
		poll_share(fd);
		if (fd_lookup(fd, OBJ_SOCK) || fd_lookup(fd, OBJ_SET))
			return true;
	}
	return false;
}

/* Readiness of ours, and the rest for the kernel: how many bits. */
static int sort_out(struct selection *s, int count)
{
	int fd, i, n = 0;

	memset(s->ready[0], 0, (size_t)s->words * 5 * sizeof(long));
	FOR_EACH(fd, s, count) {
		int mask = fd_object(fd) ? poll_ready(fd, POLLIN | POLLOUT) :
					   -1;

		for (i = 0; i < 3; i++)
			if (has_bit(s->given[i], fd) &&
			    (mask < 0 || !fd_lookup(fd, OBJ_SOCK)))
				set_bit(s->asked[i], fd);
		for (i = 0; i < 2; i++) {
			if (mask < 0 || !has_bit(s->given[i], fd) ||
			    !(mask & (i ? OUT_SET : IN_SET)))
				continue;
			set_bit(s->ready[i], fd);
			n++;
		}
	}
	return n;
}

/* Ours are answered, the rest is asked without waiting. The program's sets
 * stay as they are on an error. */
static int merge(struct selection *s, int count, int ours)
{
	struct timeval zero = { 0, 0 };
	int i, word, n;

	n = real.select(count, (fd_set *)s->asked[0], (fd_set *)s->asked[1],
			(fd_set *)s->asked[2], &zero);
	if (n < 0)
		return n;
	for (i = 0; i < 3; i++)
		for (word = 0; s->given[i] && word < s->words; word++)
			s->given[i][word] =
				s->asked[i][word] |
				(i < 2 ? s->ready[i][word] : 0);
	return n + ours;
}

/* The kernel can do it all now: false; else the answer in *n*. */
static bool select_ours(struct selection *s, int count, int *n)
{
	int fd, left, ready;

	for (;;) {
		ready = sort_out(s, count);
		if (ready) {
			*n = merge(s, count, ready);
			return true;
		}
		left = 0;
		FOR_EACH(fd, s, count)
			left += fd_lookup(fd, OBJ_SOCK) ? poll_release(fd) : 0;
		if (!left)
			return false;
	}
}

static bool get_memory(struct selection *s)
{
	size_t size = (size_t)s->words * 5 * sizeof(long);
	int i;

	s->memory = s->local;
	if (size > sizeof(s->local))
		s->memory = sys_map(size, MAP_PRIVATE);
	if (!s->memory)
		return false;
	for (i = 0; i < 2; i++)
		s->ready[i] = s->memory + i * s->words;
	for (i = 0; i < 3; i++)
		s->asked[i] = s->memory + (2 + i) * s->words;
	return true;
}

static void put_memory(struct selection *s)
{
	if (s->memory != s->local)
		sys_unmap(s->memory, (size_t)s->words * 5 * sizeof(long));
}

/* The answer in *n*, or false: the call is the kernel's. */
static bool select_here(int count, fd_set *rd, fd_set *wr, fd_set *ex, int *n)
{
	struct selection s;
	bool done;

	s.words = (count + WORD_BITS - 1) / WORD_BITS;
	s.given[0] = (unsigned long *)rd;
	s.given[1] = (unsigned long *)wr;
	s.given[2] = (unsigned long *)ex;
	if (likely(!fd_hidden() || !any_ours(&s, count)) || !get_memory(&s))
		return false;
	done = select_ours(&s, count, n);
	put_memory(&s);
	return done;
}

/* --- how far the kernel looks ---------------------------------------- */

/* linux/dirent.h has no header for programs (getdents64(2)). */
struct entry64 {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

static int number_of(const char *name)
{
	int fd = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		fd = fd * 10 + *name - '0';
	return *name ? -1 : fd;
}

/* One above the highest number that is not our own. */
static int program_numbers(void)
{
	int dir = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY |
						    O_CLOEXEC);
	int highest = FD_SETSIZE - 1;
	char buf[2048] __attribute__((aligned(8)));
	long len, at;

	if (dir < 0)
		return FD_SETSIZE;
	while ((len = sys_call3(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		struct entry64 *e;

		for (at = 0; at < len; at += e->size) {
			int fd;

			e = (struct entry64 *)(buf + at);
			fd = number_of(e->name);
			if (fd > highest && !fd_lookup(fd, OBJ_PRIVATE))
				highest = fd;
		}
	}
	sys_close(dir);
	return highest + 1;
}

/*
 * The kernel looks at as many bits as the descriptor table has room for, in
 * sets that may be shorter than *count* says (getdtablesize() is a usual
 * count). Our own descriptors at high numbers must not make it look at, and
 * write to, more of the program's memory.
 */
static int count_for_kernel(int count)
{
	int most;

	if (likely(count <= FD_SETSIZE || !fd_hidden()))
		return count;
	most = program_numbers();
	most = (most + WORD_BITS - 1) / WORD_BITS * WORD_BITS;
	return count < most ? count : most;
}

/* --- the calls ------------------------------------------------------- */

SHIM_EXPORT int select(int count, fd_set *rd, fd_set *wr, fd_set *ex,
		       struct timeval *timeout)
{
	int n;

	count = count_for_kernel(count);
	if ((!timeout || (timeout->tv_sec >= 0 && timeout->tv_usec >= 0)) &&
	    select_here(count, rd, wr, ex, &n))
		return n;
	thread_before_block();
	return real.select(count, rd, wr, ex, timeout);
}

SHIM_EXPORT int pselect(int count, fd_set *rd, fd_set *wr, fd_set *ex,
			const struct timespec *timeout, const sigset_t *mask)
{
	int n;

	count = count_for_kernel(count);
	if ((!timeout || (timeout->tv_sec >= 0 && timeout->tv_nsec >= 0 &&
			  timeout->tv_nsec < 1000000000)) &&
	    select_here(count, rd, wr, ex, &n))
		return n;
	thread_before_block();
	return real.pselect(count, rd, wr, ex, timeout, mask);
}
