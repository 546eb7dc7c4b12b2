/* SPDX-License-Identifier: MIT */
/*
 * Description: a ring without a kernel, for tests that decide what happens.
 *
 * ring.c and bufring.c here define the functions of core/ring.h and
 * core/bufring.h. Requests are remembered, in order; the test looks at them
 * and completes each when, and with what, it wants. Nothing completes by
 * itself but cancels (fake_cancel) and what a short send had linked to it.
 *
 * Memory that a request points at is read when the kernel would: headers
 * when it is submitted, payload when it completes. A misuse of the ring (too
 * many entries, a buffer given back twice, a sleep that nothing ends) ends
 * the program by abort().
 */
#ifndef MP_TEST_FAKE_H
#define MP_TEST_FAKE_H

#include "bufring.h"
#include "ring.h"

enum fake_op {
	FAKE_ACCEPT, FAKE_RECV, FAKE_RECV_INTO, FAKE_SEND, FAKE_CLOSE,
	FAKE_CANCEL, FAKE_POLL, FAKE_SETSOCKOPT, FAKE_GETSOCKOPT, FAKE_INQ,
	FAKE_OUTQ, FAKE_INSTALL, FAKE_READ, FAKE_WRITE, FAKE_CONNECT,
};

/* The calls that enter the kernel. */
enum fake_enter { FAKE_SUBMIT, FAKE_REAP, FAKE_WAIT };

#define FAKE_PARTS 32
#define FAKE_OPTION 64

struct fake_req {
	enum fake_op op;
	uint64_t cookie;
	struct chan_file file;
	unsigned long turn;	/* counts requests, as they were queued */
	bool submitted;
	bool stream;		/* multishot */
	bool linked;		/* by the request before it */
	bool link;		/* to the request after it */
	bool once, silent;	/* RING_ONCE, RING_SILENT */
	bool direct;		/* accept into a slot */
	int flags;		/* of send and recv; events of poll */
	unsigned int group;
	struct iovec iov[FAKE_PARTS];	/* of send and recv_into */
	unsigned int parts;
	size_t len;			/* of all parts */
	const struct msghdr *msg;	/* read when submitted */
	const struct iovec *parts_from;	/* the same */
	uint64_t target;	/* of cancel */
	int level, name;	/* of options */
	const void *set;	/* read when submitted, into option */
	void *val;		/* of getsockopt, sockaddr of accept */
	socklen_t *addr_len;
	int val_len;
	char option[FAKE_OPTION];
};

/* What the next ring is like, and what happened. fake_reset() sets it so
 * that everything works. */
struct fake {
	/* set by the test */
	struct ring_caps caps;
	unsigned int max_entries;	/* -ENOMEM above it */
	unsigned int max_buffers;	/* -ENOMEM above it */
	int open_error, buffers_error;	/* -errno, 0: none */
	int enter_error;		/* of the next enter, which takes
					 * nothing; then 0 again */
	int wait_result;		/* of a wait that nothing ended */
	bool defer;		/* completions need ring_reap() to be seen */
	unsigned int silent_rounds;	/* so many reaps end only what is
					 * silent; there is more work then */
	bool hold_cancels;	/* the test completes them by itself */
	bool overflowed;	/* completions found no room */
	/* Called inside the enter, after the queue was taken. */
	void (*on_enter)(enum fake_enter how);
	void (*on_close)(void);

	/* read by the test */
	unsigned int entries;
	unsigned int enters, submits, reaps, waits;
	unsigned int sent_in_last;	/* requests of the last enter */
	int64_t wait_ns;		/* time-out of the last wait */
	unsigned int wait_count;	/* completions it waited for */
	const sigset_t *wait_mask;
	unsigned int rings_open;
	unsigned int completions;	/* posted and not read */
};

extern struct fake fake;
void fake_reset(void);

/* Requests that the kernel has (submitted, not completed), oldest first. */
unsigned int fake_count(void);
struct fake_req *fake_nth(unsigned int n);
/* The n-th of this kind, or NULL. */
struct fake_req *fake_find(enum fake_op op, unsigned int n);
/* The oldest with this cookie, or NULL. */
struct fake_req *fake_cookie(uint64_t cookie);
/* Those still queued. */
unsigned int fake_queued(void);
struct fake_req *fake_queued_nth(unsigned int n);

/* May it be completed: is what it is linked to done? */
bool fake_startable(const struct fake_req *req);

/* Completes a request and forgets it; the second form leaves it going on. */
void fake_complete(struct fake_req *req, int res, uint32_t flags);
void fake_more(struct fake_req *req, int res, uint32_t flags);

/* Bytes for a recv request: takes a buffer. False, and -ENOBUFS for the
 * request, when there is none. With *more* the request goes on. */
bool fake_deliver(struct fake_req *req, const void *data, unsigned int len,
		  uint32_t flags, bool more);

/* Completes a send: copies the first *res* of its bytes to *to* (NULL: does
 * not), as the kernel would take them now. */
void fake_sent(struct fake_req *req, int res, char *to);

/* Completes a recv_into or read with these bytes. */
void fake_fill(struct fake_req *req, const char *data, size_t len);

/* Executes a cancel: the target ends with -ECANCELED if it is there. */
void fake_cancel(struct fake_req *cancel);

/* Buffers of the ring that are lent, and those the kernel has. */
unsigned int fake_lent(void);
unsigned int fake_free_buffers(void);

/* For bufring.c: one buffer out of the ring, or -1. */
int fake_take_buffer(struct bufring **from);
void fake_die(const char *why) __attribute__((noreturn));

#endif
