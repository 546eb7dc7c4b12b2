/* SPDX-License-Identifier: MIT */
/* See init.h. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "entry.h"
#include "epset.h"
#include "init.h"
#include "partition.h"
#include "partition_exec.h"
#include "proc.h"
#include "real.h"
#include "thread.h"
#include "view.h"

bool shim_off = true;
volatile uint32_t *shim_alive;

/* Shared with the processes forked from this one: what was said once. */
static uint32_t *said;
static int usable;		/* -1: a channel could not be made */

/* --- saying ---------------------------------------------------------- */

/* One line by one write, to the file where there is one and it can be
 * written (a worker may have become another user). */
static void say(const char *fmt, va_list ap)
{
	char line[1024] = "megapipe: ";
	size_t n;
	int fd = -1;

	if (opts.log == LOG_OFF)
		return;
	if (opts.log_file) {
		fd = sys_open(opts.log_file, O_WRONLY | O_CREAT | O_APPEND |
						     O_CLOEXEC | O_NOCTTY);
		snprintf(line, sizeof(line), "megapipe[%d]: ", sys_getpid());
	}
	n = strlen(line);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	n = strlen(line);
	line[n++] = '\n';
	sys_write(fd >= 0 ? fd : 2, line, n);
	if (fd >= 0)
		sys_close(fd);
}

