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
 */
#include "call_model.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define OPS 150
#define SETTLE_TRIES 1000	/* of a millisecond */

static struct world w;
static unsigned long worlds, calls, late, again, cut;

/* --- connections ----------------------------------------------------- */

/* What it sends arrives at once. */
static void peer_options(int fd)
{
	struct timeval tv = { .tv_sec = 10 };
	int on = 1;

	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));

	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
}

static void op_connect(void)
{
	struct conn *c = free_conn(&w);
	socklen_t len = sizeof(w.addr);

	if (!c || w.pending)
		return;
	c->peer = MUST(socket(AF_INET, SOCK_STREAM, 0));
	peer_options(c->peer);
	MUST(connect(c->peer, (struct sockaddr *)&w.addr, len));
	c->state = PENDING;
	w.pending = 1;
	TRACE("connect conn %d", index_of(&w, c));
}

static void op_accept(void)
{
	struct conn *c = conn_in(&w, PENDING);
	int on = 1, fd = accept4(w.lfd, NULL, NULL, SOCK_NONBLOCK);

	TRACE("accept4 = %d", fd);
	if (!c) {
		CHECK(fd < 0 && errno == EAGAIN, "accept of nothing");
		return;
	}
	CHECK(fd >= 0, "accept: errno %d", errno);
	/* Mostly: without it each partial segment costs 40 ms. */
	if (draw(30))
		MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	c->fd[0] = fd;
	c->fd[1] = -1;
	c->state = OPEN;
	w.pending = 0;
}

static void close_number(struct conn *c, int which)
{
	int other = !which, s;

	TRACE("close %d of conn %d", c->fd[which], index_of(&w, c));
	MUST(close(c->fd[which]));
	/* Entries stay as long as the socket has another number. */
	for (s = 0; s < SETS; s++)
		if (c->ent[s].fd == c->fd[which])
			c->ent[s].orphan = true;
	c->fd[which] = -1;
	if (c->fd[other] < 0)
		c->state = SERVER_CLOSED;
}

/* What the peer of a closed connection sees: all bytes, then the end. */
static void peer_sees_end(struct conn *c, bool reset)
{
	char buf[4096];
	ssize_t n;

	if (reset) {
		while ((n = recv(c->peer, buf, sizeof(buf), 0)) > 0)
			check_stream(c, 1, buf, (size_t)n);
		if (c->shut_wr)
			return;		/* it may have seen the end before */
		CHECK(n < 0 && errno == ECONNRESET,
		      "conn %d: reset wanted, got %zd errno %d",
		      index_of(&w, c), n, errno);
		return;
	}
	while (c->read[1] < c->sent[1]) {
		n = recv(c->peer, buf, sizeof(buf), 0);
		CHECK(n > 0, "conn %d: the end %d too early (%zd, errno %d)",
		      index_of(&w, c), (int)(c->sent[1] - c->read[1]), n,
		      errno);
		check_stream(c, 1, buf, (size_t)n);
	}
	n = recv(c->peer, buf, 1, 0);
	CHECK(n == 0, "conn %d: no end: %zd, errno %d", index_of(&w, c), n,
	      errno);
}

static void end_conn(struct conn *c)
{
	bool unread = c->sent[0] > c->read[0];
	int i;

	for (i = 0; i < 2; i++)
		if (c->fd[i] >= 0)
			close_number(c, i);
	if (c->state == SERVER_CLOSED && !c->peer_reset)
		peer_sees_end(c, unread);
	if (c->peer >= 0)
		MUST(close(c->peer));
	*c = (struct conn){ .peer = -1, .fd = { -1, -1 } };
}

static void op_close(struct conn *c)
{
	int which = c->fd[0] < 0 || (c->fd[1] >= 0 && draw(2));

	/* Most live on; a socket with two numbers just loses one. */
	if (c->fd[0] >= 0 && c->fd[1] >= 0)
		close_number(c, which);
	else if (!draw(3))
		end_conn(c);
}

static void op_dup(struct conn *c)
{
	int from = c->fd[0] >= 0 ? 0 : 1;

	if (c->fd[!from] >= 0)
		return;
	c->fd[!from] = draw(2) ? MUST(dup(c->fd[from])) :
			MUST(fcntl(c->fd[from], F_DUPFD_CLOEXEC, 0));
	TRACE("dup %d = %d", c->fd[from], c->fd[!from]);
}

