/* SPDX-License-Identifier: MIT */
/*
 * Start and end of the shim in a process.
 *
 * Owns: options, the question whether channels are possible here, the one
 * line that says why not, the page that is shared over fork.
 * Called by: the loader; wait. Any thread.
 */
#ifndef SHIM_INIT_H
#define SHIM_INIT_H

#include "shim.h"

/* False once a channel could not be made here. */
bool init_usable(void);

/* A channel could not be made (-errno): says so once, and the program goes
 * on plainly from here. */
void init_unusable(int why);

/* LD_PRELOAD and our variables as this program was started with: up to *max*
 * of them into *to*, how many. */
size_t init_environment(char **to, size_t max);

/* In a forked child: nothing of the parent's is ours. */
void init_forked(void);

#endif
