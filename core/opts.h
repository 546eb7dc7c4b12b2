/* SPDX-License-Identifier: MIT */
/*
 * Options: the MEGAPIPE_* variables of the environment.
 *
 * Owns: their parsed values. Invariant: a value that can't be understood is
 * reported once and its default used. Read-only after opts_parse().
 * Called by: the shim's start-up, then read by all. Any thread.
 */
#ifndef MP_OPTS_H
#define MP_OPTS_H

#include <stdint.h>

enum opts_mode { MODE_ON, MODE_OFF, MODE_STRICT };
enum opts_lwsocket { LWSOCKET_AUTO, LWSOCKET_ON, LWSOCKET_OFF };

struct opts {
#define CHOICE(field, var, def, choices, help) int field;
#define NUMBER(field, var, def, min, max, unit, help) uint32_t field;
#define TEXT(field, var, help) const char *field;
#include "opts.def"
#undef CHOICE
#undef NUMBER
#undef TEXT
};

extern struct opts opts;

/* Called with one line of text, without a newline, for each mistake. */
typedef void opts_complain(const char *line);

/* Reads *environ* (NULL-terminated "NAME=value"): the number of mistakes. */
int opts_parse(char *const *environ, opts_complain *complain);

#endif
