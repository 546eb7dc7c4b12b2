/* SPDX-License-Identifier: MIT */
/*
 * Description: channels and handles begin, end, and are whose they are.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "native.h"

static char buf[64];

/* --- options -------------------------------------------------------------- */

static int create(struct mp_options options)
{
	struct mp_channel *other = NULL;
	int ret = mp_create(&options, &other);

	if (!ret)
		CHECK_EQ(mp_destroy(other), 0);
	else
		CHECK(!other);
	return ret;
}

static void options(void)
{
	const struct mp_options good = MP_OPTIONS_INIT;
	struct mp_options o = good;
	struct {
		struct mp_options known;
		unsigned int later[4];
	} grown = { MP_OPTIONS_INIT, { 0, 0, 0, 0 } };
	struct mp_channel *other;

	CHECK_EQ(create(good), 0);
	o.size = sizeof(o) - 1;
	CHECK_EQ(create(o), -EINVAL);
	o = good;
	o.batch = 0;
	CHECK_EQ(create(o), -EINVAL);
	o = good;
	o.buffers = 24;
	CHECK_EQ(create(o), -EINVAL);
	o.buffers = 1u << 20;
	CHECK_EQ(create(o), -EINVAL);
	o = good;
	o.flags = 1;
	CHECK_EQ(create(o), -E2BIG);
	/* From a program that knows more than this library. */
	grown.known.size = sizeof(grown);
	CHECK_EQ(mp_create(&grown.known, &other), 0);
	CHECK_EQ(mp_destroy(other), 0);
	grown.later[2] = 1;
	CHECK_EQ(mp_create(&grown.known, &other), -E2BIG);
}

static int refused(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, code };
	struct mp_channel *other;

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	return mp_create(NULL, &other);
}

