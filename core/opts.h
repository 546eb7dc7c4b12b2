/* SPDX-License-Identifier: MIT */
/*
 * Options: the MEGAPIPE_* variables of the environment, and the same names in
 * a file; the environment wins.
 *
 * Owns: their parsed values. Invariant: a value that can't be understood is
 * reported once and its default used. Read-only once they are parsed.
 * Called by: the shim's start-up, then read by all. Any thread.
 */
#ifndef MP_OPTS_H
#define MP_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opts_mode { MODE_ON, MODE_OFF, MODE_STRICT };
enum opts_log { LOG_ON, LOG_OFF, LOG_ALL };
enum opts_partition {
	PARTITION_AUTO, PARTITION_EBPF, PARTITION_CBPF, PARTITION_HASH,
	PARTITION_OFF
};
enum opts_lwsocket { LWSOCKET_AUTO, LWSOCKET_ON, LWSOCKET_OFF };

struct opts {
#define CHOICE(field, var, def, choices, help) int field;
#define NUMBER(field, var, def, min, max, unit, help) uint32_t field;
#define TEXT(field, var, what, accepted, help) const char *field;
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

#define OPTS_FILE "/etc/megapipe.conf"
#define OPTS_FILE_MAX 65536

/* Applies the *len* bytes at *text* of the file *path*, those sections that
 * are for one of *names* (NULL-terminated), to what the environment did not
 * set. The text is changed and must stay: values point into it. Room for one
 * byte more is behind it. The number of mistakes. */
int opts_parse_file(const char *path, char *text, size_t len,
		    const char *const *names, opts_complain *complain);

/* One "NAME", "value" of a file, for opts_file.c: 0, or 1 for a mistake. */
int opts_set(const char *where, const char *name, const char *value,
	     opts_complain *complain);

/* Is one of *names* in the list of MEGAPIPE_PROGRAMS or of a section? */
bool opts_is_program(const char *list, const char *const *names);

/* MEGAPIPE_CPUS: can it be understood, and if not, *why; the mask of partition
 * *i*, which is the first one again after the last. */
#define OPTS_CPUS 256
struct opts_mask {
	uint64_t word[OPTS_CPUS / 64];
};
bool opts_cpus_valid(const char *text, char *why, size_t size);
void opts_cpus_mask(const char *text, unsigned int i, struct opts_mask *m);

/* MEGAPIPE_LISTEN: can it be understood, and is a socket with this address
 * (16 bytes, IPv4 mapped) and port taken? */
bool opts_listen_valid(const char *list);
bool opts_listen_takes(const char *list, const uint8_t *address,
		       unsigned int port);

#endif
