/* SPDX-License-Identifier: MIT */
/*
 * A load generator for what wrk and redis-benchmark cannot do: requests at a
 * fixed rate, short connections at saturation, uploads, thousands of idle
 * connections beside busy ones. One thread, epoll, one answer per request.
 *
 * The length of an answer is learned from the first one; every other must
 * have the same length and begin with the same 12 bytes ("HTTP/1.1 200"),
 * anything else is an error. Prints one line of JSON.
 *
 *   load -p PORT -q REQUEST [-b BODY] [-c CONNECTIONS] [-t SECONDS]
 *        [-r RATE] [-n REQUESTS PER CONNECTION] [-i IDLE] [-s] [-m COPIES]
 *        [-x] [-w]
 *
 * REQUEST may have \r and \n. -r: requests per second over all connections,
 * latency counted from when a request was due. -x: the server closes after
 * the last answer. -i: so many more connections that stay silent; with
 * -t 0 they are held until standard input ends. -s: they ask for something,
 * and do not read the answer. -m: REQUEST so many times in
 * one piece, whose answers count as one. -w: prints "ready" when each connection
 * has had an answer, goes on when a byte comes on standard input, and keeps the
 * connections, after its result, until standard input ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 16384
#define QUIET_MS 200		/* the first answer has ended */
#define PREFIX 12		/* "HTTP/1.1 200" */
#define SUB 64			/* steps in each power of two */
#define WARM_SECONDS 20		/* until all have had an answer */
#define SOURCES 16		/* 127.0.0.2 and on: ports enough for all */

struct conn {
	int fd;
	bool waiting;		/* a request is under way */
	bool warm;		/* it has had its answer before the start */
	int64_t due;		/* when it should have been sent */
	size_t sent, got;
	long left;		/* requests, -1: for ever */
};

static struct conn conns[CONNS_MAX];
static int port, count = 64, epfd;
static long per_conn = -1, idle_count;
static double seconds = 1, rate;
static bool server_closes, idle_ask, waits, paused;
static int warm_count;
static char *request;
static size_t request_len, answer_len;
static char prefix[PREFIX];
static uint64_t done, errors, first_errno, histogram[64 * SUB];
static char bytes[1 << 18];
static int64_t began, next_due;

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void failed(int err)
{
	if (!errors++)
		first_errno = (uint64_t)err;
}

static void record(int64_t ns)
{
	uint64_t v = ns < SUB ? SUB : (uint64_t)ns;
	int power = 63 - __builtin_clzll(v);

	histogram[power * SUB + (v >> (power - 6)) % SUB]++;
}

static double quantile(double q)
{
	uint64_t want = (uint64_t)(q * (double)done), seen = 0;
	int i;

	for (i = 0; i < 64 * SUB; i++) {
		seen += histogram[i];
		if (seen > want)
			return (double)((uint64_t)(SUB + i % SUB)
					<< (i / SUB - 6)) / 1000;
	}
	return 0;
}

static int dial(long number, bool wait)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int one = 1, fd;

	fd = socket(AF_INET, SOCK_STREAM | (wait ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one,
		   sizeof(one));
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	sa.sin_addr.s_addr = htonl(0x7f000002 + (uint32_t)number % SOURCES);
	bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons((uint16_t)port);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The first request: how long is an answer? */
static void learn(void)
{
	struct pollfd p = { .fd = dial(0, true), .events = POLLIN };
	size_t sent = 0;
	ssize_t n;

	if (p.fd < 0)
		die("connect");
	while (sent < request_len) {
		n = write(p.fd, request + sent, request_len - sent);
		if (n <= 0)
			die("write");
		sent += (size_t)n;
	}
	while (poll(&p, 1, answer_len ? QUIET_MS : 10000) > 0) {
		n = read(p.fd, bytes, sizeof(bytes));
		if (n <= 0)
			break;
		if (!answer_len)
			memcpy(prefix, bytes, PREFIX);
		answer_len += (size_t)n;
	}
	close(p.fd);
	if (!answer_len) {
		fprintf(stderr, "load: no answer\n");
		exit(1);
	}
}

static void open_conn(struct conn *c)
{
	static long number;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					    EPOLLET, .data.ptr = c };

	c->fd = dial(++number, false);
	if (c->fd < 0)
		die("connect");
	c->left = per_conn;
	c->waiting = false;
	c->sent = c->got = 0;
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

static void push(struct conn *c)
{
	ssize_t n;

	while (c->sent < request_len) {
		n = write(c->fd, request + c->sent, request_len - c->sent);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			failed(errno);
			close(c->fd);
			open_conn(c);
			return;
		}
		c->sent += (size_t)n;
	}
}

/* An idle connection takes the next request, if one is due. */
static void start(struct conn *c, int64_t now)
{
	if (c->waiting || (paused && c->warm))
		return;
	if (rate > 0 && !paused) {
		if (next_due > now)
			return;
		c->due = next_due;
		next_due += (int64_t)(1e9 / rate);
	} else {
		c->due = now;
	}
	c->waiting = true;
	c->sent = c->got = 0;
	push(c);
}

static void answered(struct conn *c)
{
	int64_t now = now_ns();

	c->waiting = false;
	if (paused) {
		c->warm = true;
		warm_count++;
		return;
	}
	done++;
	record(now - c->due);
	if (c->left > 0 && --c->left == 0) {
		if (server_closes)
			return;		/* its FIN is on the way */
		close(c->fd);
		open_conn(c);
	}
	start(c, now);
}

