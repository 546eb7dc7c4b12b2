/* SPDX-License-Identifier: MIT */
/*
 * A file as a request names it. Owns: the pair. Any thread.
 */
#ifndef CHAN_FILE_H
#define CHAN_FILE_H

#include <stdbool.h>

struct chan_file {
	int fd;		/* a descriptor, or with .lw a slot of the channel */
	bool lw;	/* lightweight socket: lives in the channel only */
};

#endif
