/* SPDX-License-Identifier: MIT */
/* See turns.h. Entry points: locks between processes. They block. */
#include <fcntl.h>
#include <stdarg.h>

#include "entry.h"
#include "turns.h"
#include "user.h"

static void set_held(bool held)
{
	__atomic_store_n(&turns_lock_held, held, __ATOMIC_RELAXED);
}

static void set_made(void)
{
	__atomic_store_n(&turns_lock_made, true, __ATOMIC_RELAXED);
}

/* A lock that is only tried keeps nobody waiting in turn. */
void turns_note_lock(int cmd, const void *flock)
{
	const struct flock *lock = flock;

	if (user_bad(lock, sizeof(*lock)))
		return;
	if (lock->l_type == F_UNLCK)
		set_held(false);
	else if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
		set_held(true);
}

#define AFTER_FLUSH(call)                                                 \
	do {                                                              \
		bool left_ = thread_leave();                              \
		__typeof__(call) ret_ = call;                             \
		thread_back(left_);                                       \
		return ret_;                                              \
	} while (0)

SHIM_EXPORT int flock(int fd, int operation)
{
	if (!(operation & LOCK_NB))
		set_held(!(operation & LOCK_UN));
	entry_make_real(fd);
	AFTER_FLUSH(real.flock(fd, operation));
}

SHIM_EXPORT int lockf(int fd, int cmd, off_t len)
{
	if (cmd == F_LOCK || cmd == F_ULOCK)
		set_held(cmd == F_LOCK);
	entry_make_real(fd);
	AFTER_FLUSH(real.lockf(fd, cmd, len));
}

SHIM_EXPORT int lockf64(int fd, int cmd, off64_t len)
{
	if (cmd == F_LOCK || cmd == F_ULOCK)
		set_held(cmd == F_LOCK);
	entry_make_real(fd);
	AFTER_FLUSH(real.lockf64(fd, cmd, len));
}

static void note_semaphore(const struct sembuf *ops, size_t count)
{
	if (count && !user_bad(ops, sizeof(*ops)) && ops->sem_op &&
	    !(ops->sem_flg & IPC_NOWAIT))
		set_held(ops->sem_op < 0);
}

SHIM_EXPORT int semop(int id, struct sembuf *ops, size_t count)
{
	note_semaphore(ops, count);
	AFTER_FLUSH(real.semop(id, ops, count));
}

SHIM_EXPORT int semtimedop(int id, struct sembuf *ops, size_t count,
			   const struct timespec *timeout)
{
	note_semaphore(ops, count);
	AFTER_FLUSH(real.semtimedop(id, ops, count, timeout));
}

/* Who takes these does not come by here. */
SHIM_EXPORT int pthread_mutexattr_setpshared(pthread_mutexattr_t *attr,
					     int shared)
{
	if (shared == PTHREAD_PROCESS_SHARED)
		set_made();
	return real.pthread_mutexattr_setpshared(attr, shared);
}

SHIM_EXPORT sem_t *sem_open(const char *name, int flags, ...)
{
	unsigned int value;
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	value = va_arg(ap, unsigned int);
	va_end(ap);
	set_made();
	return real.sem_open(name, flags, mode, value);
}
