/* SPDX-License-Identifier: MIT */
/*
 * Description: checks and TAP output for the conformance programs.
 *
 * A program is a list of cases.  A check that fails prints what it got and
 * what it wanted and ends its case (longjmp on the thread that runs the
 * case, pthread_exit on another thread, _exit(1) in a forked child), so a
 * failed case never goes on to hang in a later call.  The runner is in net.c.
 */
#ifndef MP_TEST_TAP_H
#define MP_TEST_TAP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every single wait in a test is bounded by this. */
#define WAIT_MS 5000

#define CHECK(cond) \
	do { \
		if (!(cond)) \
			tap_fail(__FILE__, __LINE__, "%s (errno %d)", \
				 #cond, errno); \
	} while (0)

#define CHECK_EQ(got, want) \
	tap_eq(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

/* The same for epoll and poll masks, printed by name. */
#define CHECK_EV(got, want) \
	tap_ev(__FILE__, __LINE__, #got, (uint32_t)(got), (uint32_t)(want))

/* The call must return -1 with this errno. */
#define CHECK_ERRNO(call, err) \
	do { \
		errno = 0; \
		long long r_ = (long long)(call); \
		tap_errno(__FILE__, __LINE__, #call, r_, errno, err); \
	} while (0)

#define CHECK_MEM(got, want, len) \
	tap_mem(__FILE__, __LINE__, #got, got, want, len)

/* Evaluate to the result of a call that must not return -1. */
#define MUST(call) \
	({ \
		__typeof__(call) r_ = (call); \
		if (r_ == (__typeof__(call))-1) \
			tap_fail(__FILE__, __LINE__, "%s = -1 (errno %d)", \
				 #call, errno); \
		r_; \
	})

/* Poll a condition without an event to wait for; fails after WAIT_MS. */
#define UNTIL(cond) \
	do { \
		long long end_ = tap_now_ms() + WAIT_MS; \
		while (!(cond)) { \
			if (tap_now_ms() > end_) \
				tap_fail(__FILE__, __LINE__, \
					 "never: %s", #cond); \
			tap_pause(); \
		} \
	} while (0)

void tap_plan(int count);
void tap_skip_all(const char *why) __attribute__((noreturn));
void tap_bail_out(const char *why) __attribute__((noreturn));
/* Run one case; true when it passed. */
bool tap_case(const char *what, const char *how, void (*run)(void *),
	      void *arg);
/* Skip the running case: it counts as passed, with a reason. */
void tap_skip(const char *why) __attribute__((noreturn));
int tap_result(void);
bool tap_preloaded(void);

/* Open descriptors of this process. */
int tap_count_fds(void);

long long tap_now_ms(void);
long long tap_now_us(void);
void tap_pause(void);
const char *tap_evs(uint32_t events);

void tap_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void tap_eq(const char *file, int line, const char *what, long long got,
	    long long want);
void tap_ev(const char *file, int line, const char *what, uint32_t got,
	    uint32_t want);
void tap_errno(const char *file, int line, const char *what, long long ret,
	       int got, int want);
void tap_mem(const char *file, int line, const char *what, const void *got,
	     const void *want, size_t len);

#endif
