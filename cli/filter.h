/* SPDX-License-Identifier: MIT */
/*
 * Filters of `megapipe sockets`, in the manner of ss(8).
 *
 * Owns: the parsed terms; all of them must be true of a row.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <stdbool.h>

#include "sockets.h"

/* Parses *words* (NULL-terminated); says what is wrong, and returns
 * EXIT_USAGE, when it can't. */
int filter_parse(char **words);

/* Is it a word that begins a filter? */
bool filter_word(const char *word);

bool filter_passes(const struct row *r);

#endif
