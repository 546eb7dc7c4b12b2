/* SPDX-License-Identifier: MIT */
/*
 * Entry points: calls that block, before which queued output goes out.
 * LIMIT: output that the kernel's send buffer does not take at once goes on
 * only while the thread is in epoll_wait(); so does the end of a connection
 * behind it.
 * LIMIT: what waits without a call that is seen here (a contended mutex, a
 * loop, a foreign socket's blocking write) holds queued output back until the
 * thread is back in one of these or in epoll_wait().
 * Owns: nothing. Threads: any.
 */
#include "entry.h"
#include "proc.h"

#define AFTER_FLUSH(call)                                                 \
	do {                                                              \
		bool left_ = thread_leave();                              \
		__typeof__(call) ret_ = call;                             \
		thread_back(left_);                                       \
		return ret_;                                              \
	} while (0)

/* With WNOHANG a wait does not block. */
#define AFTER_FLUSH_IF(blocks, call)                                      \
	do {                                                              \
		if (!(blocks))                                            \
			return call;                                      \
		AFTER_FLUSH(call);                                        \
	} while (0)

SHIM_EXPORT unsigned int sleep(unsigned int seconds)
{
	AFTER_FLUSH(real.sleep(seconds));
}

SHIM_EXPORT int usleep(useconds_t us)
{
	AFTER_FLUSH(real.usleep(us));
}

SHIM_EXPORT int nanosleep(const struct timespec *wait, struct timespec *left)
{
	AFTER_FLUSH(real.nanosleep(wait, left));
}

SHIM_EXPORT int clock_nanosleep(clockid_t clock, int flags,
				const struct timespec *wait,
				struct timespec *left)
{
	AFTER_FLUSH(real.clock_nanosleep(clock, flags, wait, left));
}

SHIM_EXPORT int pause(void)
{
	AFTER_FLUSH(real.pause());
}

SHIM_EXPORT int sigsuspend(const sigset_t *mask)
{
	AFTER_FLUSH(real.sigsuspend(mask));
}

SHIM_EXPORT int sigwait(const sigset_t *set, int *sig)
{
	AFTER_FLUSH(real.sigwait(set, sig));
}

SHIM_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	AFTER_FLUSH(real.sigwaitinfo(set, info));
}

SHIM_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info,
			     const struct timespec *timeout)
{
	AFTER_FLUSH(real.sigtimedwait(set, info, timeout));
}

SHIM_EXPORT pid_t wait(int *status)
{
	AFTER_FLUSH(real.wait(status));
}

SHIM_EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
	AFTER_FLUSH_IF(!(options & WNOHANG),
		       real.waitpid(pid, status, options));
}

SHIM_EXPORT pid_t wait3(int *status, int options, struct rusage *usage)
{
	AFTER_FLUSH_IF(!(options & WNOHANG),
		       real.wait3(status, options, usage));
}

SHIM_EXPORT pid_t wait4(pid_t pid, int *status, int options,
			struct rusage *usage)
{
	AFTER_FLUSH_IF(!(options & WNOHANG),
		       real.wait4(pid, status, options, usage));
}

SHIM_EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	AFTER_FLUSH_IF(!(options & WNOHANG),
		       real.waitid(type, id, info, options));
}

SHIM_EXPORT int pthread_join(pthread_t thread, void **result)
{
	AFTER_FLUSH(real.pthread_join(thread, result));
}

SHIM_EXPORT int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
	AFTER_FLUSH(real.pthread_cond_wait(cond, lock));
}

SHIM_EXPORT int pthread_cond_timedwait(pthread_cond_t *cond,
				       pthread_mutex_t *lock,
				       const struct timespec *until)
{
	AFTER_FLUSH(real.pthread_cond_timedwait(cond, lock, until));
}

SHIM_EXPORT int pthread_cond_clockwait(pthread_cond_t *cond,
				       pthread_mutex_t *lock, clockid_t clock,
				       const struct timespec *until)
{
	AFTER_FLUSH(real.pthread_cond_clockwait(cond, lock, clock, until));
}

SHIM_EXPORT int pthread_timedjoin_np(pthread_t thread, void **result,
				     const struct timespec *until)
{
	AFTER_FLUSH(real.pthread_timedjoin_np(thread, result, until));
}

SHIM_EXPORT int pthread_clockjoin_np(pthread_t thread, void **result,
				     clockid_t clock,
				     const struct timespec *until)
{
	AFTER_FLUSH(real.pthread_clockjoin_np(thread, result, clock, until));
}

SHIM_EXPORT int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	AFTER_FLUSH(real.pthread_barrier_wait(barrier));
}

SHIM_EXPORT int sem_wait(sem_t *sem)
{
	AFTER_FLUSH(real.sem_wait(sem));
}

SHIM_EXPORT int sem_timedwait(sem_t *sem, const struct timespec *until)
{
	AFTER_FLUSH(real.sem_timedwait(sem, until));
}