static void not_there(void)
{
	static const int says[][2] = {
		{ EPERM, -EPERM }, { ENOSYS, -ENOSYS }, { EINVAL, -ENOSYS },
		{ ENOMEM, -ENOMEM }, { EMFILE, -EMFILE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		pid_t pid = MUST(fork());

		if (!pid)
			_exit(refused(says[i][0]) == says[i][1] ? 0 : 1);
		child_ok(pid);
	}
}

/* --- whose it is ---------------------------------------------------------- */

static struct mp_handle *conn;

static void expect_all(int want)
{
	struct iovec iov = { buf, 1 };
	struct mp_completion c;
	struct mp_handle *h;

	CHECK_EQ(mp_register(ch, lfd, NULL, NULL, &h), want);
	CHECK_EQ(mp_accept(listener, 1, lw), want);
	CHECK_EQ(mp_read(conn, buf, 1), want);
	CHECK_EQ(mp_read_stream(conn), want);
	CHECK_EQ(mp_buffer_release(ch, 0), want);
	CHECK_EQ(mp_write(conn, buf, 1), want);
	CHECK_EQ(mp_writev(conn, &iov, 1), want);
	CHECK_EQ(mp_connect(conn, (struct sockaddr *)&addr, sizeof(addr)),
		 want);
	CHECK_EQ(mp_disconnect(conn, SHUT_WR), want);
	CHECK_EQ(mp_to_fd(conn), want);
	CHECK_EQ(mp_unregister(conn), want);
	CHECK_EQ(mp_close(conn), want);
	CHECK_EQ(mp_dispatch(ch, &c, 0), want);
	CHECK_EQ(mp_dispatch(ch, &c, -1), want);
	CHECK_EQ(mp_dispatch_many(ch, &c, 1, -1), want);
	CHECK_EQ(mp_flush(ch), want);
}

static void *in_a_thread(void *arg)
{
	expect_all(-EPERM);
	CHECK_EQ(mp_destroy(ch), -EPERM);
	return NULL;
}

/* One with a channel of its own is no less another. */
static void *in_an_owner(void *arg)
{
	struct mp_channel *own;

	CHECK_EQ(mp_create(NULL, &own), 0);
	in_a_thread(arg);
	CHECK_EQ(mp_destroy(own), 0);
	return NULL;
}

static void still_works(int peer)
{
	CHECK_EQ(mp_read(conn, buf, sizeof(buf)), 0);
	peer_write(peer, "ok", 2);
	CHECK_EQ(native_result(conn, MP_OP_READ), 2);
}

static void wrong_thread(void)
{
	int peer;

	conn = native_accept(&peer, NULL);
	thread_join(thread_start(in_a_thread, NULL));
	thread_join(thread_start(in_an_owner, NULL));
	still_works(peer);
	native_quiet();
	close(peer);
}

static void child(int peer)
{
	struct mp_channel *own;
	struct mp_completion c;
	struct mp_handle *h;

	expect_all(-ECHILD);
	/* A channel of its own, beside what it has inherited. */
	CHECK_EQ(mp_create(NULL, &own), 0);
	expect_all(-ECHILD);
	CHECK_EQ(mp_destroy(ch), 0);
	CHECK_EQ(mp_register(own, lfd, NULL, NULL, &h), 0);
	CHECK_EQ(mp_accept(h, 1, lw), 0);
	close(net_client(&addr));
	CHECK_EQ(mp_dispatch(own, &c, WAIT_MS), 1);
	CHECK_EQ(c.op, MP_OP_ACCEPT);
	CHECK_EQ(mp_destroy(own), 0);
	_exit(0);
}

static void forked(void)
{
	int peer;
	pid_t pid;

	conn = native_accept(&peer, NULL);
	CHECK_EQ(mp_read(conn, buf, sizeof(buf)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	pid = MUST(fork());
	if (!pid)
		child(peer);
	child_ok(pid);
	peer_write(peer, "on", 2);
	CHECK_EQ(native_result(conn, MP_OP_READ), 2);
	still_works(peer);
	close(peer);
}

static void *make_and_leave(void *arg)
{
	CHECK_EQ(mp_create(NULL, arg), 0);
	return NULL;
}

static void owner_has_ended(void)
{
	struct mp_channel *left = NULL;
	struct mp_completion c;

	thread_join(thread_start(make_and_leave, &left));
	/* A joined thread may be seen a moment longer. */
	CHECK_EQ(mp_dispatch(left, &c, 0), -EPERM);
	UNTIL(mp_destroy(left) == 0);
}

/* --- two at a time -------------------------------------------------------- */

#define ROUNDS 2000

static void *echo(void *arg)
{
	struct mp_channel *own;
	struct mp_completion c;
	struct mp_handle *h;
	char b[8];
	int fd = *(int *)arg, done = 0;

	CHECK_EQ(mp_create(NULL, &own), 0);
	CHECK_EQ(mp_register(own, fd, NULL, NULL, &h), 0);
	CHECK_EQ(mp_read(h, b, sizeof(b)), 0);
	while (!done) {
		CHECK_EQ(mp_dispatch(own, &c, WAIT_MS), 1);
		if (c.op == MP_OP_READ && c.result > 0)
			CHECK_EQ(mp_write(h, b, (size_t)c.result), 0);
		else if (c.op == MP_OP_WRITE)
			CHECK_EQ(mp_read(h, b, sizeof(b)), 0);
		else if (c.op == MP_OP_READ)
			CHECK_EQ(mp_close(h), 0);
		else
			done = 1;
	}
	CHECK_EQ(mp_destroy(own), 0);
	return NULL;
}

static void two_channels(void)
{
	pthread_t threads[2];
	int ours[2], peers[2], i, round;

	for (i = 0; i < 2; i++) {
		peers[i] = net_client(&addr);
		net_nonblock(lfd, false);
		ours[i] = MUST(accept(lfd, NULL, NULL));
		threads[i] = thread_start(echo, &ours[i]);
	}
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 2; i++)
			peer_write(peers[i], i ? "pong" : "ping", 4);
		for (i = 0; i < 2; i++)
			peer_expect(peers[i], i ? "pong" : "ping");
	}
	for (i = 0; i < 2; i++) {
		close(peers[i]);
		thread_join(threads[i]);
	}
}

/* --- dispatch ------------------------------------------------------------- */

static void on_alarm(int sig)
{
}

static void waits(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval in = { { 0, 30000 }, { 0, 30000 } }, off = { 0 };
	struct mp_completion c;
	long long start = tap_now_ms();

	CHECK_EQ(mp_dispatch(ch, &c, 0), 0);
	CHECK_EQ(mp_dispatch(ch, &c, 40), 0);
	CHECK(tap_now_ms() - start >= 39);
	CHECK_EQ(mp_dispatch_many(ch, &c, 0, 0), -EINVAL);
	MUST(sigaction(SIGALRM, &act, NULL));
	MUST(setitimer(ITIMER_REAL, &in, NULL));
	CHECK_EQ(mp_dispatch(ch, &c, -1), -EINTR);
	MUST(setitimer(ITIMER_REAL, &off, NULL));
}

/* Each call, as it succeeds and as it fails. */
static void succeeding(struct mp_channel *own, int sock)
{
	struct iovec iov = { buf, 1 };
	struct mp_completion c[4];
	struct mp_handle *h;

	mp_register(own, sock, NULL, NULL, &h);
	mp_write(h, "x", 1);
	mp_writev(h, &iov, 1);
	mp_read(h, buf, 1);
	mp_read_stream(h);
	mp_flush(own);
	mp_dispatch_many(own, c, 4, 10);
	mp_to_fd(h);
	mp_unregister(h);
	mp_register(own, sock, NULL, NULL, &h);
	mp_disconnect(h, SHUT_RDWR);
	mp_close(h);
	while (mp_dispatch(own, c, 50) > 0)
		;
}

static void failing(struct mp_channel *own)
{
	struct mp_cpu_mask mask = { { 1 } };
	struct sockaddr_in nowhere = addr;
	struct mp_options options = MP_OPTIONS_INIT;
	struct mp_channel *none;
	struct mp_completion c;
	struct mp_handle *h;

	nowhere.sin_port = 0;
	options.batch = 0;
	mp_create(&options, &none);
	mp_register(own, -1, NULL, NULL, &h);
	mp_register(own, 99999, NULL, &mask, &h);
	mp_register(own, 99999, NULL, NULL, &h);
	mp_accept(h, 1, lw);
	mp_connect(h, (struct sockaddr *)&nowhere, sizeof(nowhere));
	mp_write(h, buf, 1);
	mp_read(h, buf, 1);
	mp_read(h, buf, 0);
	mp_disconnect(h, 9);
	mp_disconnect(h, SHUT_WR);
	mp_buffer_release(own, 0);
	mp_dispatch_many(own, &c, 0, 0);
	mp_close(h);
	mp_close(h);
	while (mp_dispatch(own, &c, 50) > 0)
		;
}

static void errno_is_the_callers(void)
{
	struct mp_cpu_mask mask = { { 1 } };
	struct mp_completion c;
	struct mp_handle *h;
	struct mp_channel *own;
	int peer, sock;

	conn = native_accept(&peer, NULL);
	sock = MUST(dup(peer));
	errno = 4711;
	mp_create(NULL, &own);
	succeeding(own, sock);
	failing(own);
	mp_destroy(own);
	CHECK_EQ(errno, 4711);
	native_settle();
	errno = 4711;
	mp_register(ch, lfd, NULL, &mask, &h);
	mp_accept(h, 3, lw);
	mp_accept(listener, 3, lw);
	mp_flush(ch);
	mp_unregister(listener);
	mp_close(h);
	mp_to_fd(conn);
	mp_close(conn);
	while (mp_dispatch(ch, &c, 50) > 0)
		;
	CHECK_EQ(errno, 4711);
	lfd = -1;
	close(peer);
}

/* --- unregister ----------------------------------------------------------- */

static void unregister_cancels(void)
{
	char mine[8] = "before";
	int peer, fd;

	conn = native_accept(&peer, NULL);
	fd = mp_to_fd(conn);
	/* One in the kernel, one behind it, one written and not dispatched. */
	CHECK_EQ(mp_write(conn, "w", 1), 0);
	CHECK_EQ(mp_read(conn, mine, sizeof(mine)), 0);
	CHECK_EQ(mp_read(conn, mine, sizeof(mine)), 0);
	CHECK_EQ(mp_flush(ch), 0);
	peer_expect(peer, "w");
	CHECK_EQ(mp_unregister(conn), 0);
	native_quiet();
	peer_write(peer, "after", 5);
	native_quiet();
	CHECK_MEM(mine, "before", 6);
	/* The socket is the caller's, and all bytes are there. */
	CHECK_EQ(MUST(read(fd, buf, sizeof(buf))), 5);
	CHECK_MEM(buf, "after", 5);
	close(fd);
	peer_eof(peer);
	close(peer);
}

/* A lightweight socket without a handle waits for one. */
static void register_again(void)
{
	struct mp_completion c;
	struct mp_handle *h, *none;
	int peer = net_client(&addr), i;

	CHECK_EQ(mp_accept(listener, 1, lw), 0);
	c = native_expect(listener, MP_OP_ACCEPT);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &h), 0);
		if (lw)
			CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &none),
				 -EBADF);
		CHECK_EQ(mp_write(h, "x", 1), 0);
		CHECK_EQ(native_result(h, MP_OP_WRITE), 1);
		peer_expect(peer, "x");
		CHECK_EQ(mp_unregister(h), 0);
	}
	CHECK_EQ(mp_register(ch, MP_LWSOCKET | 1000000, NULL, NULL, &none),
		 -EBADF);
	CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &h), 0);
	CHECK_EQ(mp_close(h), 0);
	CHECK_EQ(native_result(h, MP_OP_CLOSE), 0);
	if (lw)
		CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &none), -EBADF);
	peer_eof(peer);
	close(peer);
}

