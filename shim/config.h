/* SPDX-License-Identifier: MIT */
/*
 * Settings as they concern this program: the environment, the file, whether
 * the program and a socket are meant.
 *
 * Owns: the text of the file, which values point into. No malloc.
 * Called by: init, once; wait, for every socket that could be taken.
 */
#ifndef SHIM_CONFIG_H
#define SHIM_CONFIG_H

#include "shim.h"

/* Reads environment and file: the number of mistakes. */
int config_read(char *const *environment, opts_complain *complain);

/* Is this program among MEGAPIPE_PROGRAMS? */
bool config_wants_program(void);

/* The file that was read, or NULL. */
const char *config_file(void);

/* May channels take the socket, by MEGAPIPE_LISTEN? */
bool config_takes_socket(int fd);

#endif
