/* SPDX-License-Identifier: MIT */
/*
 * Description: a static program: an epoll echo server for one connection.
 *
 *	static_echo
 *
 * Prints its port, echoes until EOF, prints "done" and whether anything of
 * another library is mapped into it.  No preload reaches it.  Blocking
 * surprises end by alarm.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve(int ep, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	char buf[512];
	ssize_t n;

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	for (;;) {
		if (epoll_wait(ep, &ev, 1, -1) != 1)
			return 1;
		n = recv(fd, buf, sizeof(buf), 0);
		if (n == 0)
			return 0;
		if (n > 0 && send(fd, buf, n, 0) != n)
			return 1;
	}
}

static int count_libraries(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (maps && fgets(line, sizeof(line), maps))
		n += strstr(line, ".so") != NULL;
	return n;
}

int main(void)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa);
	int lfd = socket(AF_INET, SOCK_STREAM, 0), fd;
	int ep = epoll_create1(0);

	alarm(20);
	if (bind(lfd, (struct sockaddr *)&sa, len) || listen(lfd, 1) ||
	    getsockname(lfd, (struct sockaddr *)&sa, &len))
		return 1;
	printf("%d\n", ntohs(sa.sin_port));
	fflush(stdout);
	fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0 || serve(ep, fd))
		return 1;
	printf("done %d\n", count_libraries());
	return 0;
}
