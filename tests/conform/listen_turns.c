/* SPDX-License-Identifier: MIT */
/*
 * Description: workers that take turns in waiting, with two listeners.
 */
#include "../lib/net.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <unistd.h>

#define WORKERS 3
#define ROUNDS 20

enum { FLOCK, FCNTL, LOCKF, SEMOP, MUTEX };
static int kind, file, sem;
static pthread_mutex_t *mutex;

static void lock_open(void)
{
	char name[] = "/tmp/megapipe-turns-XXXXXX";
	pthread_mutexattr_t attr;

	if (kind == SEMOP) {
		sem = MUST(semget(IPC_PRIVATE, 1, 0600));
		MUST(semctl(sem, 0, SETVAL, 1));
	} else if (kind == MUTEX) {
		mutex = mmap(NULL, sizeof(*mutex), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK(mutex != MAP_FAILED);
		CHECK(!pthread_mutexattr_init(&attr));
		CHECK(!pthread_mutexattr_setpshared(&attr,
						    PTHREAD_PROCESS_SHARED));
		CHECK(!pthread_mutex_init(mutex, &attr));
	} else {
		file = MUST(mkstemp(name));
		MUST(unlink(name));
	}
}

static void lock_end(void)
{
	if (kind == SEMOP)
		MUST(semctl(sem, 0, IPC_RMID));
	else if (kind == MUTEX)
		MUST(munmap(mutex, sizeof(*mutex)));
	else
		MUST(close(file));
}

static void lock(bool on)
{
	struct flock whole = { .l_type = on ? F_WRLCK : F_UNLCK };
	struct sembuf op = { .sem_op = on ? -1 : 1 };

	if (kind == FLOCK)
		MUST(flock(file, on ? LOCK_EX : LOCK_UN));
	else if (kind == FCNTL)
		MUST(fcntl(file, F_SETLKW, &whole));
	else if (kind == LOCKF)
		MUST(lockf(file, on ? F_LOCK : F_ULOCK, 0));
	else if (kind == SEMOP)
		MUST(semop(sem, &op, 1));
	else
		CHECK(!(on ? pthread_mutex_lock(mutex) :
			     pthread_mutex_unlock(mutex)));
}

/* One connection a turn: its turn over, it answers. */
static void worker(const int *lfds, int stop)
{
	int ep = MUST(epoll_create1(0)), fd;
	struct epoll_event ev;
	char byte;

	/* Each has an open file, and so a lock, of its own. */
	if (kind == FLOCK) {
		char name[32];

		sprintf(name, "/proc/self/fd/%d", file);
		file = MUST(open(name, O_RDWR));
	}
	set_add(ep, lfds[0], EPOLLIN);
	set_add(ep, lfds[1], EPOLLIN);
	set_add(ep, stop, EPOLLIN);
	for (;;) {
		lock(true);
		CHECK_EQ(epoll_wait(ep, &ev, 1, 4 * WAIT_MS), 1);
		fd = ev.data.fd == stop ? stop : accept(ev.data.fd, NULL, NULL);
		lock(false);
		if (fd == stop)
			_exit(0);
		if (fd < 0)
			continue;
		CHECK_EQ(recv(fd, &byte, 1, 0), 1);
		CHECK_EQ(send(fd, &byte, 1, 0), 1);
		MUST(close(fd));
	}
}

static void ask(const struct sockaddr_in *addr)
{
	int peer = net_client(addr);

	peer_write(peer, "x", 1);
	peer_expect(peer, "x");
	peer_eof(peer);
	MUST(close(peer));
}

static void take_turns(struct fix *f, int how)
{
	int lfds[2], stop[2], i;
	struct sockaddr_in addr[2];
	pid_t pids[WORKERS];

	kind = how;
	lock_open();
	for (i = 0; i < 2; i++)
		lfds[i] = net_listen(&addr[i], 128);
	MUST(pipe(stop));
	for (i = 0; i < WORKERS; i++) {
		pids[i] = MUST(fork());
		if (!pids[i]) {
			MUST(close(stop[1]));
			worker(lfds, stop[0]);
		}
	}
	for (i = 0; i < ROUNDS; i++)
		ask(&addr[i % 2]);
	MUST(close(stop[1]));
	for (i = 0; i < WORKERS; i++)
		child_ok(pids[i]);
	MUST(close(stop[0]));
	MUST(close(lfds[0]));
	f->lfd = lfds[1];
	lock_end();
}

static void t_flock(struct fix *f) { take_turns(f, FLOCK); }
static void t_fcntl(struct fix *f) { take_turns(f, FCNTL); }
static void t_lockf(struct fix *f) { take_turns(f, LOCKF); }
static void t_semop(struct fix *f) { take_turns(f, SEMOP); }
static void t_mutex(struct fix *f) { take_turns(f, MUTEX); }

/* A mutex that others share is for good: last. */
static const struct net_case cases[] = {
	{ "by flock()", t_flock, BARE },
	{ "by F_SETLKW", t_fcntl, BARE },
	{ "by lockf()", t_lockf, BARE },
	{ "by semop()", t_semop, BARE },
	{ "by a mutex that processes share", t_mutex, BARE },
};

NET_MAIN(cases)