static void pull(struct conn *c)
{
	for (;;) {
		ssize_t n = read(c->fd, bytes, sizeof(bytes));

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			if (n < 0 || c->waiting || !server_closes)
				failed(n < 0 ? errno : 0);
			close(c->fd);
			open_conn(c);
			start(c, now_ns());
			return;
		}
		if (!c->waiting || (c->got == 0 && n >= PREFIX &&
				    memcmp(prefix, bytes, PREFIX)))
			failed(EPROTO);
		c->got += (size_t)n;
		if (c->got < answer_len)
			continue;
		if (c->got > answer_len)
			failed(EMSGSIZE);
		answered(c);
		if (!server_closes)
			return;
	}
}

static void handle(const struct epoll_event *ev)
{
	struct conn *c = ev->data.ptr;

	if (ev->events & EPOLLOUT) {
		if (c->waiting)
			push(c);
		else if (c->left)
			start(c, now_ns());
	}
	if (ev->events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		pull(c);
}

/* Connections that wait take what is due meanwhile, in turn. */
static void start_due(void)
{
	static int turn;
	int64_t now = now_ns();
	int i;

	for (i = 0; i < count && next_due <= now; i++) {
		start(&conns[turn], now);
		turn = (turn + 1) % count;
	}
}

static void turn(int timeout)
{
	struct epoll_event events[256];
	int i, n = epoll_wait(epfd, events, 256, timeout);

	for (i = 0; i < n; i++)
		handle(&events[i]);
}

/* One answer for each connection, then the word to begin. */
static void wait_for_start(void)
{
	int i;

	paused = true;
	while (warm_count < count && !errors &&
	       now_ns() - began < WARM_SECONDS * 1000000000ll)
		turn(100);
	if (warm_count < count)
		failed(ETIMEDOUT);
	printf("ready\n");
	fflush(stdout);
	if (read(0, bytes, 1) < 0)
		die("standard input");
	paused = false;
	began = next_due = now_ns();
	for (i = 0; i < count; i++)
		start(&conns[i], began);
}

static void run(void)
{
	int64_t end;
	int i;

	for (i = 0; i < count; i++)
		open_conn(&conns[i]);
	if (waits)
		wait_for_start();
	end = began + (int64_t)(seconds * 1e9);
	while (now_ns() < end) {
		/* At a fixed rate it does not sleep: a timer would be late. */
		turn(rate > 0 ? 0 : 100);
		if (rate > 0)
			start_due();
	}
}

static void hold_idle(void)
{
	long i;

	for (i = 0; i < idle_count; i++) {
		int fd = dial(i, true);

		if (fd < 0 || (idle_ask && write(fd, request, request_len) < 0))
			die("idle connection");
	}
	if (seconds > 0)
		return;
	printf("{\"idle\": %ld}\n", idle_count);
	fflush(stdout);
	while (read(0, bytes, sizeof(bytes)) > 0)
		;
	exit(0);
}

/* Appends *text*, with its \r and \n, to the request. */
static void add_text(const char *text)
{
	for (; *text; text++) {
		char c = *text;

		if (c == '\\' && (text[1] == 'r' || text[1] == 'n'))
			c = *++text == 'r' ? '\r' : '\n';
		request[request_len++] = c;
	}
}

static void set_request(const char *text, size_t body, size_t copies)
{
	size_t i;

	request = calloc(copies, strlen(text) + body + 1);
	for (i = 0; i < copies; i++) {
		add_text(text);
		memset(request + request_len, 'x', body);
		request_len += body;
	}
}

static void options(int argc, char **argv)
{
	const char *text = NULL;
	size_t body = 0, copies = 1;
	int c;

	while ((c = getopt(argc, argv, "p:q:b:c:t:r:n:i:m:swx")) != -1) {
		switch (c) {
		case 'p': port = atoi(optarg); break;
		case 'q': text = optarg; break;
		case 'b': body = strtoul(optarg, NULL, 10); break;
		case 'c': count = atoi(optarg); break;
		case 't': seconds = atof(optarg); break;
		case 'r': rate = atof(optarg); break;
		case 'n': per_conn = atol(optarg); break;
		case 'i': idle_count = atol(optarg); break;
		case 'm': copies = strtoul(optarg, NULL, 10); break;
		case 's': idle_ask = true; break;
		case 'w': waits = true; break;
		case 'x': server_closes = true; break;
		default: exit(2);
		}
	}
	if (!text || !port || !copies || count < 1 || count > CONNS_MAX) {
		fprintf(stderr, "usage: see the head of load.c\n");
		exit(2);
	}
	set_request(text, body, copies);
}

static void print_result(double took)
{
	printf("{\"requests\": %llu, \"seconds\": %.4f, \"errors\": %llu, "
	       "\"errno\": %llu, \"answer\": %zu, \"p50_us\": %.2f, "
	       "\"p99_us\": %.2f}\n",
	       (unsigned long long)done, took, (unsigned long long)errors,
	       (unsigned long long)first_errno, answer_len, quantile(0.5),
	       quantile(0.99));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct rlimit lim;

	options(argc, argv);
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	epfd = epoll_create1(0);
	hold_idle();
	learn();
	began = next_due = now_ns();
	run();
	print_result((double)(now_ns() - began) / 1e9);
	while (waits && read(0, bytes, sizeof(bytes)) > 0)
		;
	return errors || !done;
}
