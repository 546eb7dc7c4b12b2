/* SPDX-License-Identifier: MIT */
/*
 * Description: a server under test, its plain peer, and the case runner.
 *
 * The server side is what an event loop does: a non-blocking listener in an
 * epoll set, epoll_wait, accept4(SOCK_NONBLOCK), EPOLL_CTL_ADD, epoll_wait.
 * The peer is a blocking socket that never enters a set, with 5 s timeouts,
 * so that it stays a kernel socket whatever runs below the server side.
 *
 * A case runs cold (the connection is the first of its listener) and warm
 * (four connections were served and closed before).
 */
#ifndef MP_TEST_NET_H
#define MP_TEST_NET_H

#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "tap.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum {
	COLD = 1,
	WARM = 2,
	BOTH = COLD | WARM,
	/* A server without the connection; nothing at all. */
	NOCONN = 4,
	BARE = 8,
};

struct fix {
	int lfd;		/* listener, non-blocking, in ep */
	int ep;
	int fd;			/* accepted connection, in ep with EPOLLIN */
	int peer;		/* its client, blocking */
	struct sockaddr_in addr;
};

struct net_case {
	const char *what;
	void (*run)(struct fix *f);
	int how;
};

/* Run all cases and a final check for leaked descriptors; exit code. */
int net_main(const struct net_case *cases, size_t count);
#define NET_MAIN(cases) \
	int main(void) \
	{ \
		return net_main(cases, ARRAY_SIZE(cases)); \
	}

/* How many numbers a preload may keep reserved after the last case. */
extern int net_fd_slack;

/* Sockets */
int net_listen(struct sockaddr_in *addr, int backlog);
/* For who has ended rings: net_client() may be interrupted, and goes on. */
extern bool net_interrupted;
int net_client(const struct sockaddr_in *addr);
void net_timeouts(int fd);
void net_nonblock(int fd, bool on);
/* Close by RST. */
void net_reset(int fd);

/* The server under test */
void server_open(struct fix *f);
void server_warm(struct fix *f);
/* Connect a client and accept it; returns the accepted connection. */
int server_accept(struct fix *f, int *peer, uint32_t events);
void server_close(struct fix *f);
void server_read(int ep, int fd, void *buf, size_t len);
void server_write(int ep, int fd, const void *buf, size_t len);
/* Write until EAGAIN; returns how much was taken. */
size_t server_fill(int fd, size_t limit);
/* Wait until recv() gives EOF, reading and dropping what comes before. */
size_t server_drain_eof(int ep, int fd);

/* The peer */
void peer_write(int fd, const void *buf, size_t len);
void peer_read(int fd, void *buf, size_t len);
void peer_expect(int fd, const char *text);
void peer_eof(int fd);
/* Read until EOF; returns the count, folds the bytes into *hash. */
size_t peer_drain(int fd, uint64_t *hash);

/* A thread that drains the peer to EOF, as fast as it can or slowly. */
struct peer_reader {
	int fd;
	bool slow;
	size_t count;
	uint64_t hash;
	pthread_t thread;
	_Atomic bool done;
};

void peer_reader_start(struct peer_reader *r, int fd, bool slow);
/* Join; the bytes must be the first len bytes of the stream. */
void peer_reader_expect(struct peer_reader *r, size_t len);

/* Goes on turning the event loop until the reader has seen the end: what a
 * server does. */
void peer_reader_turn(struct peer_reader *r, int ep);

/* Epoll */
void set_add(int ep, int fd, uint32_t events);
void set_mod(int ep, int fd, uint32_t events);
void set_del(int ep, int fd);
/* The next report about fd within ms, or 0; reports on others are dropped. */
uint32_t set_next(int ep, int fd, int ms);
/* Wait for a report about fd that has one of these bits; returns it. */
uint32_t set_wait(int ep, int fd, uint32_t bits);
/* Wait until the set reports exactly this for fd; returns the last report. */
uint32_t set_until(int ep, int fd, uint32_t events);

/* Bytes: a pseudo-random stream by position, and a running hash (FNV-1a). */
#define HASH_START 0xcbf29ce484222325ull
void bytes_fill(void *buf, size_t len, uint64_t offset);
uint64_t bytes_hash(uint64_t hash, const void *buf, size_t len);
/* The hash of the first len bytes of the stream. */
uint64_t bytes_stream_hash(size_t len);

/* Threads and children; joins and waits are bounded. */
pthread_t thread_start(void *(*run)(void *), void *arg);
void thread_join(pthread_t thread);
int thread_count(void);
/* Does the kernel show it asleep now? */
bool thread_is_asleep(pid_t tid);

/* Wait until the kernel shows this thread of ours asleep in a call. */
void thread_asleep(pid_t tid);
int child_status(pid_t pid);
void child_ok(pid_t pid);

#endif
