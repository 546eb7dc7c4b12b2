/* SPDX-License-Identifier: MIT */
/*
 * Description: byte streams that can be checked, bounded joins and waits.
 */
#include "net.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One 64-bit word of the stream per 8 bytes of position (splitmix64). */
static uint64_t stream_word(uint64_t index)
{
	uint64_t z = (index + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void bytes_fill(void *buf, size_t len, uint64_t offset)
{
	unsigned char *out = buf;
	uint64_t word;

	while (len) {
		size_t skip = offset % 8, part = 8 - skip;

		word = stream_word(offset / 8);
		if (part > len)
			part = len;
		memcpy(out, (unsigned char *)&word + skip, part);
		out += part;
		offset += part;
		len -= part;
	}
}

uint64_t bytes_hash(uint64_t hash, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ull;
	return hash;
}

uint64_t bytes_stream_hash(size_t len)
{
	uint64_t hash = HASH_START;
	unsigned char buf[4096];

	for (size_t at = 0; at < len;) {
		size_t part = len - at < sizeof(buf) ? len - at : sizeof(buf);

		bytes_fill(buf, part, at);
		hash = bytes_hash(hash, buf, part);
		at += part;
	}
	return hash;
}

/* Threads of the running case that were not joined. */
static _Atomic int threads_live;

int thread_count(void)
{
	return threads_live;
}

pthread_t thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, run, arg), 0);
	threads_live++;
	return thread;
}

void thread_join(pthread_t thread)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 2 * WAIT_MS / 1000;
	CHECK_EQ(pthread_timedjoin_np(thread, NULL, &end), 0);
	threads_live--;
}

static void *read_slowly(void *arg)
{
	struct peer_reader *r = arg;
	char buf[8192];
	ssize_t n;

	while ((n = MUST(recv(r->fd, buf, sizeof(buf), 0))) > 0) {
		r->hash = bytes_hash(r->hash, buf, n);
		r->count += n;
		/* A pause now and then, so that the sender runs into it. */
		if (r->count / 65536 != (r->count - n) / 65536)
			tap_pause();
	}
	r->done = true;
	return NULL;
}

static void *read_fast(void *arg)
{
	struct peer_reader *r = arg;

	r->count = peer_drain(r->fd, &r->hash);
	r->done = true;
	return NULL;
}

void peer_reader_start(struct peer_reader *r, int fd, bool slow)
{
	*r = (struct peer_reader){ .fd = fd, .slow = slow,
				   .hash = HASH_START };
	r->thread = thread_start(slow ? read_slowly : read_fast, r);
}

void peer_reader_turn(struct peer_reader *r, int ep)
{
	long long end = tap_now_ms() + 2 * WAIT_MS;

	while (!r->done && tap_now_ms() < end)
		set_next(ep, -1, 10);
}

void peer_reader_expect(struct peer_reader *r, size_t len)
{
	thread_join(r->thread);
	CHECK_EQ(r->count, len);
	CHECK(r->hash == bytes_stream_hash(len));
}

bool thread_is_asleep(pid_t tid)
{
	char path[64], text[256], *state;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "r");
	CHECK(file != NULL);
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	/* The state is the word after "(name)". */
	state = strrchr(text, ')');
	return state && state[1] && state[2] == 'S';
}

void thread_asleep(pid_t tid)
{
	UNTIL(thread_is_asleep(tid));
}

int child_status(pid_t pid)
{
	int pidfd = MUST((int)syscall(SYS_pidfd_open, pid, 0));
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	int status, ready = MUST(poll(&pfd, 1, 2 * WAIT_MS));

	if (!ready)
		kill(pid, SIGKILL);
	MUST(close(pidfd));
	MUST(waitpid(pid, &status, 0));
	CHECK(ready == 1);
	return status;
}

void child_ok(pid_t pid)
{
	int status = child_status(pid);

	if (!WIFEXITED(status) || WEXITSTATUS(status))
		tap_fail(__FILE__, __LINE__, "child ended with status %#x",
			 status);
}
