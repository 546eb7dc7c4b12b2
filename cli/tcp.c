/* SPDX-License-Identifier: MIT */
/* See tcp.h. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

void tcp_map(uint16_t family, const uint8_t *address, uint8_t *to)
{
	if (family == AF_INET6) {
		memcpy(to, address, 16);
		return;
	}
	memcpy(to, mapped, 12);
	memcpy(to + 12, address, 4);
}

/* Hexadecimal words in the machine's order, one or four, then the port. */
static bool parse_name(const char *text, struct name *out)
{
	uint32_t word[4];
	unsigned int port, words = strcspn(text, ":") == 8 ? 1 : 4, i;

	for (i = 0; i < words; i++, text += 8)
		if (sscanf(text, "%8x", &word[i]) != 1)
			return false;
	if (sscanf(text, ":%4x", &port) != 1)
		return false;
	tcp_map(words == 1 ? AF_INET : AF_INET6, (const uint8_t *)word,
		out->address);
	out->port = (uint16_t)port;
	return true;
}

static bool parse_socket(const char *line, struct tcp_socket *out)
{
	char local[64], peer[64];
	unsigned int state;

	memset(out, 0, sizeof(*out));
	if (sscanf(line,
		   " %*[^:]: %63s %63s %x %x:%x %*s %*s %*s %*s %" SCNu64,
		   local, peer, &state, &out->tx, &out->rx, &out->inode) != 6)
		return false;
	out->state = (uint8_t)state;
	return parse_name(local, &out->local) && parse_name(peer, &out->peer);
}

static bool read_file(pid_t pid, const char *name, struct tcp_table *t)
{
	char path[64], line[512];
	struct tcp_socket s, *list;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, name);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!parse_socket(line, &s))
			continue;
		if (!(t->count & (t->count - 1))) {
			list = realloc(t->list, sizeof(s) *
						(t->count ? 2 * t->count : 1));
			if (!list)
				break;
			t->list = list;
		}
		t->list[t->count++] = s;
	}
	if (f)
		fclose(f);
	return f;
}

static int by_names(const void *a, const void *b)
{
	const struct tcp_socket *s = a, *t = b;
	int d = memcmp(s->peer.address, t->peer.address, 16);

	if (!d)
		d = s->peer.port - t->peer.port;
	if (!d)
		d = s->local.port - t->local.port;
	return d;
}

static int by_inode(const void *a, const void *b)
{
	const struct tcp_socket *const *s = a, *const *t = b;

	return ((*s)->inode > (*t)->inode) - ((*s)->inode < (*t)->inode);
}

bool tcp_read(pid_t pid, struct tcp_table *out)
{
	size_t i;
	bool ok;

	memset(out, 0, sizeof(*out));
	ok = read_file(pid, "tcp", out);
	read_file(pid, "tcp6", out);	/* not there without IPv6 */
	out->by_inode = calloc(out->count + 1, sizeof(*out->by_inode));
	if (!ok || !out->by_inode) {
		tcp_free(out);
		return false;
	}
	if (out->count)
		qsort(out->list, out->count, sizeof(*out->list), by_names);
	for (i = 0; i < out->count; i++)
		out->by_inode[i] = &out->list[i];
	qsort(out->by_inode, out->count, sizeof(*out->by_inode), by_inode);
	return true;
}

void tcp_free(struct tcp_table *t)
{
	free(t->list);
	free(t->by_inode);
	memset(t, 0, sizeof(*t));
}

const struct tcp_socket *tcp_by_inode(const struct tcp_table *t,
				      uint64_t inode)
{
	struct tcp_socket key = { .inode = inode }, *k = &key, **found;

	found = inode ? bsearch(&k, t->by_inode, t->count, sizeof(k),
				by_inode) : NULL;
	return found ? *found : NULL;
}

static bool is_wildcard(const struct name *n)
{
	static const uint8_t zero[16];

	return !memcmp(n->address, zero, 16) ||
	       (!memcmp(n->address, mapped, 12) &&
		!memcmp(n->address + 12, zero, 4));
}

const struct tcp_socket *tcp_by_names(const struct tcp_table *t,
				      const struct name *peer,
				      const struct name *local)
{
	struct tcp_socket key = { .peer = *peer, .local = *local }, *s, *end;

	s = t->count ? bsearch(&key, t->list, t->count, sizeof(key),
			       by_names) : NULL;
	if (!s || is_wildcard(local))
		return s;
	for (end = t->list + t->count; s > t->list; s--)
		if (by_names(s - 1, &key))
			break;
	for (; s < end && !by_names(s, &key); s++)
		if (!memcmp(s->local.address, local->address, 16))
			return s;
	return NULL;
}

bool tcp_of_record(const struct tcp_table *t, const struct region_sock *s,
		   struct name *local, struct name *peer,
		   const struct tcp_socket **found)
{
	*found = NULL;
	if (!s->family)
		return false;
	tcp_map(s->family, s->local, local->address);
	tcp_map(s->family, s->peer, peer->address);
	local->port = ntohs(s->local_port);
	peer->port = ntohs(s->peer_port);
	if (s->life != SOCK_LISTEN)
		*found = tcp_by_names(t, peer, local);
	return true;
}

/* Of one that was accepted with a descriptor no names are known, but that. */
static bool has_descriptor(pid_t pid, int fd)
{
	char path[64], target[8];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	return readlink(path, target, sizeof(target)) == sizeof(target) &&
	       !memcmp(target, "socket:[", sizeof(target));
}

bool tcp_is_over(const struct tcp_table *t, pid_t pid,
		 const struct region_sock *s)
{
	const struct tcp_socket *k;
	struct name local, peer;

	if (s->life != SOCK_CLOSING)
		return false;
	if (!tcp_of_record(t, s, &local, &peer, &k))
		return s->fd < 0 || !has_descriptor(pid, s->fd);
	return !k || k->state == TCP_TIME_WAIT;
}

const char *tcp_state(uint8_t state)
{
	static const char *const names[] = {
		[TCP_ESTABLISHED] = "ESTAB", [TCP_SYN_SENT] = "SYN-SENT",
		[TCP_SYN_RECV] = "SYN-RECV", [TCP_FIN_WAIT1] = "FIN-WAIT-1",
		[TCP_FIN_WAIT2] = "FIN-WAIT-2", [TCP_TIME_WAIT] = "TIME-WAIT",
		[TCP_CLOSE] = "UNCONN", [TCP_CLOSE_WAIT] = "CLOSE-WAIT",
		[TCP_LAST_ACK] = "LAST-ACK", [TCP_LISTEN] = "LISTEN",
		[TCP_CLOSING] = "CLOSING",
	};

	if (state >= sizeof(names) / sizeof(names[0]) || !names[state])
		return "UNKNOWN";
	return names[state];
}

void tcp_print_name(const struct name *n, char *to, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	char port[8] = "*";
	bool v4 = !memcmp(n->address, mapped, 12);

	if (n->port)
		snprintf(port, sizeof(port), "%u", n->port);
	inet_ntop(v4 ? AF_INET : AF_INET6, n->address + (v4 ? 12 : 0), text,
		  sizeof(text));
	snprintf(to, size, v4 ? "%s:%s" : "[%s]:%s", text, port);
}