/* --- the peer -------------------------------------------------------- */

static void op_peer_send(struct conn *c)
{
	char buf[16384];
	size_t n = draw_size(sizeof(buf));

	if (c->peer_fin || c->peer_reset ||
	    c->sent[0] - c->read[0] + n > OUTSTANDING)
		return;
	fill_stream(c, 0, buf, n);
	CHECK(send(c->peer, buf, n, MSG_NOSIGNAL) == (ssize_t)n,
	      "peer's send: errno %d", errno);
	c->sent[0] += n;
	arrived(c, EPOLLIN);
	TRACE("peer of conn %d sends %zu", index_of(&w, c), n);
}

/* All that the server has sent: it has been waiting since, or blocks now. */
static void op_peer_recv(struct conn *c)
{
	char buf[8192];

	TRACE("peer of conn %d reads %d", index_of(&w, c),
	      (int)(c->sent[1] - c->read[1]));
	while (c->read[1] < c->sent[1]) {
		ssize_t n = recv(c->peer, buf, sizeof(buf), 0);

		CHECK(n > 0, "peer of conn %d: %zd, errno %d, %d to come",
		      index_of(&w, c), n, errno,
		      (int)(c->sent[1] - c->read[1]));
		check_stream(c, 1, buf, (size_t)n);
	}
}

static void op_peer_shutdown(struct conn *c)
{
	if (c->peer_fin || c->peer_reset)
		return;
	MUST(shutdown(c->peer, SHUT_WR));
	c->peer_fin = true;
	arrived(c, 0);
	TRACE("peer of conn %d sends FIN", index_of(&w, c));
}

static void op_peer_reset(struct conn *c)
{
	struct linger rst = { .l_onoff = 1 };

	if (c->peer_fin || c->peer_reset || draw(4))
		return;
	/* What the server sent before is out; its next call meets the RST. */
	op_peer_recv(c);
	MUST(setsockopt(c->peer, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)));
	MUST(close(c->peer));
	c->peer = -1;
	c->peer_reset = c->error = true;
	arrived(c, 0);
	TRACE("peer of conn %d resets", index_of(&w, c));
}

/* --- the server's calls ---------------------------------------------- */

static ssize_t receive(int fd, char *buf, size_t n, int flags)
{
	struct iovec part[2] = { { buf, n / 3 }, { buf + n / 3, n - n / 3 } };
	struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2 };

	switch (flags ? draw(2) : draw(5)) {
	case 0:
		return recv(fd, buf, n, flags);
	case 1:
		return recvmsg(fd, &msg, flags);
	case 2:
		return readv(fd, part, 2);
	case 3:
		return recvfrom(fd, buf, n, 0, NULL, NULL);
	default:
		return read(fd, buf, n);
	}
}

static ssize_t want_recv(const struct conn *c, size_t n)
{
	size_t have = c->sent[0] - c->read[0];

	if (have)
		return (ssize_t)(have < n ? have : n);
	return c->error ? -ECONNRESET : c->peer_fin || c->peer_reset ? 0 :
								       -EAGAIN;
}

static void op_recv(struct conn *c)
{
	int flags = draw(6) ? 0 : MSG_PEEK, tries = 0;
	char buf[16384];
	size_t n = draw_size(sizeof(buf));
	ssize_t want = want_recv(c, n), got;

	do {
		got = receive(number_of(c), buf, n, flags);
		got = got < 0 ? -errno : got;
		/* Loopback may deliver a little later; rarely. */
		if (got != -EAGAIN || want == got || !++tries)
			break;
		late++;
		usleep(1000);
	} while (++tries < SETTLE_TRIES);
	TRACE("recv(conn %d, %zu, %x) = %zd", index_of(&w, c), n, flags, got);
	/* What came after the last wait may be left for the next call. */
	if (got > 0 && got < want)
		cut++;
	else
		CHECK(got == want, "recv of %zu: got %zd, want %zd", n, got,
		      want);
	if (got > 0 && flags)
		peek_stream(c, 0, buf, (size_t)got);
	else if (got > 0)
		check_stream(c, 0, buf, (size_t)got);
	if (got == -ECONNRESET)
		c->error = false;
}

