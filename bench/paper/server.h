/* SPDX-License-Identifier: MIT */
/*
 * The ping-pong server of the paper's figures: what both interfaces share.
 *
 * A connection sends messages of a fixed size, each is answered by its own
 * bytes, the client ends. Owns: connections, options. Threads share nothing.
 */
#ifndef BENCH_PAPER_SERVER_H
#define BENCH_PAPER_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct mp_handle;

/* How the server is built: each of the paper's parts on or off. */
struct setup {
	bool megapipe;
	bool partition;		/* a listening queue for each thread */
	bool batch;
	bool lwsocket;
	bool exclusive;		/* epoll: EPOLLEXCLUSIVE on the shared queue */
	int threads;
	size_t size;
	int listener;		/* shared by all threads */
};

extern struct setup setup;

struct conn {
	struct conn *next;	/* of the free ones */
	struct mp_handle *handle;
	int fd;
	size_t got;
	char buf[];
};

struct thread {
	int index;
	struct conn *free;
};

void die(const char *what, int error);
int listen_again(void);

struct conn *conn_new(struct thread *t);
void conn_free(struct thread *t, struct conn *c);

/* *n* more bytes have come: is the message whole, to be sent back? */
bool conn_received(struct conn *c, size_t n);

void serve_epoll(struct thread *t);
void serve_megapipe(struct thread *t);

#endif
