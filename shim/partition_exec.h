/* SPDX-License-Identifier: MIT */
/*
 * What a program's next image is told of its partitioned listeners; see
 * partition_exec.c.
 *
 * Owns: nothing. Called by: proc before exec, init at the start.
 */
#ifndef SHIM_PARTITION_EXEC_H
#define SHIM_PARTITION_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#define PARTITION_VARIABLE "MEGAPIPE_INHERIT="

/* The variable for the next image, in *to*, and the sockets stay open; NULL:
 * there is nothing to hand over. If the exec failed after all: the second. */
char *partition_export(char *to, size_t size);
void partition_not_exported(void);

/* Takes the variable out of the environment: its text, or NULL. */
const char *partition_variable(char **environment);

/* Takes over what it names, or, not to be used, closes it. */
void partition_import(const char *text, bool use);

#endif
