/* SPDX-License-Identifier: MIT */
/*
 * The ping-pong server of the paper: answers each message with the same bytes.
 *
 *	pingpong_server PORT [THREADS]
 *
 * One channel a thread; with more than one, each runs on a CPU of its own and
 * takes the connections of this CPU.
 */
#include <pthread.h>
#include <sched.h>

#include "common.h"

struct conn {
	struct mp_handle *handle;
	char buf[16384];
};

struct thread {
	pthread_t id;
	int fd, cpu;	/* cpu < 0: any */
};

static void begin(struct mp_channel *ch, int sock)
{
	struct conn *c = malloc(sizeof(*c));

	if (!c || mp_register(ch, sock, c, NULL, &c->handle) < 0)
		die("register", ENOMEM);
	mp_read(c->handle, c->buf, sizeof(c->buf));
}

static void complete(struct mp_channel *ch, const struct mp_completion *ev)
{
	struct conn *c = ev->cookie;

	switch (ev->op) {
	case MP_OP_ACCEPT:
		if (ev->result >= 0)
			begin(ch, ev->result);
		else if (!ev->more)
			mp_accept(ev->handle, MP_FOREVER, 1);
		break;
	case MP_OP_READ:
		if (ev->result > 0)
			mp_write(c->handle, c->buf, (size_t)ev->result);
		else
			mp_close(c->handle);
		break;
	case MP_OP_WRITE:
		if (ev->result > 0)
			mp_read(c->handle, c->buf, sizeof(c->buf));
		else
			mp_close(c->handle);
		break;
	case MP_OP_CLOSE:
		free(c);
		break;
	default:
		break;
	}
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity", errno);
}

static struct mp_handle *listener_of(const struct thread *t,
				     struct mp_channel *ch)
{
	struct mp_cpu_mask mask = { { 0 } };
	struct mp_handle *listener;
	int ret;

	if (t->cpu >= 0) {
		run_on(t->cpu);
		mp_cpu_add(&mask, (unsigned int)t->cpu);
	}
	ret = mp_register(ch, t->fd, NULL, t->cpu >= 0 ? &mask : NULL,
			  &listener);
	if (ret < 0)
		die("mp_register", ret);
	return listener;
}

static void *serve(void *arg)
{
	struct mp_channel *ch;
	struct mp_handle *listener;
	struct mp_completion ev;
	int ret = mp_create(NULL, &ch);

	if (ret < 0)
		die("mp_create", ret);
	listener = listener_of(arg, ch);
	mp_accept(listener, MP_FOREVER, 1);
	for (;;)
		if (mp_dispatch(ch, &ev, -1) == 1)
			complete(ch, &ev);
	return NULL;
}

int main(int argc, char **argv)
{
	int i, n = argc > 2 ? atoi(argv[2]) : 1;
	int fd = listen_on(argc > 1 ? argv[1] : "0");
	struct thread *threads = calloc((size_t)n, sizeof(*threads));

	for (i = 0; i < n; i++) {
		threads[i].fd = fd;
		threads[i].cpu = n > 1 ? i : -1;
		pthread_create(&threads[i].id, NULL, serve, &threads[i]);
	}
	for (i = 0; i < n; i++)
		pthread_join(threads[i].id, NULL);
	return 0;
}
