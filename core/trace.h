/* SPDX-License-Identifier: MIT */
/*
 * Probes for bpftrace(8), SystemTap and perf(1): statically defined places
 * (USDT), provider "megapipe". docs/operating.md lists them.
 *
 * Owns: nothing. Invariant: a probe that nobody uses is one nop, and its
 * arguments are values that are at hand anyway. Without sys/sdt.h at build
 * time (MP_TRACE is not defined) there is not even that. Any thread.
 */
#ifndef MP_TRACE_H
#define MP_TRACE_H

#ifdef MP_TRACE
#include <sys/sdt.h>
#define trace1(name, a) DTRACE_PROBE1(megapipe, name, a)
#define trace2(name, a, b) DTRACE_PROBE2(megapipe, name, a, b)
#define trace3(name, a, b, c) DTRACE_PROBE3(megapipe, name, a, b, c)
#else
#define trace1(name, a) ((void)(a))
#define trace2(name, a, b) ((void)(a), (void)(b))
#define trace3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
