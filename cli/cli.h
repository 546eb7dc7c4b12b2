/* SPDX-License-Identifier: MIT */
/*
 * The command `megapipe`: what its sub-commands share.
 *
 * Owns: messages, colours, exit statuses. Invariant: a message names the
 * thing, the cause and the way out; colours only on a terminal and not with
 * NO_COLOR (no-color.org). One thread.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Nothing was found, or something could not be done; a wrong argument. */
#define EXIT_NOTHING 1
#define EXIT_USAGE 2

int cmd_doctor(int argc, char **argv);
int cmd_env(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_sockets(int argc, char **argv);
int cmd_stat(int argc, char **argv);

/* "megapipe: ..." on standard error. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, and where help is: EXIT_USAGE. */
int misuse(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* getopt_long() has met something that it does not know: EXIT_USAGE. */
int misuse_option(const char *command, char **argv);

/* For --help: 0. */
int show(const char *text);

enum colour { PLAIN, BOLD, DIM, RED, GREEN, YELLOW, CYAN };

/* The escape sequence, or "" where colours are not wanted. */
const char *colour(enum colour c);

/* A string in JSON, quotes included. */
void json_string(FILE *to, const char *text);

/* Seconds as 12s, 3m04s, 5h10m, 9d02h. */
const char *age(double seconds);

/* 1536 as 1.5K: at most five characters. */
const char *short_count(uint64_t n);

/* A number from *min* to *max*, and nothing behind it. */
bool parse_uint(const char *text, unsigned long min, unsigned long max,
		unsigned long *out);

#endif
