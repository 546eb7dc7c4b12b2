/* SPDX-License-Identifier: MIT */
/*
 * The ping-pong client of the paper: connections of so many transactions.
 *
 *	pingpong_client PORT [TRANSACTIONS [CONNECTIONS [AT-ONCE [SIZE]]]]
 *
 * Ends when all connections have; an answer that differs is an error.
 */
#include <time.h>

#include "common.h"

struct conn {
	struct mp_handle *handle;
	int left;		/* transactions */
	size_t got;		/* of the answer */
	char ping[16384], pong[16384];
};

static struct mp_channel *ch;
static struct sockaddr_in server;
static int transactions = 10, to_begin = 1000, open_now;
static size_t size = 64;
static unsigned long done;

static void begin(void)
{
	struct conn *c = malloc(sizeof(*c));
	int ret, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !c)
		die("socket", errno);
	memset(c->ping, 'a' + to_begin % 26, size);
	c->left = transactions;
	ret = mp_register(ch, fd, c, NULL, &c->handle);
	if (ret < 0)
		die("mp_register", ret);
	mp_connect(c->handle, (struct sockaddr *)&server, sizeof(server));
	mp_write(c->handle, c->ping, size);
	c->got = 0;
	mp_read(c->handle, c->pong, size);
	to_begin--;
	open_now++;
}

static void answer(struct conn *c, int n)
{
	if (n <= 0)
		die("read", n ? n : ECONNRESET);
	c->got += (size_t)n;
	if (c->got < size) {
		mp_read(c->handle, c->pong + c->got, size - c->got);
		return;
	}
	if (memcmp(c->ping, c->pong, size))
		die("another answer", EPROTO);
	done++;
	c->got = 0;
	if (--c->left == 0) {
		mp_close(c->handle);
		return;
	}
	mp_write(c->handle, c->ping, size);
	mp_read(c->handle, c->pong, size);
}

static void complete(const struct mp_completion *ev)
{
	switch (ev->op) {
	case MP_OP_CONNECT:
	case MP_OP_WRITE:
		if (ev->result < 0)
			die("connect or write", ev->result);
		break;
	case MP_OP_READ:
		answer(ev->cookie, ev->result);
		break;
	case MP_OP_CLOSE:
		free(ev->cookie);
		open_now--;
		if (to_begin)
			begin();
		break;
	default:
		break;
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	int i, n, ret, at_once = argc > 4 ? atoi(argv[4]) : 64;
	struct mp_completion ev[64];
	double start = now();

	if (argc < 2)
		die("usage: pingpong_client PORT ...", EINVAL);
	server = address(argv[1]);
	transactions = argc > 2 ? atoi(argv[2]) : transactions;
	to_begin = argc > 3 ? atoi(argv[3]) : to_begin;
	size = argc > 5 ? (size_t)atoi(argv[5]) : size;
	if (size < 1 || size > 16384)
		die("size", EINVAL);
	ret = mp_create(NULL, &ch);
	if (ret < 0)
		die("mp_create", ret);
	while (at_once-- && to_begin)
		begin();
	while (open_now) {
		n = mp_dispatch_many(ch, ev, 64, -1);
		for (i = 0; i < n; i++)
			complete(&ev[i]);
	}
	printf("%lu transactions, %.0f/s\n", done,
	       (double)done / (now() - start));
	return mp_destroy(ch) < 0;
}
