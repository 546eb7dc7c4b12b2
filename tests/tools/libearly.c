/* SPDX-License-Identifier: MIT */
/*
 * Description: a library that does network I/O before and after main().
 *
 * Its constructor serves one connection of its own in an epoll loop and puts
 * "served" into early_state; whatever is not as it should be leaves the step
 * there.  Its destructor sends "late" on early_late_fd, if the program has
 * put a number there, and reads what early_late_fd has first.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

const char *early_state = "not run";
int early_late_fd = -1;

static int peer = -1, lfd = -1, conn = -1, ep = -1;

static int open_pair(void)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa);

	lfd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(lfd, (struct sockaddr *)&sa, len) || listen(lfd, 8) ||
	    getsockname(lfd, (struct sockaddr *)&sa, &len))
		return -1;
	peer = socket(AF_INET, SOCK_STREAM, 0);
	return connect(peer, (struct sockaddr *)&sa, len);
}

static int wait_for(int fd, int op)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (op && epoll_ctl(ep, op, fd, &ev))
		return -1;
	return epoll_wait(ep, &ev, 1, 5000) == 1 && ev.data.fd == fd ? 0 : -1;
}

static const char *serve(void)
{
	char buf[8];

	if (open_pair())
		return "open_pair";
	ep = epoll_create1(0);
	if (wait_for(lfd, EPOLL_CTL_ADD))
		return "listener";
	conn = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);
	if (conn < 0 || write(peer, "ping", 4) != 4)
		return "accept";
	if (wait_for(conn, EPOLL_CTL_ADD) || read(conn, buf, 8) != 4)
		return "read";
	if (write(conn, "pong", 4) != 4 || read(peer, buf, 8) != 4)
		return "write";
	if (memcmp(buf, "pong", 4) || close(conn) || read(peer, buf, 8))
		return "close";
	return "served";
}

__attribute__((constructor)) static void before(void)
{
	early_state = serve();
	close(peer);
	close(lfd);
	close(ep);
}

__attribute__((destructor)) static void after(void)
{
	char buf[8];

	if (early_late_fd < 0)
		return;
	if (recv(early_late_fd, buf, sizeof(buf), MSG_DONTWAIT) == 3)
		send(early_late_fd, buf, 3, MSG_NOSIGNAL);
	send(early_late_fd, "late", 4, MSG_NOSIGNAL);
}
