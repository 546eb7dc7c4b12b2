/* SPDX-License-Identifier: MIT */
/*
 * See server.h.
 *
 *	server THREADS SIZE WORD...	words: epoll exclusive reuseport
 *					megapipe partition batch lwsocket
 *
 * Thread i runs on CPU i. Prints its port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server.h"

struct setup setup;
static struct sockaddr_in addr;

void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

/* The same port again, for one thread: SO_REUSEPORT. */
int listen_again(void)
{
	socklen_t len = sizeof(addr);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (setup.partition && !setup.megapipe)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 4096) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		die("listen", errno);
	return fd;
}

struct conn *conn_new(struct thread *t)
{
	struct conn *c = t->free;

	if (c)
		t->free = c->next;
	else
		c = malloc(sizeof(*c) + setup.size);
	if (!c)
		die("connection", ENOMEM);
	c->got = 0;
	return c;
}

void conn_free(struct thread *t, struct conn *c)
{
	c->next = t->free;
	t->free = c;
}

bool conn_received(struct conn *c, size_t n)
{
	c->got += n;
	if (c->got < setup.size)
		return false;
	c->got = 0;
	return true;
}

static void *run(void *arg)
{
	struct thread t = { .index = (int)(long)arg };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(t.index, &set);
	sched_setaffinity(0, sizeof(set), &set);
	if (setup.megapipe)
		serve_megapipe(&t);
	else
		serve_epoll(&t);
	return NULL;
}

static void word(const char *w)
{
	setup.megapipe |= !strcmp(w, "megapipe");
	setup.partition |= !strcmp(w, "partition") || !strcmp(w, "reuseport");
	setup.batch |= !strcmp(w, "batch");
	setup.lwsocket |= !strcmp(w, "lwsocket");
	setup.exclusive |= !strcmp(w, "exclusive");
}

int main(int argc, char **argv)
{
	pthread_t id;
	int i;

	setup.threads = argc > 1 ? atoi(argv[1]) : 1;
	setup.size = argc > 2 ? (size_t)atoi(argv[2]) : 64;
	for (i = 3; i < argc; i++)
		word(argv[i]);
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setup.listener = listen_again();
	printf("%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	for (i = 1; i < setup.threads; i++)
		pthread_create(&id, NULL, run, (void *)(long)i);
	run((void *)0);
	return 0;
}