/* What the kernel has in its queue stays there; what was dispatched, lives. */
static void unregister_a_listener(void)
{
	struct mp_completion c;
	struct mp_handle *h;
	int a, b, fd, i;

	CHECK_EQ(mp_accept(listener, 2, lw), 0);
	CHECK_EQ(mp_flush(ch), 0);
	a = net_client(&addr);
	c = native_expect(listener, MP_OP_ACCEPT);
	CHECK_EQ(mp_register(ch, c.result, NULL, NULL, &h), 0);
	b = net_client(&addr);
	CHECK_EQ(mp_unregister(listener), 0);
	fd = MUST(accept(lfd, NULL, NULL));
	CHECK_EQ(MUST(write(fd, "z", 1)), 1);
	peer_expect(b, "z");
	close(fd);
	close(b);
	CHECK_EQ(mp_write(h, "y", 1), 0);
	CHECK_EQ(native_result(h, MP_OP_WRITE), 1);
	peer_expect(a, "y");
	native_quiet();
	for (i = 0; i < 50; i++) {
		CHECK_EQ(mp_register(ch, lfd, NULL, NULL, &listener), 0);
		CHECK_EQ(mp_accept(listener, 40, lw), 0);
		CHECK_EQ(mp_flush(ch), 0);
		CHECK_EQ(mp_unregister(listener), 0);
	}
	close(a);
}