static void op_send(struct conn *c)
{
	char buf[16384];
	size_t n = draw_size(sizeof(buf));
	struct iovec part[2] = { { buf, n / 2 }, { buf + n / 2, n - n / 2 } };
	struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2 };
	ssize_t got;

	if (c->peer_reset || c->sent[1] - c->read[1] + n > OUTSTANDING)
		return;
	fill_stream(c, 1, buf, n);
	switch (draw(4)) {
	case 0:
		got = send(number_of(c), buf, n, MSG_NOSIGNAL);
		break;
	case 1:
		got = writev(number_of(c), part, 2);
		break;
	case 2:
		got = sendmsg(number_of(c), &msg, MSG_NOSIGNAL);
		break;
	default:
		got = write(number_of(c), buf, n);
	}
	got = got < 0 ? -errno : got;
	TRACE("send(conn %d, %zu) = %zd", index_of(&w, c), n, got);
	if (c->shut_wr) {
		CHECK(got == -EPIPE, "send after SHUT_WR: %zd", got);
		return;
	}
	CHECK(got == (ssize_t)n, "send of %zu: %zd", n, got);
	c->sent[1] += n;
}

static void op_shutdown(struct conn *c)
{
	if (c->peer_reset || c->shut_wr || draw(3))
		return;
	TRACE("shutdown(conn %d)", index_of(&w, c));
	CHECK(!shutdown(number_of(c), SHUT_WR), "shutdown: errno %d", errno);
	c->shut_wr = true;
	/* It wakes the waiters, for nothing new but a hang-up. */
	if (c->peer_fin)
		arrived(c, 0);
}

static void op_look(struct conn *c)
{
	struct pollfd p = { .fd = number_of(c), .events = POLL_WANTS };
	uint32_t want = ready(c) & (POLL_WANTS | EPOLLERR | EPOLLHUP);
	int n = -1, tries = 0;

	while (MUST(ioctl(p.fd, FIONREAD, &n)) < 1 &&
	       n != (int)(c->sent[0] - c->read[0]) && ++tries < 100) {
		late++;
		usleep(1000);
	}
	CHECK(n == (int)(c->sent[0] - c->read[0]), "FIONREAD %d, want %d", n,
	      (int)(c->sent[0] - c->read[0]));
	if (draw(4))
		return;		/* poll() gives the socket back: not always */
	do {
		MUST(poll(&p, 1, 0));
		if ((uint32_t)p.revents == want)
			break;
		late++;
		usleep(1000);
	} while (++tries < SETTLE_TRIES);
	TRACE("poll(conn %d) = %x", index_of(&w, c), p.revents);
	CHECK((uint32_t)p.revents == want, "poll: got %x, want %x", p.revents,
	      want);
}

/* --- sets ------------------------------------------------------------ */

static void op_ctl(struct conn *c)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD,
				   EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	int s = draw(SETS), op = ops[draw(5)], fd = number_of(c), want;
	struct entry *e = &c->ent[s];
	struct epoll_event ev = { .events = draw_events() };
	int got;

	/* The model keeps one entry for each socket and set. */
	if (e->fd >= 0 && e->fd != fd)
		return;
	if (e->orphan)
		return;
	ev.data.u64 = token(&w, c, s);
	want = op == EPOLL_CTL_ADD ? (e->fd >= 0 ? EEXIST : 0) :
	       e->fd < 0 ? ENOENT : 0;
	got = epoll_ctl(w.ep[s], op, fd, &ev) ? errno : 0;
	TRACE("epoll_ctl(set %d, %d, conn %d fd %d, %x) = %d", s, op,
	      index_of(&w, c), fd, ev.events, got);
	CHECK(got == want, "epoll_ctl: errno %d, want %d", got, want);
	if (got)
		return;
	if (op == EPOLL_CTL_DEL)
		*e = (struct entry){ .fd = -1 };
	else
		*e = (struct entry){ .fd = fd, .events = ev.events,
				     .armed = true, .edge = true };
}

