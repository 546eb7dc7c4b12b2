/* SPDX-License-Identifier: MIT */
/*
 * Description: TAP output and the way out of a failed case.
 */
#include "tap.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static int tests_run, tests_failed;
static pid_t home_pid;
static pthread_t home_thread;
static jmp_buf case_out;
/* The first failure of the running case; other threads may set it. */
static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;
static char fail_text[512];
static const char *skip_text;

void tap_plan(int count)
{
	home_pid = getpid();
	home_thread = pthread_self();
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", count);
	fflush(stdout);
	/* The last resort against a hang; far above any case's own bounds. */
	alarm(120);
}

void tap_skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	fflush(stdout);
	exit(77);
}

void tap_bail_out(const char *why)
{
	printf("Bail out! %s\n", why);
	fflush(stdout);
	_exit(1);
}

void tap_skip(const char *why)
{
	skip_text = why;
	longjmp(case_out, 1);
}

static void report(const char *what, const char *how)
{
	bool bad = fail_text[0] != '\0';

	tests_run++;
	tests_failed += bad;
	printf("%sok %d - %s%s", bad ? "not " : "", tests_run, what, how);
	if (bad)
		printf(" # %s", fail_text);
	else if (skip_text)
		printf(" # SKIP %s", skip_text);
	printf("\n");
	fflush(stdout);
}

bool tap_case(const char *what, const char *how, void (*run)(void *),
	      void *arg)
{
	int before = tests_failed;

	fail_text[0] = '\0';
	skip_text = NULL;
	if (!setjmp(case_out))
		run(arg);
	report(what, how);
	return tests_failed == before;
}

int tap_result(void)
{
	return tests_failed ? 1 : 0;
}

void tap_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	char text[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	base = base ? base + 1 : file;
	if (getpid() != home_pid) {
		dprintf(STDERR_FILENO, "# child: %s:%d: %s\n", base, line,
			text);
		_exit(1);
	}
	pthread_mutex_lock(&fail_lock);
	if (!fail_text[0])
		snprintf(fail_text, sizeof(fail_text), "%s:%d: %s", base,
			 line, text);
	pthread_mutex_unlock(&fail_lock);
	if (!pthread_equal(pthread_self(), home_thread))
		pthread_exit(NULL);
	longjmp(case_out, 1);
}

void tap_eq(const char *file, int line, const char *what, long long got,
	    long long want)
{
	int err = errno;

	if (got != want)
		tap_fail(file, line, "%s: got %lld, want %lld (errno %d %s)",
			 what, got, want, err, strerrorname_np(err));
}

const char *tap_evs(uint32_t events)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ EPOLLIN, "IN" },	 { EPOLLPRI, "PRI" },
		{ EPOLLOUT, "OUT" },	 { EPOLLRDHUP, "RDHUP" },
		{ EPOLLHUP, "HUP" },	 { EPOLLERR, "ERR" },
		{ EPOLLRDNORM, "RDNORM" }, { EPOLLWRNORM, "WRNORM" },
	};
	static __thread char text[4][64];
	static __thread unsigned int turn;
	char *out = text[turn++ % 4];

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(events & names[i].bit))
			continue;
		if (out[0])
			strcat(out, "|");
		strcat(out, names[i].name);
	}
	return out[0] ? out : "none";
}

void tap_ev(const char *file, int line, const char *what, uint32_t got,
	    uint32_t want)
{
	if (got != want)
		tap_fail(file, line, "%s: got %s, want %s", what,
			 tap_evs(got), tap_evs(want));
}

void tap_errno(const char *file, int line, const char *what, long long ret,
	       int got, int want)
{
	if (ret != -1)
		tap_fail(file, line, "%s: got %lld, want -1 %s", what, ret,
			 strerrorname_np(want));
	if (got != want)
		tap_fail(file, line, "%s: got %s, want %s", what,
			 strerrorname_np(got), strerrorname_np(want));
}

void tap_mem(const char *file, int line, const char *what, const void *got,
	     const void *want, size_t len)
{
	const unsigned char *a = got, *b = want;

	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			tap_fail(file, line,
				 "%s: byte %zu of %zu is %#x, want %#x",
				 what, i, len, a[i], b[i]);
}

/* The sanitizer builds have the library linked in: no LD_PRELOAD there. */
bool tap_preloaded(void)
{
	const char *value = getenv("LD_PRELOAD");

	return (value && *value) || getenv("MEGAPIPE_LWSOCKET");
}

int tap_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	/* Less ".", ".." and the directory itself. */
	return count - 3;
}

long long tap_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

long long tap_now_ms(void)
{
	return tap_now_us() / 1000;
}

void tap_pause(void)
{
	struct timespec nap = { .tv_nsec = 100 * 1000 };

	nanosleep(&nap, NULL);
}
