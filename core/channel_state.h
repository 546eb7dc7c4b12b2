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

/*
 * Sends that complete only if they fall short, which is known when the enter
 * that submits them returns. Oldest first: [head, sent) were submitted and are
 * done unless a completion says otherwise, [sent, count) are queued.
 */
#define SILENT_MAX 128
struct silent {
	unsigned int head, sent, count;
	struct silent_send {
		uint32_t handle;	/* 0: it did fall short */
		uint32_t gen;
		int len;
	} sends[SILENT_MAX];
};

struct owner {
	uint64_t number;	/* never another thread's */
	int32_t tid;		/* may be, once it has ended */
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
	unsigned int sure;	/* completions that are no event to wait for */
	struct silent silent;
	struct owner *thread;	/* zeros in a forked child */
	const struct chan_front *front;
	void *front_arg;
};

#endif