static void take_event(int s, int tries, const struct epoll_event *ev)
{
	struct conn *c = conn_of(&w, ev->data.u64, s);
	struct entry *e;
	uint32_t want;

	if (tries < 3)
		TRACE("  event %x token %llx", ev->events,
	      (unsigned long long)ev->data.u64);
	if (ev->data.u64 == LISTENER) {
		CHECK(!s && w.pending && ev->events == EPOLLIN,
		      "listener reports %x", ev->events);
		w.told = true;
		return;
	}
	CHECK(c, "token %llx is of no entry", (unsigned long long)ev->data.u64);
	e = &c->ent[s];
	/* The kernel may wake waiters for less (acknowledged bytes), and so
	 * does adding a socket to its set again: true, but told once more. */
	if (e->armed && e->events & EPOLLET && !e->edge) {
		e->edge = true;
		again++;
	}
	want = would_report(c, e);
	/* LIMIT: an error that the library has taken from the kernel is told by
	 * the next call and SO_ERROR, not by the kernel's sets. */
	if (c->error && ev->events == (want & ~EPOLLERR)) {
		want = ev->events;
		again++;
	}
	/* The library meets the end behind the data before it, piece by piece:
	 * while some is unread it may be told by a later wait, or apart. */
	if (ev->events != want && c->sent[0] > c->read[0] &&
	    !(ev->events & ~want)) {
		e->armed &= !(e->events & EPOLLONESHOT);
		late++;
		e->got |= ev->events;
		if (e->got == want || e->events & EPOLLET)
			reported(e);
		return;
	}
	CHECK(ev->events == want, "event %x, want %x", ev->events, want);
	reported(e);
}

static void op_wait(void)
{
	int s = draw(SETS), max = draw(3) ? 8 : 1 + draw(2), n, i, tries;
	struct epoll_event ev[8];

	forget_seen(&w, s);
	for (tries = 0; tries < SETTLE_TRIES; tries++) {
		bool full = false;

		n = epoll_wait(w.ep[s], ev, max, 0);
		if (tries < 3)
			TRACE("epoll_wait(set %d, %d) = %d", s, max, n);
		CHECK(n >= 0 && n <= max, "epoll_wait: errno %d", errno);
		for (i = 0; i < n; i++)
			take_event(s, tries, &ev[i]);
		full = n == max;
		if (full || !missing(&w, s))
			return;
		late++;
		usleep(1000);
	}
	CHECK(0, "set %d never reports %s", s, missing(&w, s));
}

/* --- the world ------------------------------------------------------- */

static void one_call(void)
{
	static void (*const of_conn[])(struct conn *) = {
		op_peer_send, op_peer_send, op_peer_send, op_recv, op_recv,
		op_recv, op_send, op_send, op_peer_recv, op_ctl, op_ctl,
		op_ctl, op_look, op_dup, op_close, op_shutdown,
		op_peer_shutdown, op_peer_reset,
	};
	struct conn *c = conn_in(&w, OPEN);
	unsigned int which = draw(26);

	calls++;
	if (which < 5)
		op_wait();
	else if (!c || which == 5)
		conn_in(&w, PENDING) ? op_accept() : op_connect();
	else
		of_conn[draw(sizeof(of_conn) / sizeof(of_conn[0]))](c);
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

static void world_open(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = LISTENER };
	socklen_t len = sizeof(w.addr);
	int i;

	model_open(&w);
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
	struct conn *c;
	int i;

	for (c = w.conn; c < w.conn + CONNS; c++)
		if (c->state == OPEN)
			end_conn(c);
	MUST(close(w.lfd));
	for (c = w.conn; c < w.conn + CONNS; c++)
		if (c->state != FREE)
			MUST(close(c->peer));
	for (i = 0; i < SETS; i++)
		MUST(close(w.ep[i]));
}

static void run_world(unsigned long seed)
{
	pthread_t thread;
	bool threads;
	int i;

	model_seed(seed);
	alarm(60);
	worlds++;
	world_open();
	threads = !draw(3);
	stop = false;
	if (threads)
		MUST(-pthread_create(&thread, NULL, helper, NULL));
	for (i = 0; i < OPS; i++) {
		if (!threads || draw(4)) {
			one_call();
			continue;
		}
		TRACE("the other thread:");
		sem_post(&begin);
		while (sem_wait(&end))
			;
	}
	world_close();
	if (threads) {
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

int main(int argc, char **argv)
{
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);

	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, hangs);
	sem_init(&begin, 0, 0);
	sem_init(&end, 0, 0);
	do
		run_world(seed++);
	while (time(NULL) < until);
	printf("%lu worlds, %lu calls, %lu late, %lu again, %lu short\n", worlds,
	       calls, late, again, cut);
	/* The plain kernel does it, too; hardly ever. */
	if (late * 100 > calls || again * 100 > calls) {
		printf("too many answers were late or came again\n");
		return 1;
	}
	return 0;
}
