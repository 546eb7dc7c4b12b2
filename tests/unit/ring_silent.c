/* SPDX-License-Identifier: MIT */
/* alone */
/*
 * Description: sends on a real ring that are tried once and say nothing when
 * all is sent, a close behind them, and waits for more than one completion.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>

#include "real_ring.h"

enum { SEND = 1, CLOSE, RECV };
#define HOW (RING_ONCE | RING_SILENT)
#define FLAGS (MSG_WAITALL | MSG_NOSIGNAL)

static int ends[2];
static char bulk[1 << 24];

static void finish(void)
{
	MUST(close(ends[1]));
	real_drop();
}

static void all_sent(void)
{
	char got[8];

	real_pair(ends);
	ring_send(ring, SEND, real_fd(ends[0]), "hello", 5, FLAGS, HOW);
	CHECK_EQ(ring_submit(ring), 1);
	CHECK(!ring_ready(ring));
	CHECK_EQ(MUST(read(ends[1], got, sizeof(got))), 5);
	real_quiet();
	MUST(close(ends[0]));
	finish();
}

static int send_bulk(void)
{
	struct ring_event ev;

	ring_send(ring, SEND, real_fd(ends[0]), bulk, sizeof(bulk), FLAGS, HOW);
	CHECK_EQ(ring_submit(ring), 1);
	CHECK(ring_next(ring, &ev));
	CHECK_EQ(ev.cookie, SEND);
	return ev.res;
}

/*
 * Told when the enter that submits returns: how much, then "full". In between
 * the receiver's half may still be taking over what the first has sent.
 */
static void falls_short(void)
{
	int ret, tries = 0;

	real_pair(ends);
	ret = send_bulk();
	CHECK(ret > 0);
	do {
		CHECK(ret < (int)sizeof(bulk));
		CHECK(++tries < 1000);
		ret = send_bulk();
	} while (ret > 0);
	CHECK_EQ(ret, -EAGAIN);
	MUST(close(ends[0]));
	finish();
}

static void fails(void)
{
	struct ring_event ev;

	real_pair(ends);
	MUST(shutdown(ends[0], SHUT_WR));
	ring_send(ring, SEND, real_fd(ends[0]), "x", 1, FLAGS, HOW);
	CHECK_EQ(ring_submit(ring), 1);
	CHECK(ring_next(ring, &ev));
	CHECK_EQ(ev.res, -EPIPE);
	MUST(close(ends[0]));
	finish();
}

/* One completion, the send's; the close is done by the enter that collects. */
static void close_behind(void)
{
	char got[8];

	real_pair(ends);
	ring_send(ring, SEND, real_fd(ends[0]), "hello", 5, FLAGS | MSG_MORE,
		  RING_ONCE | RING_LINK);
	ring_close_file(ring, CLOSE, real_fd(ends[0]), RING_SILENT);
	CHECK_EQ(ring_reap(ring), 2);
	CHECK_EQ(real_wait(SEND).res, 5);
	CHECK_EQ(MUST(read(ends[1], got, sizeof(got))), 5);
	CHECK_EQ(MUST(read(ends[1], got, sizeof(got))), 0);
	real_quiet();
	finish();
}

/* Two completions then: a wait for one more than one wakes. */
static void close_not_done(void)
{
	real_pair(ends);
	ring_send(ring, SEND, real_fd(ends[0]), bulk, sizeof(bulk),
		  FLAGS | MSG_MORE, RING_ONCE | RING_LINK);
	ring_close_file(ring, CLOSE, real_fd(ends[0]), RING_SILENT);
	CHECK_EQ(ring_wait(ring, 2, -1, NULL), 0);
	CHECK(real_wait(SEND).res < (int)sizeof(bulk));
	CHECK_EQ(real_wait(CLOSE).res, -ECANCELED);
	MUST(fcntl(ends[0], F_GETFD));
	MUST(close(ends[0]));
	finish();
}

static void on_alarm(int sig)
{
}

/* One of two came, then a signal: the wait was interrupted, and says so. */
static void interrupted(void)
{
	const struct itimerval soon = { .it_value.tv_usec = 50000 }, never = { 0 };
	struct sigaction act = { .sa_handler = on_alarm };
	int ret;

	real_pair(ends);
	MUST(sigaction(SIGALRM, &act, NULL));
	ring_send(ring, SEND, real_fd(ends[0]), "x", 1, FLAGS, RING_ONCE);
	ring_recv(ring, RECV, real_fd(ends[0]), REAL_GROUP, false);
	MUST(setitimer(ITIMER_REAL, &soon, NULL));
	ret = ring_wait(ring, 2, -1, NULL);
	MUST(setitimer(ITIMER_REAL, &never, NULL));
	CHECK_EQ(ret, -EINTR);
	CHECK_EQ(real_wait(SEND).res, 1);
	real_end(RECV);
	/* And by time. */
	ring_send(ring, SEND, real_fd(ends[0]), "x", 1, FLAGS, RING_ONCE);
	CHECK_EQ(ring_wait(ring, 2, 20000000, NULL), 0);
	CHECK_EQ(real_wait(SEND).res, 1);
	MUST(close(ends[0]));
	finish();
}

static const struct unit_case cases[] = {
	{ "all sent: no completion", all_sent },
	{ "a full buffer: how much, then EAGAIN", falls_short },
	{ "an error", fails },
	{ "a close behind is silent", close_behind },
	{ "a close behind what fell short says so", close_not_done },
	{ "a wait for two, interrupted", interrupted },
};

REAL_MAIN(cases)
