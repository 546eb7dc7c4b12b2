/* SPDX-License-Identifier: MIT */
/*
 * The clients of the paper's figures: connections of a number of
 * transactions, for a time.
 *
 *	load PORT CONNECTIONS TRANSACTIONS SIZE SECONDS
 *
 * Prints transactions, connections, seconds. A connection that ends early or
 * an answer that differs is an error. A client ends first, by a FIN, and
 * closes when the server has, so the wait for stray segments is on its side;
 * source addresses are many, so that ports are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in server;
static int transactions, ep;
static size_t size;
static char *message, *scratch;
static unsigned long done, conns;

struct conn {
	int fd, left;
	size_t got;
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void ping(struct conn *c)
{
	if (send(c->fd, message, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
	c->got = 0;
}

static void begin(struct conn *c)
{
	static unsigned int turn;
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	from.sin_addr.s_addr = htonl(0x7f000002 + turn++ % 32);
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(c->fd, (struct sockaddr *)&server, sizeof(server)))
		die("connect");
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev))
		die("epoll_ctl");
	c->left = transactions;
	conns++;
	ping(c);
}

/* The server has closed too. */
static void ended(struct conn *c)
{
	close(c->fd);
	begin(c);
}

static void pong(struct conn *c)
{
	ssize_t n = recv(c->fd, scratch, c->left ? size - c->got : 1, 0);

	if (n == 0 && !c->left) {
		ended(c);
		return;
	}
	if (n <= 0 || !c->left)
		die("recv");
	if (memcmp(scratch, message + c->got, (size_t)n))
		die("another answer");
	c->got += (size_t)n;
	if (c->got < size)
		return;
	done++;
	if (--c->left)
		ping(c);
	else
		shutdown(c->fd, SHUT_WR);
}

int main(int argc, char **argv)
{
	struct epoll_event ev[64];
	double start, end;
	int i, n;

	if (argc < 6)
		return 2;
	n = atoi(argv[2]);
	transactions = atoi(argv[3]);
	size = (size_t)atoi(argv[4]);
	message = malloc(size);
	scratch = malloc(size);
	for (i = 0; (size_t)i < size; i++)
		message[i] = (char)('a' + i % 26);
	server.sin_family = AF_INET;
	server.sin_port = htons((unsigned short)atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ep = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < n; i++)
		begin(calloc(1, sizeof(struct conn)));
	done = conns = 0;
	start = now();
	end = start + atof(argv[5]);
	while (now() < end) {
		n = epoll_wait(ep, ev, 64, 100);
		for (i = 0; i < n; i++)
			pong(ev[i].data.ptr);
	}
	printf("%lu %lu %.6f\n", done, conns, now() - start);
	return 0;
}
