/* SPDX-License-Identifier: MIT */
/*
 * Description: connect(AF_UNSPEC) pauses a listener, listen() resumes it.
 */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <unistd.h>

/*
 * The port must be bound by number, as haproxy does: the kernel gives up a
 * port that it chose itself when the socket is disconnected.
 */
static void open_fixed_port(struct fix *f)
{
	int one = 1, tries = 0;

	do {
		CHECK(tries++ < 20);
		f->lfd = net_listen(&f->addr, 1);
		MUST(close(f->lfd));
		f->lfd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK,
				     0));
		MUST(setsockopt(f->lfd, SOL_SOCKET, SO_REUSEADDR, &one,
				sizeof(one)));
		if (!bind(f->lfd, (struct sockaddr *)&f->addr,
			  sizeof(f->addr)))
			break;
		MUST(close(f->lfd));
	} while (true);
	MUST(listen(f->lfd, 128));
	f->ep = MUST(epoll_create1(0));
	set_add(f->ep, f->lfd, EPOLLIN);
}

static void pause_listener(struct fix *f)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	MUST(connect(f->lfd, &sa, sizeof(sa)));
}

static void expect_refused(struct fix *f)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	CHECK_ERRNO(connect(fd, (struct sockaddr *)&f->addr,
			    sizeof(f->addr)), ECONNREFUSED);
	MUST(close(fd));
}

static void run(struct fix *f, bool warm)
{
	int peer;
	char byte;

	open_fixed_port(f);
	if (warm)
		server_warm(f);
	/* One is accepted, one waits in the queue. */
	f->fd = server_accept(f, &f->peer, EPOLLIN);
	peer = net_client(&f->addr);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLIN);
	pause_listener(f);
	CHECK_ERRNO(recv(peer, &byte, 1, 0), ECONNRESET);
	MUST(close(peer));
	expect_refused(f);
	CHECK_ERRNO(accept4(f->lfd, NULL, NULL, SOCK_NONBLOCK), EINVAL);
	CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLHUP);
	/* The accepted one lives on. */
	peer_write(f->peer, "x", 1);
	server_read(f->ep, f->fd, &byte, 1);
	/* And the listener comes back on its port, still in the set. */
	MUST(listen(f->lfd, 128));
	CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
	server_warm(f);
}

static void t_cold(struct fix *f)
{
	run(f, false);
}

static void t_warm(struct fix *f)
{
	run(f, true);
}

static void t_repeat(struct fix *f)
{
	open_fixed_port(f);
	for (int i = 0; i < 5; i++) {
		server_warm(f);
		pause_listener(f);
		expect_refused(f);
		MUST(listen(f->lfd, 128));
	}
	server_warm(f);
}

/* A process that is not alone with it, and takes it out of its set. */
static void t_forked(struct fix *f)
{
	pid_t pid;

	open_fixed_port(f);
	MUST(close(f->ep));
	f->ep = -1;
	pid = MUST(fork());
	if (!pid) {
		f->ep = MUST(epoll_create1(0));
		set_add(f->ep, f->lfd, EPOLLIN);
		server_warm(f);
		pause_listener(f);
		CHECK_EV(set_next(f->ep, f->lfd, WAIT_MS), EPOLLHUP);
		set_del(f->ep, f->lfd);
		CHECK_EV(set_next(f->ep, f->lfd, 0), 0);
		expect_refused(f);
		MUST(listen(f->lfd, 128));
		set_add(f->ep, f->lfd, EPOLLIN);
		server_warm(f);
		_exit(0);
	}
	child_ok(pid);
}

static const struct net_case cases[] = {
	{ "pause and resume (cold)", t_cold, BARE },
	{ "pause and resume (warm)", t_warm, BARE },
	{ "five times over", t_repeat, BARE },
	{ "in a child, out of its set meanwhile", t_forked, BARE },
};

NET_MAIN(cases)
