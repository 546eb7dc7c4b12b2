/* SPDX-License-Identifier: MIT */
/* A row of `megapipe sockets`. Owns: its layout. */
#ifndef CLI_SOCKETS_H
#define CLI_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tcp.h"

struct row {
	pid_t pid;
	const char *program;
	const char *state;	/* as ss(8) says it */
	const char *depth;	/* lw, materialised, fd, given, kernel */
	bool has_names;
	struct name local, peer;
	uint32_t ahead, queued;	/* ours */
	uint32_t rx, tx;	/* the kernel's */
	int fd, set;
	uint32_t events;
	unsigned int channel;
	double age;		/* < 0: unknown */
	const char *why;	/* not accelerated; NULL: it is */
};

#endif