/* Each of these may have swallowed the wake-up for a connection that another
 * channel waits for. */
static void leave(int how, struct mp_channel *first, struct mp_handle *h)
{
	struct mp_completion c;

	if (how == 0) {
		CHECK_EQ(mp_unregister(h), 0);
	} else if (how == 1) {
		CHECK_EQ(mp_close(h), 0);
		do {
			CHECK_EQ(mp_dispatch(first, &c, WAIT_MS), 1);
			if (c.op == MP_OP_ACCEPT)
				close(c.result);
		} while (c.op != MP_OP_CLOSE);
	}
	CHECK_EQ(mp_destroy(first), 0);
	native_settle();
}

static void others_wait_too(void)
{
	struct mp_channel *first;
	struct mp_handle *h;
	int how, peer;

	for (how = 0; how < 3; how++) {
		CHECK_EQ(mp_create(NULL, &first), 0);
		CHECK_EQ(mp_register(first, dup(lfd), NULL, NULL, &h), 0);
		CHECK_EQ(mp_accept(h, 1, 0), 0);
		CHECK_EQ(mp_flush(first), 0);
		CHECK_EQ(mp_accept(listener, 1, 0), 0);
		CHECK_EQ(mp_flush(ch), 0);
		peer = net_client(&addr);
		leave(how, first, h);
		/* Close may have taken it: there is another. */
		if (how == 1)
			close(net_client(&addr));
		close(native_expect(listener, MP_OP_ACCEPT).result);
		close(peer);
	}
}

