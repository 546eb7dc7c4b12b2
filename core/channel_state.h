/* SPDX-License-Identifier: MIT */
/*
 * What a channel is made of. Owns: the layout, for channel.c, which uses it,
 * and create.c, which makes and ends it.
 */
#ifndef CORE_CHANNEL_STATE_H
#define CORE_CHANNEL_STATE_H

#include "bufring.h"
#include "channel.h"
#include "handle.h"
#include "ring.h"

#define BUFFER_GROUP 1

/* Memory that a queued request points at until it is submitted. */
struct scratch {
	struct msghdr msg;
	struct iovec iov[CHAN_SEND_PARTS];
	char option[CHAN_OPTION_MAX];
};

struct mp_channel {
	struct ring *ring;
	struct bufring buffers;
	struct handle_table handles;
	struct chan_caps caps;
	struct scratch *scratch;	/* one per submission entry */
	unsigned int entries;
	unsigned int scratch_used;
	unsigned int announced;
	unsigned int batch;
	unsigned int sync_seq;
	int32_t *thread;	/* its number; 0 in a forked child */
	const struct chan_front *front;
	void *front_arg;
};

#endif
