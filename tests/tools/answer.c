/* SPDX-License-Identifier: MIT */
/*
 * Description: the least that an event-driven server does for a request.
 *
 *	answer [-x] [-l]
 *
 * Prints its port, then answers whatever comes with one line. -x: and closes.
 * -l: level-triggered, where it is edge-triggered otherwise. One thread, no
 * buffers: what is counted in it (steps.c) is the work of the calls.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int ep, listener;
static bool closes, level;

static void add(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static void take(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0)
		add(fd, EPOLLIN | EPOLLRDHUP | (level ? 0 : EPOLLET));
}

static void answer(int fd)
{
	struct iovec iov[2] = { { "a small ", 8 }, { "answer\n", 7 } };
	char bytes[1024];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	if (n > 0)
		n = writev(fd, iov, 2);
	if (n <= 0 || closes)
		close(fd);
}

static int listen_somewhere(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(listener, 511) < 0 ||
	    getsockname(listener, (struct sockaddr *)&sa, &len) < 0)
		return -1;
	printf("%d\n", ntohs(sa.sin_port));
	return fflush(stdout);
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	int i, n;

	for (i = 1; i < argc; i++) {
		closes |= !strcmp(argv[i], "-x");
		level |= !strcmp(argv[i], "-l");
	}
	ep = epoll_create1(0);
	if (listen_somewhere() < 0)
		return 1;
	add(listener, EPOLLIN);
	for (;;) {
		n = epoll_wait(ep, events, 64, -1);
		for (i = 0; i < n; i++)
			if (events[i].data.fd == listener)
				take();
			else
				answer(events[i].data.fd);
	}
}
