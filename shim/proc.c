/* SPDX-License-Identifier: MIT */
/* See proc.h. Entry points: fork, exec, _exit. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "entry.h"
#include "epset.h"
#include "handover.h"
#include "init.h"
#include "leftover.h"
#include "listener.h"
#include "partition_exec.h"
#include "proc.h"
#include "rx_request.h"
#include "tx.h"
#include "view.h"
#include "vsock.h"

/* --- fork ------------------------------------------------------------ */

/* Parent and child share every connection from here on, as the kernel would
 * have them do. LIMIT: sockets without a descriptor that another thread
 * drives can't be shared; the child finds EBADF. */
static void share_sockets(struct thread *th)
{
	struct list *node, *next;

	thread_flush(th);
	/* All receives end in one batch, not each with an enter of its own. */
	for (node = th->socks.next; node != &th->socks; node = node->next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		if (vs->life == VS_OPEN && vs->depth != DEPTH_GIVEN &&
		    vs->rx == SLOT_ARMED)
			rx_cancel(vs);
	}
	for (node = th->socks.next; node != &th->socks; node = next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		next = thread_next_sock(th, node);
		if (vs->life != VS_OPEN || vs->depth == DEPTH_GIVEN)
			continue;
		rx_quiesce(vs);
		vs->shared = true;
	}
	vs_materialise_all(th, STAT_mat_fork);
}

/* What is queued for sockets of another thread: the child's bytes come after
 * it. Nobody arms anything while we hold the lock. */
static void push_output(struct thread *th)
{
	struct list *node;

	if (!th->ch)
		return;
	if (!th->sleeping)
		thread_dispatch(th);
	for (node = th->socks.next; node != &th->socks; node = node->next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		if (vs->tx_bytes && vs->depth != DEPTH_LW &&
		    vs->life == VS_OPEN)
			tx_push(vs);
	}
}

static void before_fork(void)
{
	struct list *node;
	struct thread *th;

	lock_take(&shim_lock);
	shim_shared = true;
	for (node = shim_threads.next; node != &shim_threads;
	     node = node->next) {
		th = list_entry(node, struct thread, all);
		if (!lock_take(&th->lock))
			continue;
		if (th->ch)
			listener_share_all(th);
		if (th == self_thread && th->ch)
			share_sockets(th);
		else
			push_output(th);
	}
	partition_before_fork();
}

static void after_fork_parent(void)
{
	struct list *node;

	partition_after_fork();
	for (node = shim_threads.next; node != &shim_threads;
	     node = node->next) {
		struct thread *th = list_entry(node, struct thread, all);

		if (th == self_thread)
			th->forked = true;
		lock_give(&th->lock);
	}
	lock_give(&shim_lock);
}

void proc_waits_again(struct thread *th)
{
	struct list *node;

	th->forked = false;
	for (node = th->socks.next; node != &th->socks; node = node->next)
		vs_touch(list_entry(node, struct vsock, owned));
}

static void inherit_number(struct vsock *vs, int fd)
{
	if (fd < 0 || fd_object(fd) != (void *)vs)
		return;
	if (vs->listener && vs->listener->part)
		fd_set_object(fd, vs->listener->part);
	else if (vs->ents)
		fd_mark_inherited(fd);
	else
		fd_set_object(fd, NULL);
	vs->refs--;
}

/* The child keeps what was read ahead; the rest are plain descriptors. */
static void inherit_socket(struct vsock *vs)
{
	int fd;

	if (vs->rx_bytes && vs->life == VS_OPEN && vs->depth != DEPTH_LW)
		vs->depth = DEPTH_GIVEN;
	else if (vs->refs == 1)
		inherit_number(vs, vs->fd);
	else
		for (fd = 0; vs->refs && fd < FD_TABLE_MAX; fd++)
			inherit_number(vs, fd);
	leftover_free(vs);
	tx_free(vs);
	vs->ents = NULL;
	vs->slot = -1;
	vs->options = 0;
	vs->record = NULL;
	vs->rx = vs->tx = vs->fin = SLOT_IDLE;
}

static void forget_thread(struct thread *th)
{
	struct list *node;

	th->lock = (struct lock){ 0 };
	if (!th->ch)
		return;
	for (node = th->socks.next; node != &th->socks; node = node->next)
		inherit_socket(list_entry(node, struct vsock, owned));
	for (node = th->sets.next; node != &th->sets; node = node->next) {
		struct epset *set = list_entry(node, struct epset, owned);

		set->th = NULL;
		set->handle = 0;
		set->poll_armed = false;
		set->inherited = true;
	}
	fd_unhide(chan_fd(th->ch));
	chan_forget(th->ch);
	th->ch = NULL;
	if (th->wake_fd >= 0) {
		fd_unhide(th->wake_fd);
		sys_close(th->wake_fd);
		th->wake_fd = -1;
	}
}