SHIM_EXPORT int sem_clockwait(sem_t *sem, clockid_t clock,
			      const struct timespec *until)
{
	AFTER_FLUSH(real.sem_clockwait(sem, clock, until));
}

SHIM_EXPORT int posix_spawn(pid_t *pid, const char *path,
			    const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attr, char *const argv[],
			    char *const envp[])
{
	proc_before_spawn(actions);
	return real.posix_spawn(pid, path, actions, attr, argv, envp);
}

SHIM_EXPORT int posix_spawnp(pid_t *pid, const char *file,
			     const posix_spawn_file_actions_t *actions,
			     const posix_spawnattr_t *attr, char *const argv[],
			     char *const envp[])
{
	proc_before_spawn(actions);
	return real.posix_spawnp(pid, file, actions, attr, argv, envp);
}

SHIM_EXPORT int system(const char *command)
{
	proc_before_spawn(false);
	return real.system(command);
}

SHIM_EXPORT FILE *popen(const char *command, const char *mode)
{
	proc_before_spawn(false);
	return real.popen(command, mode);
}

SHIM_EXPORT int pclose(FILE *stream)
{
	AFTER_FLUSH(real.pclose(stream));
}

/* On a socket the kernel says EINVAL. */
SHIM_EXPORT int fsync(int fd)
{
	thread_before_block();
	SHIM_CALL(fd, SHIM_PASS, real.fsync(fd));
}

SHIM_EXPORT int fdatasync(int fd)
{
	thread_before_block();
	SHIM_CALL(fd, SHIM_PASS, real.fdatasync(fd));
}

SHIM_EXPORT ssize_t msgrcv(int id, void *msg, size_t size, long type,
			   int flags)
{
	AFTER_FLUSH(real.msgrcv(id, msg, size, type, flags));
}

SHIM_EXPORT ssize_t mq_receive(mqd_t mq, char *msg, size_t size,
			       unsigned int *priority)
{
	AFTER_FLUSH(real.mq_receive(mq, msg, size, priority));
}

SHIM_EXPORT ssize_t mq_timedreceive(mqd_t mq, char *msg, size_t size,
				    unsigned int *priority,
				    const struct timespec *end)
{
	AFTER_FLUSH(real.mq_timedreceive(mq, msg, size, priority, end));
}

SHIM_EXPORT int thrd_sleep(const struct timespec *wait, struct timespec *left)
{
	AFTER_FLUSH(real.thrd_sleep(wait, left));
}

SHIM_EXPORT int thrd_join(thrd_t thread, int *result)
{
	AFTER_FLUSH(real.thrd_join(thread, result));
}

SHIM_EXPORT int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	AFTER_FLUSH(real.cnd_wait(cond, mutex));
}

SHIM_EXPORT int cnd_timedwait(cnd_t *cond, mtx_t *mutex,
			      const struct timespec *end)
{
	AFTER_FLUSH(real.cnd_timedwait(cond, mutex, end));
}

/* Finds the thread of a channel; its memory stays a thread's for good. */
static struct thread *thread_of(pthread_t self)
{
	struct thread *found = NULL;
	struct list *node;

	if (!lock_take(&shim_lock))
		return NULL;
	for (node = shim_threads.next; node != &shim_threads;
	     node = node->next) {
		struct thread *th = list_entry(node, struct thread, all);

		if (pthread_equal(th->self, self))
			found = th;
	}
	lock_give(&shim_lock);
	return found;
}

/* A thread that sleeps in its ring is in no call that libc can end. */
SHIM_EXPORT int pthread_cancel(pthread_t thread)
{
	int ret = real.pthread_cancel(thread);
	struct thread *th = ret || shim_off ? NULL : thread_of(thread);

	if (!th || !lock_take(&th->lock))
		return ret;
	th->cancelled = true;
	thread_wake(th);
	lock_give(&th->lock);
	return ret;
}

/* --- signals: who gets one may look at what was sent, or end us ------- */

#define AFTER_SENDING(call)                                               \
	do {                                                              \
		thread_before_delay();                                    \
		return call;                                              \
	} while (0)

SHIM_EXPORT int kill(pid_t pid, int sig)
{
	AFTER_SENDING(real.kill(pid, sig));
}

SHIM_EXPORT int killpg(pid_t group, int sig)
{
	AFTER_SENDING(real.killpg(group, sig));
}

SHIM_EXPORT int raise(int sig)
{
	AFTER_SENDING(real.raise(sig));
}

SHIM_EXPORT int sigqueue(pid_t pid, int sig, const union sigval value)
{
	AFTER_SENDING(real.sigqueue(pid, sig, value));
}

SHIM_EXPORT int pthread_kill(pthread_t thread, int sig)
{
	AFTER_SENDING(real.pthread_kill(thread, sig));
}

SHIM_EXPORT int tgkill(pid_t pid, pid_t tid, int sig)
{
	AFTER_SENDING(real.tgkill(pid, tid, sig));
}