void shim_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void shim_tell(const char *fmt, ...)
{
	va_list ap;

	if (opts.log != LOG_ALL)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void shim_log_once(const char *fmt, ...)
{
	va_list ap;

	if (said && __atomic_exchange_n(said, 1, __ATOMIC_RELAXED))
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

/* --- is it possible here? -------------------------------------------- */

static const char *reason(int why)
{
	switch (why) {
	case -ENOSYS:
		return "this kernel has no io_uring, or one older than "
		       "Linux 6.1, or a seccomp filter hides it";
	case -EPERM:
	case -EACCES:
		return "io_uring is not permitted (kernel.io_uring_disabled "
		       "or a seccomp filter)";
	case -ENOMEM:
		return "too little locked memory (ulimit -l)";
	case -EMFILE:
	case -ENFILE:
		return "no descriptor is left for io_uring (ulimit -n)";
	default:
		return strerrordesc_np(-why);
	}
}

void init_unusable(int why)
{
	usable = -1;
	view_refused(why);
	partition_share_all();
	if (opts.mode == MODE_STRICT) {
		shim_log("%s; MEGAPIPE=strict: not started", reason(why));
		real._exit(2);
	}
	shim_log_once("%s; running without channels", reason(why));
}

/* For MEGAPIPE=strict only: the end of a ring makes the next blocking call of
 * its task return EINTR once (measured on 6.18). A pause takes that; without
 * strict the first channel is its own probe. */
static int probe(void)
{
	struct mp_options options = {
		.size = sizeof(options), .batch = 1, .buffers = 8,
	};
	struct timespec tick = { 0, 1000000 };
	struct mp_channel *ch;
	int i, ret = mp_create(&options, &ch);

	if (ret < 0)
		return ret;
	mp_destroy(ch);
	for (i = 0; i < 3; i++)
		sys_call6(SYS_ppoll, 0, 0, (long)&tick, 0, 8, 0);
	return 0;
}

bool init_usable(void)
{
	return usable >= 0;
}

/* --- the end --------------------------------------------------------- */

/* One line of all counters that are not zero, appended to MEGAPIPE_STATS. */
static void write_stats(void)
{
	char line[2048];
	size_t n, i;
	int fd;

	if (!opts.stats || list_empty(&shim_threads))
		return;
	n = (size_t)snprintf(line, sizeof(line), "pid=%d", sys_getpid());
	for (i = 0; i < STAT_MAX && n < sizeof(line) - 64; i++)
		if (view_sum((enum stat_id)i))
			n += (size_t)snprintf(
				line + n, sizeof(line) - n, " %s=%llu",
				stat_names[i],
				(unsigned long long)view_sum((enum stat_id)i));
	line[n++] = '\n';
	fd = sys_open(opts.stats, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return;
	sys_write(fd, line, n);
	sys_close(fd);
}

/* The end is one thread's. Another that ends the process meanwhile would cut
 * it short. */
static uint32_t ending;		/* the thread whose it is, or 0 */
static uint32_t ended;

static bool begin_end(void)
{
	uint32_t none = 0;

	return __atomic_compare_exchange_n(&ending, &none,
					   (uint32_t)lock_self(), false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The other waits for what this thread has queued, so that goes first. A
 * signal handler that interrupted either waits for nobody. */
static void join_end(bool last)
{
	int64_t end = sys_now_ns() + opts.linger_ms * 1000000ll, left;

	if (__atomic_load_n(&ending, __ATOMIC_RELAXED) ==
		    (uint32_t)lock_self() ||
	    (self_thread && lock_is_mine(&self_thread->lock)))
		return;
	if (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE))
		thread_drain(false, last);
	while (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE) &&
	       (left = end - sys_now_ns()) > 0) {
		struct timespec ts = { left / 1000000000, left % 1000000000 };

		sys_futex(&ended, FUTEX_WAIT_PRIVATE, 0, &ts);
	}
}

static void finish_end(void)
{
	__atomic_store_n(&ended, 1, __ATOMIC_RELEASE);
	if (!__libc_single_threaded)
		sys_futex(&ended, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL);
}

static void end(bool last)
{
	if (shim_off || !shim_alive || !*shim_alive || entry_foreign_process())
		return;
	if (!begin_end()) {
		join_end(last);
		return;
	}
	__atomic_store_n(&shim_leaving, true, __ATOMIC_RELAXED);
	partition_exit();
	if (!list_empty(&shim_threads))
		thread_drain(true, last);
	write_stats();
	if (!last)
		thread_give_all();
	partition_end();
	finish_end();
}

void init_end(void)
{
	end(true);
}

/* Those of other libraries may run after this one. */
__attribute__((destructor)) static void unload(void)
{
	end(false);
}

/* --- the start ------------------------------------------------------- */

static int mistakes;

/* Kept until MEGAPIPE_LOG and MEGAPIPE_LOG_FILE are known. */
#define MISTAKES_KEPT 8
static char mistake[MISTAKES_KEPT][1000];

static void complain(const char *line)
{
	if (mistakes < MISTAKES_KEPT)
		snprintf(mistake[mistakes], sizeof(mistake[0]), "%s", line);
	mistakes++;
}

static void say_mistakes(void)
{
	int i;

	for (i = 0; i < mistakes && i < MISTAKES_KEPT; i++)
		shim_log("%s", mistake[i]);
	if (mistakes > MISTAKES_KEPT)
		shim_log("and %d more mistakes in the settings",
			 mistakes - MISTAKES_KEPT);
}

static bool map_pages(void)
{
	shim_alive = sys_map(4096, MAP_PRIVATE);
	said = sys_map(4096, MAP_SHARED);
	if (!shim_alive || !said)
		return false;
	if (sys_call3(SYS_madvise, shim_alive, 4096, MADV_WIPEONFORK) < 0)
		return false;
	*shim_alive = (uint32_t)sys_getpid();
	return true;
}

bool entry_foreign_process(void)
{
	return shim_alive && *shim_alive != (uint32_t)sys_getpid();
}

void init_forked(void)
{
	*shim_alive = (uint32_t)sys_getpid();
	if (!ended)
		ending = 0;
	if (usable < 0)
		usable = 0;
}

/* Programs overwrite their environment to show a title in ps(1): what is
 * needed later is copied. */
#define KEPT_MAX 64

static char kept_text[8192];
static char *kept[KEPT_MAX];
static size_t kept_count;

static void keep_environment(void)
{
	size_t used = 0;
	char **e;

	for (e = environ; e && *e && kept_count < KEPT_MAX; e++) {
		size_t len = strlen(*e) + 1;

		if (strncmp(*e, "LD_PRELOAD=", 11) &&
		    strncmp(*e, "MEGAPIPE", 8))
			continue;
		if (used + len > sizeof(kept_text))
			continue;
		kept[kept_count++] = memcpy(kept_text + used, *e, len);
		used += len;
	}
	kept[kept_count < KEPT_MAX ? kept_count : KEPT_MAX - 1] = NULL;
}

size_t init_environment(char **to, size_t max)
{
	size_t n;

	for (n = 0; n < kept_count && n < max && kept[n]; n++)
		to[n] = kept[n];
	return n;
}

__attribute__((constructor)) static void load(void)
{
	const char *inherited;
	int ret;

	real_init();
	inherited = partition_variable(environ);
	keep_environment();
	config_read(kept, complain);
	if (opts.mode == MODE_OFF || !config_wants_program()) {
		if (inherited)
			partition_import(inherited, false);
		return;
	}
	say_mistakes();
	if (opts.mode == MODE_STRICT && mistakes)
		real._exit(2);
	if (config_file())
		shim_tell("settings from %s", config_file());
	if (!map_pages())
		return;
	if (opts.mode == MODE_STRICT) {
		ret = probe();
		if (ret < 0)
			init_unusable(ret);
	}
	if (inherited)
		partition_import(inherited, true);
	proc_init();
	at_quick_exit(init_end);
	shim_off = false;
}
