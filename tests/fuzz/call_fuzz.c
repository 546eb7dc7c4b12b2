/* SPDX-License-Identifier: MIT */
/* kernel-calls */
/*
 * Description: random calls on real sockets against a model of the kernel.
 *
 * call_fuzz SECONDS SEED. A world is a listener, two epoll sets and a few
 * connections over loopback; calls of either end are drawn at random, some of
 * them made by a second thread while the first one waits, and every answer is
 * compared with the model: bytes, errno, which events, which not. Run plainly
 * it tests the model; then under the library. World n has the seed SEED + n:
 * `call_fuzz 0 SEED` repeats one alone. A failure prints the calls before it.
 * CALL_SKIP="fork pass" leaves calls out.
 */
#include "call_sets.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>

#define OPS 150

static unsigned long worlds, calls;

/* --- calls ----------------------------------------------------------- */

static const struct call {
	const char *name;
	unsigned int weight;
	void (*of_conn)(struct conn *);
	void (*of_world)(void);
} all[] = {
	{ "peer_send", 6, op_peer_send, NULL },
	{ "recv", 6, op_recv, NULL },
	{ "send", 4, op_send, NULL },
	{ "peer_recv", 2, op_peer_recv, NULL },
	{ "ctl", 6, op_ctl, NULL },
	{ "inq", 2, op_inq, NULL },
	{ "dup", 2, op_dup, NULL },
	{ "close", 2, op_close, NULL },
	{ "shutdown", 2, op_shutdown, NULL },
	{ "peer_shutdown", 2, op_peer_shutdown, NULL },
	{ "peer_reset", 2, op_peer_reset, NULL },
	{ "linger", 1, op_linger, NULL },
	{ "blocking", 1, op_blocking, NULL },
	{ "splice", 1, op_splice, NULL },
	{ "error", 1, op_error, NULL },
	{ "names", 1, op_names, NULL },
	{ "fork", 1, op_fork, NULL },
	{ "select", 1, op_select, NULL },
	{ "wait", 10, NULL, op_wait },
	{ "outer", 2, NULL, op_outer },
	{ "poll", 3, NULL, op_poll },
};

static bool is_skipped(const char *name)
{
	const char *skip = getenv("CALL_SKIP");

	return skip && strstr(skip, name);
}

static const struct call *draw_call(void)
{
	static unsigned int sum;
	const struct call *call;
	unsigned int at;

	if (!sum)
		for (call = all; call < all + sizeof(all) / sizeof(all[0]);
		     call++)
			sum += call->weight;
	at = draw(sum);
	for (call = all; at >= call->weight; call++)
		at -= call->weight;
	return call;
}

static void one_call(void)
{
	const struct call *call = draw_call();
	struct conn *c = conn_in(&w, OPEN);

	calls++;
	if (!c || !draw(26)) {
		if (conn_in(&w, PENDING))
			op_accept();
		else
			op_connect();
	} else if (is_skipped(call->name)) {
		return;
	} else if (call->of_world) {
		call->of_world();
	} else {
		call->of_conn(c);
	}
}

/* A second thread makes a call while the first waits for it. */
static sem_t begin, end;
static bool stop;

static void *helper(void *arg)
{
	for (;;) {
		while (sem_wait(&begin))
			;
		if (stop)
			return arg;
		one_call();
		sem_post(&end);
	}
}

/* --- worlds ---------------------------------------------------------- */

static void world_open(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = LISTENER };
	socklen_t len = sizeof(w.addr);
	int i;

	model_open(&w);
	w.outer = -1;
	w.null = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
	w.file = MUST(memfd_create("call_fuzz", MFD_CLOEXEC));
	MUST(pipe2(w.pipe, O_CLOEXEC | O_NONBLOCK));
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w.pair));
	w.lfd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	w.addr.sin_family = AF_INET;
	w.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(w.lfd, (struct sockaddr *)&w.addr, len));
	MUST(listen(w.lfd, 16));
	MUST(getsockname(w.lfd, (struct sockaddr *)&w.addr, &len));
	for (i = 0; i < SETS; i++)
		w.ep[i] = MUST(epoll_create1(EPOLL_CLOEXEC));
	MUST(epoll_ctl(w.ep[0], EPOLL_CTL_ADD, w.lfd, &ev));
}

static void world_close(void)
{
	const int others[] = { w.lfd, w.ep[0], w.ep[1], w.null, w.file,
			       w.pipe[0], w.pipe[1], w.pair[0], w.pair[1] };
	struct conn *c;
	unsigned int i;

	for (c = w.conn; c < w.conn + CONNS; c++)
		if (c->state == OPEN)
			end_conn(c);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		MUST(close(others[i]));
	if (w.outer >= 0)
		MUST(close(w.outer));
	for (c = w.conn; c < w.conn + CONNS; c++)
		if (c->state != FREE)
			MUST(close(c->peer));
}

static void run_world(unsigned long seed)
{
	pthread_t thread;
	int i;

	model_seed(seed);
	alarm(60);
	worlds++;
	world_open();
	w.threads = !draw(3);
	stop = false;
	if (w.threads)
		MUST(-pthread_create(&thread, NULL, helper, NULL));
	for (i = 0; i < OPS; i++) {
		if (!w.threads || draw(4)) {
			one_call();
			continue;
		}
		TRACE("the other thread:");
		sem_post(&begin);
		while (sem_wait(&end))
			;
	}
	world_close();
	if (w.threads) {
		stop = true;
		sem_post(&begin);
		pthread_join(thread, NULL);
	}
}

static void hangs(int sig)
{
	(void)sig;
	CHECK(0, "hangs");
}

/* Hardly ever, if at all; a single world is too few to say. */
static bool too_many(const char *what, unsigned long n, unsigned long of)
{
	if (worlds < 20 || n * of <= calls)
		return false;
	printf("more than one of %lu was %s\n", of, what);
	return true;
}

int main(int argc, char **argv)
{
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	bool bad = false;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, hangs);
	sem_init(&begin, 0, 0);
	sem_init(&end, 0, 0);
	do
		run_world(seed++);
	while (time(NULL) < until);
	printf("%lu worlds, %lu calls, %lu late, %lu cut, %lu again, "
	       "%lu in parts, %lu untold, %lu unknown\n", worlds, calls,
	       odd.late, odd.cut, odd.again, odd.parts, odd.untold,
	       odd.unknown);
	bad |= too_many("late", odd.late, 1000);
	bad |= too_many("cut short", odd.cut, 100);
	bad |= too_many("told again", odd.again, 100);
	bad |= too_many("in parts", odd.parts, 300);
	bad |= too_many("not told again", odd.untold, 300);
	bad |= too_many("not known yet", odd.unknown, 300);
	return bad;
}