static void after_fork_child(void)
{
	struct list *node;

	shim_lock = (struct lock){ 0 };
	lock_self_id = 0;
	for (node = shim_threads.next; node != &shim_threads;
	     node = node->next)
		forget_thread(list_entry(node, struct thread, all));
	list_init(&shim_threads);
	self_thread = NULL;
	partition_forked();
	view_forked();
	fd_table_forked();
	init_forked();
}

void entry_forked(void)
{
	after_fork_child();
}

/* Handlers run for fork(), daemon() and forkpty(), which call it inside. */
void proc_init(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

SHIM_EXPORT pid_t fork(void)
{
	return real.fork();
}

/* _Fork() runs no handlers (glibc 2.34). */
SHIM_EXPORT pid_t _Fork(void)
{
	pid_t pid;

	if (shim_off)
		return real._Fork();
	before_fork();
	pid = real._Fork();
	if (pid)
		after_fork_parent();
	else
		after_fork_child();
	return pid;
}

/* --- exec ------------------------------------------------------------ */

/* Output goes out first. A vfork child shares our memory: not a word. With
 * *all* also what will not pass an exec gets a descriptor: the child of vfork()
 * or posix_spawn() may first copy it to another number. */
static void before_program(bool all)
{
	struct list *node, *next;
	struct thread *th = self_thread;

	if (!th || !th->ch || entry_foreign_process() || !lock_take(&th->lock))
		return;
	thread_reap_now(th);
	for (node = th->socks.next; node != &th->socks; node = next) {
		struct vsock *vs = list_entry(node, struct vsock, owned);

		next = thread_next_sock(th, node);
		if (vs->life == VS_OPEN && (all || !vs->cloexec))
			vs_materialise(vs, STAT_handover_exec);
		else if (vs->life == VS_LISTEN && !all)
			listener_leave(vs);
	}
	lock_give(&th->lock);
}

static void before_exec(void)
{
	before_program(false);
}

void proc_before_spawn(bool copies)
{
	before_program(copies);
}

/* A server that starts itself anew (binary upgrade) with an environment of
 * its own making goes on as it was started. Other programs get just what they
 * are given. */
static bool is_own_binary(const char *path)
{
	struct stat self, other;

	return path && !sys_call4(SYS_newfstatat, AT_FDCWD, "/proc/self/exe",
				  &self, 0) &&
	       !sys_call4(SYS_newfstatat, AT_FDCWD, path, &other, 0) &&
	       self.st_dev == other.st_dev && self.st_ino == other.st_ino;
}

static bool has_preload(char *const envp[])
{
	size_t i;

	for (i = 0; envp && envp[i]; i++)
		if (!strncmp(envp[i], "LD_PRELOAD=", 11))
			return true;
	return false;
}

#define ENVIRON_MAX 1024
#define EXPORT_MAX 8192

/* What the next image is told beside what the program tells it. */
struct next_image {
	char *environment[ENVIRON_MAX];
	char text[EXPORT_MAX];
	char *handed;
};

/* The environment for it, which is *envp* unless it is this binary. */
static char *const *environment_for(struct next_image *next, const char *path,
				    char *const envp[])
{
	bool preload = has_preload(envp);
	char **full = next->environment;
	size_t n = 0, i;

	next->handed = NULL;
	before_exec();
	if (likely(shim_off || (preload && !partition_any) ||
		   !is_own_binary(path)))
		return envp;
	next->handed = partition_export(next->text, sizeof(next->text));
	if (preload && !next->handed)
		return envp;
	if (next->handed)
		full[n++] = next->handed;
	if (!preload)
		n += init_environment(full + n, ENVIRON_MAX / 2);
	for (i = 0; envp && envp[i] && n < ENVIRON_MAX - 1; i++)
		full[n++] = envp[i];
	full[n] = NULL;
	return full;
}

/* There is none after all. */
static int exec_failed(const struct next_image *next, int ret)
{
	if (next->handed)
		partition_not_exported();
	return ret;
}

SHIM_EXPORT int execve(const char *path, char *const argv[],
		       char *const envp[])
{
	struct next_image next;

	envp = environment_for(&next, path, envp);
	return exec_failed(&next, real.execve(path, argv, envp));
}

/* The child may write to a connection at once: our output goes first. The
 * child returns on our stack, so libc's vfork() must find it as it was. */
#if defined(__x86_64__)
__asm__(".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n"
	"	subq $8, %rsp\n"
	"	call proc_before_vfork\n"
	"	addq $8, %rsp\n"
	"	jmp *%rax\n"
	".size vfork, . - vfork\n"
	".globl __vfork\n"
	".set __vfork, vfork\n");
#elif defined(__aarch64__)
__asm__(".globl vfork\n"
	".type vfork, %function\n"
	"vfork:\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	bl proc_before_vfork\n"
	"	ldp x29, x30, [sp], #16\n"
	"	br x0\n"
	".size vfork, . - vfork\n"
	".globl __vfork\n"
	".set __vfork, vfork\n");
#endif

__attribute__((used)) void *proc_before_vfork(void)
{
	shim_vforked = true;
	before_program(true);
	return (void *)real.vfork;
}

SHIM_EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

/* Where execvp(3) would find it; libc looks itself once more. */
static const char *found(const char *file, char *to, size_t size)
{
	const char *dirs = getenv("PATH"), *end;
	size_t len = file ? strlen(file) : 0;

	if (!file || strchr(file, '/'))
		return file;
	for (; dirs && *dirs; dirs = *end ? end + 1 : end) {
		end = strchrnul(dirs, ':');
		if ((size_t)(end - dirs) + len + 2 > size)
			continue;
		memcpy(to, dirs, (size_t)(end - dirs));
		to[end - dirs] = '/';
		memcpy(to + (end - dirs) + 1, file, len + 1);
		if (!sys_call3(SYS_faccessat, AT_FDCWD, to, X_OK))
			return to;
	}
	return NULL;
}

SHIM_EXPORT int execvpe(const char *file, char *const argv[],
			char *const envp[])
{
	struct next_image next;
	char path[PATH_MAX];

	envp = environment_for(&next, found(file, path, sizeof(path)), envp);
	return exec_failed(&next, real.execvpe(file, argv, envp));
}

SHIM_EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

SHIM_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	struct next_image next;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	envp = environment_for(&next, path, envp);
	return exec_failed(&next, real.fexecve(fd, argv, envp));
}

