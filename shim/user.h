/* SPDX-License-Identifier: MIT */
/*
 * Pointers of the program that can't be good, and its vectors of them.
 *
 * The kernel copies with care and says EFAULT; we copy with memcpy().
 * LIMIT: an address in the program's range at which nothing is mapped, or
 * which is read-only, ends the program where the kernel says EFAULT.
 * Owns: nothing. Any thread.
 */
#ifndef SHIM_USER_H
#define SHIM_USER_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Which bit tells the kernel's half of the addresses. On arm64 the top byte
 * may be a tag of the program's. */
#if defined(__aarch64__)
#define USER_TOP_BIT 55
#else
#define USER_TOP_BIT 63
#endif

/* The first page is never mapped (vm.mmap_min_addr): NULL, and members of
 * what NULL points at. */
#define USER_FIRST 4096

/* At most this is read or written by one call (MAX_RW_COUNT). */
#define USER_MAX_COUNT 0x7ffff000

/* Not the program's at all: refused before anything else is looked at, as by
 * access_ok(). */
static inline bool user_beyond(const void *p, size_t len)
{
	uintptr_t start = (uintptr_t)p, end = start + len;

	return __builtin_expect(end < start || end >> USER_TOP_BIT & 1, 0);
}

/* ... or nothing can be there: refused when it is copied from or to. */
static inline bool user_bad(const void *p, size_t len)
{
	return __builtin_expect((uintptr_t)p < USER_FIRST, 0) ||
	       user_beyond(p, len);
}

/* As import_iovec(): 0 or -errno. */
static inline int user_check(const struct iovec *iov, size_t count)
{
	size_t i;

	if (count && user_bad(iov, count * sizeof(*iov)))
		return -EFAULT;
	for (i = 0; i < count; i++) {
		if ((ssize_t)iov[i].iov_len < 0)
			return -EINVAL;
		if (user_beyond(iov[i].iov_base, iov[i].iov_len))
			return -EFAULT;
	}
	return 0;
}

/* Do the first *len* bytes of the vector touch a bad address? */
static inline bool user_bad_parts(const struct iovec *iov, size_t count,
				  size_t len)
{
	size_t i;

	for (i = 0; i < count && len; i++) {
		size_t n = iov[i].iov_len < len ? iov[i].iov_len : len;

		if (n && (uintptr_t)iov[i].iov_base < USER_FIRST)
			return true;
		len -= n;
	}
	return false;
}

static inline size_t user_count(size_t len)
{
	return len < USER_MAX_COUNT ? len : USER_MAX_COUNT;
}

#endif
