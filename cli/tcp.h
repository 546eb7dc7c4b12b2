/* SPDX-License-Identifier: MIT */
/*
 * The kernel's TCP sockets as a process's network namespace shows them:
 * /proc/PID/net/tcp and tcp6, proc(5).
 *
 * Owns: the table. Invariant: addresses are 16 bytes, IPv4 ones mapped
 * (::ffff:a.b.c.d), ports in host order.
 */
#ifndef CLI_TCP_H
#define CLI_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../core/region.h"

struct name {
	uint8_t address[16];
	uint16_t port;
};

struct tcp_socket {
	struct name local, peer;
	uint64_t inode;		/* 0: no descriptor anywhere */
	uint32_t rx, tx;	/* bytes in the kernel's queues */
	uint8_t state;		/* TCP_ESTABLISHED and so on */
};

struct tcp_table {
	struct tcp_socket *list;	/* by peer, local port */
	struct tcp_socket **by_inode;
	size_t count;
};

bool tcp_read(pid_t pid, struct tcp_table *out);
void tcp_free(struct tcp_table *t);

const struct tcp_socket *tcp_by_inode(const struct tcp_table *t,
				      uint64_t inode);

/* The connection from this peer to this port here; *local*, unless it is a
 * wildcard, decides between two. */
const struct tcp_socket *tcp_by_names(const struct tcp_table *t,
				      const struct name *peer,
				      const struct name *local);

/* A record of the library's leads to a socket by its names. */
bool tcp_of_record(const struct tcp_table *t, const struct region_sock *s,
		   struct name *local, struct name *peer,
		   const struct tcp_socket **found);

/* What the program has closed may have ended without a word to its thread,
 * which hears of it when it turns again: the kernel knows no such connection,
 * or waits in TIME-WAIT. */
bool tcp_is_over(const struct tcp_table *t, pid_t pid,
		 const struct region_sock *s);

/* As ss(8) calls it: "ESTAB", "LISTEN"... */
const char *tcp_state(uint8_t state);

/* address:port, [address]:port, *:port. */
void tcp_print_name(const struct name *n, char *to, size_t size);

/* An address in 16 bytes: of family AF_INET or AF_INET6. */
void tcp_map(uint16_t family, const uint8_t *address, uint8_t *to);

#endif