/* Beyond the table, connections get descriptors. */
static void few_lwsockets(void)
{
	struct mp_options o = MP_OPTIONS_INIT;
	struct mp_completion c;
	int peers[10], i, slots = 0;

	CHECK_EQ(mp_destroy(ch), 0);
	native_settle();
	o.lwsockets = lw ? 4 : 0;
	CHECK_EQ(mp_create(&o, &ch), 0);
	CHECK_EQ(mp_register(ch, lfd, NULL, NULL, &listener), 0);
	CHECK_EQ(mp_accept(listener, 10, 1), 0);
	for (i = 0; i < 10; i++) {
		peers[i] = net_client(&addr);
		c = native_expect(listener, MP_OP_ACCEPT);
		CHECK(c.result >= 0);
		slots += !!(c.result & MP_LWSOCKET);
		if (!(c.result & MP_LWSOCKET))
			close(c.result);
	}
	CHECK_EQ(slots, lw ? 4 : 0);
	for (i = 0; i < 10; i++)
		close(peers[i]);
}

/* An error ends what has not begun, and accept can be asked for again. */
static void no_descriptors(void)
{
	struct rlimit lim, none;
	struct mp_completion c;
	int peer, low;

	CHECK_EQ(mp_accept(listener, 1, 0), 0);
	peer = net_client(&addr);
	low = MUST(dup(peer));
	close(low);
	MUST(getrlimit(RLIMIT_NOFILE, &lim));
	none = lim;
	none.rlim_cur = (rlim_t)low;
	MUST(setrlimit(RLIMIT_NOFILE, &none));
	c = native_expect(listener, MP_OP_ACCEPT);
	MUST(setrlimit(RLIMIT_NOFILE, &lim));
	CHECK_EQ(c.result, -EMFILE);
	CHECK_EQ(c.more, 0);
	CHECK_EQ(mp_accept(listener, 1, 0), 0);
	c = native_expect(listener, MP_OP_ACCEPT);
	CHECK(c.result >= 0);
	close(c.result);
	close(peer);
}

static const struct native_case cases[] = {
	{ "options: their size, values, and those of later releases",
	  options },
	{ "no io_uring here: it is said", not_there },
	{ "another thread is refused by each call", wrong_thread },
	{ "a forked child is refused, and can begin anew", forked },
	{ "a channel whose thread has ended can be ended", owner_has_ended },
	{ "two channels on two threads", two_channels },
	{ "dispatch waits as long as asked, and for signals", waits },
	{ "errno is left alone", errno_is_the_callers },
	{ "unregister cancels what waits", unregister_cancels },
	{ "register again after unregister", register_again },
	{ "unregister a listener with what it took", unregister_a_listener },
	{ "a listener that others wait on is left", others_wait_too },
	{ "more connections than lightweight sockets", few_lwsockets },
	{ "no descriptor is left for a connection", no_descriptors },
};

NATIVE_MAIN(cases)