/* LIMIT: by a directory's descriptor, a program's next image is not told. */
SHIM_EXPORT int execveat(int fd, const char *path, char *const argv[],
			 char *const envp[], int flags)
{
	struct next_image next;

	envp = environment_for(&next, fd == AT_FDCWD ? path : NULL, envp);
	return exec_failed(&next, real.execveat(fd, path, argv, envp, flags));
}

/* The list forms become vectors on the stack: after vfork() no allocation. */
#define EXEC_LIST_MAX 4096

static size_t count_args(va_list ap)
{
	size_t n = 1;

	while (va_arg(ap, char *))
		n++;
	return n;
}

#define EXEC_VECTOR(argv, first, ap)                                      \
	char *argv[EXEC_LIST_MAX];                                        \
	va_list ap, copy_;                                                \
	size_t i_, n_;                                                    \
	va_start(ap, first);                                              \
	va_copy(copy_, ap);                                               \
	n_ = count_args(copy_);                                           \
	va_end(copy_);                                                    \
	if (n_ >= EXEC_LIST_MAX) {                                        \
		va_end(ap);                                               \
		return (int)shim_return(-E2BIG);                          \
	}                                                                 \
	argv[0] = (char *)first;                                          \
	for (i_ = 1; i_ <= n_; i_++)                                      \
		argv[i_] = va_arg(ap, char *)

SHIM_EXPORT int execl(const char *path, const char *arg, ...)
{
	EXEC_VECTOR(argv, arg, ap);

	va_end(ap);
	return execv(path, argv);
}

SHIM_EXPORT int execlp(const char *file, const char *arg, ...)
{
	EXEC_VECTOR(argv, arg, ap);

	va_end(ap);
	return execvp(file, argv);
}

SHIM_EXPORT int execle(const char *path, const char *arg, ...)
{
	char *const *envp;
	EXEC_VECTOR(argv, arg, ap);

	envp = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, envp);
}

/* --- exit ------------------------------------------------------------ */

SHIM_EXPORT void _exit(int status)
{
	init_end();
	real._exit(status);
	__builtin_unreachable();
}

SHIM_EXPORT void _Exit(int status)
{
	init_end();
	real._Exit(status);
	__builtin_unreachable();
}

/* A handler of SIGABRT may go on by longjmp(): so nothing is closed. */
SHIM_EXPORT void abort(void)
{
	if (!shim_off && shim_alive && *shim_alive && !entry_foreign_process())
		thread_drain(true, false);
	real.abort();
	__builtin_unreachable();
}
