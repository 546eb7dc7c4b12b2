/* SPDX-License-Identifier: MIT */
/*
 * Description: bounded reads, writes and epoll waits for both sides.
 */
#include "net.h"

#include <string.h>
#include <unistd.h>

void set_add(int ep, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
}

void set_mod(int ep, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	MUST(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
}

void set_del(int ep, int fd)
{
	MUST(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
}

uint32_t set_next(int ep, int fd, int ms)
{
	long long end = tap_now_ms() + ms;
	struct epoll_event ev[16];

	for (;;) {
		long long left = end - tap_now_ms();
		int n = MUST(epoll_wait(ep, ev, 16, left > 0 ? left : 0));

		for (int i = 0; i < n; i++)
			if (ev[i].data.fd == fd)
				return ev[i].events;
		if (left <= 0)
			return 0;
	}
}

uint32_t set_wait(int ep, int fd, uint32_t bits)
{
	long long end = tap_now_ms() + WAIT_MS;
	uint32_t got;

	do {
		got = set_next(ep, fd, WAIT_MS);
		if (got & bits)
			return got;
	} while (tap_now_ms() < end);
	tap_fail(__FILE__, __LINE__, "fd %d: got %s, never %s", fd,
		 tap_evs(got), tap_evs(bits));
}

uint32_t set_until(int ep, int fd, uint32_t events)
{
	long long end = tap_now_ms() + WAIT_MS;
	uint32_t got;

	do {
		got = set_next(ep, fd, events ? 10 : 0);
	} while (got != events && tap_now_ms() < end);
	return got;
}

void server_read(int ep, int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(fd, (char *)buf + done, len - done, 0);

		if (n > 0) {
			done += n;
			continue;
		}
		if (n == 0)
			tap_fail(__FILE__, __LINE__, "EOF at %zu of %zu",
				 done, len);
		CHECK_EQ(errno, EAGAIN);
		set_wait(ep, fd, EPOLLIN);
	}
}

void server_write(int ep, int fd, const void *buf, size_t len)
{
	size_t done = 0;
	bool armed = false;

	while (done < len) {
		ssize_t n = send(fd, (const char *)buf + done, len - done,
				 MSG_NOSIGNAL);

		if (n > 0) {
			done += n;
			continue;
		}
		CHECK_EQ(errno, EAGAIN);
		if (!armed)
			set_mod(ep, fd, EPOLLIN | EPOLLOUT);
		armed = true;
		set_wait(ep, fd, EPOLLOUT);
	}
	if (armed)
		set_mod(ep, fd, EPOLLIN);
}

size_t server_fill(int fd, size_t limit)
{
	static char buf[64 * 1024];
	size_t done = 0;

	while (done < limit) {
		bytes_fill(buf, sizeof(buf), done);
		ssize_t n = send(fd, buf, sizeof(buf), MSG_NOSIGNAL);

		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			return done;
		}
		done += n;
	}
	tap_fail(__FILE__, __LINE__, "no EAGAIN after %zu bytes", done);
}

size_t server_drain_eof(int ep, int fd)
{
	char buf[4096];
	size_t done = 0;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n == 0)
			return done;
		if (n > 0) {
			done += n;
			continue;
		}
		CHECK_EQ(errno, EAGAIN);
		set_wait(ep, fd, EPOLLIN);
	}
}

void peer_write(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len)
		done += MUST(send(fd, (const char *)buf + done, len - done,
				  MSG_NOSIGNAL));
}

void peer_read(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = MUST(recv(fd, (char *)buf + done, len - done, 0));

		if (n == 0)
			tap_fail(__FILE__, __LINE__, "peer: EOF at %zu of %zu",
				 done, len);
		done += n;
	}
}

void peer_expect(int fd, const char *text)
{
	size_t len = strlen(text);
	char buf[512];

	CHECK(len <= sizeof(buf));
	peer_read(fd, buf, len);
	CHECK_MEM(buf, text, len);
}

void peer_eof(int fd)
{
	char byte;

	CHECK_EQ(recv(fd, &byte, 1, 0), 0);
}

size_t peer_drain(int fd, uint64_t *hash)
{
	static __thread char buf[256 * 1024];
	size_t done = 0;
	ssize_t n;

	while ((n = MUST(recv(fd, buf, sizeof(buf), 0))) > 0) {
		if (hash)
			*hash = bytes_hash(*hash, buf, n);
		done += n;
	}
	return done;
}
