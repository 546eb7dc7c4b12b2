/* SPDX-License-Identifier: MIT */
/*
 * Description: the life of a connection without a descriptor on a real ring:
 * accepted into a slot, received from, sent to, closed, installed.
 */
#include <fcntl.h>

#include "real_ring.h"

enum { ACCEPT = 1, RECV, SEND, CLOSE, INSTALL };

static struct sockaddr_in where;
static struct sockaddr_storage name;
static socklen_t name_len;
static int lfd, peer;

/* A connection in a slot: its number in the ring. */
static struct chan_file accepted(void)
{
	struct ring_event ev;

	if (!ring_caps(ring)->slots)
		tap_skip("this kernel has no way back from a slot");
	lfd = real_listen(&where);
	ring_accept(ring, ACCEPT, lfd, &name, &name_len, true);
	CHECK_EQ(ring_submit(ring), 1);
	peer = real_connect(&where);
	ev = real_wait(ACCEPT);
	CHECK(ev.res >= 0);
	CHECK(ev.res < (int)ring_caps(ring)->slots);
	return (struct chan_file){ .fd = ev.res, .lw = true };
}

static void finish(struct chan_file f)
{
	ring_close_file(ring, CLOSE, f, 0);
	CHECK_EQ(real_wait(CLOSE).res, 0);
	MUST(close(peer));
	MUST(close(lfd));
}

static void peer_gets(const char *text)
{
	size_t len = strlen(text), n = 0;
	char got[64];

	while (n < len)
		n += (size_t)MUST(read(peer, got + n, len - n));
	CHECK_MEM(got, text, len);
}

static void no_descriptor(void)
{
	int before = tap_count_fds();
	struct chan_file f = accepted();
	struct sockaddr_in own;
	socklen_t len = sizeof(own);

	CHECK_EQ(tap_count_fds(), before + 2);
	MUST(getsockname(peer, (struct sockaddr *)&own, &len));
	CHECK_EQ(name_len, sizeof(own));
	CHECK_MEM(&name, &own, 8);
	finish(f);
	CHECK_EQ(tap_count_fds(), before);
}

/* Only what is there already. */
static void accept_now(void)
{
	struct chan_file f = accepted();
	int second;

	ring_accept_now(ring, ACCEPT, lfd, &name, &name_len);
	CHECK_EQ(real_wait(ACCEPT).res, -EAGAIN);
	second = real_connect(&where);
	ring_accept_now(ring, ACCEPT, lfd, &name, &name_len);
	CHECK_EQ(ring_submit(ring), 1);
	CHECK(real_wait(ACCEPT).res >= 0);
	MUST(close(second));
	finish(f);
}

static void receive(void)
{
	struct chan_file f = accepted();
	struct ring_event ev;

	ring_recv(ring, RECV, f, REAL_GROUP, false);
	CHECK_EQ(ring_submit(ring), 1);
	CHECK_EQ(MUST(write(peer, "hello", 5)), 5);
	ev = real_wait(RECV);
	CHECK_EQ(ev.res, 5);
	CHECK(ev.flags & RING_F_BUFFER);
	CHECK(!(ev.flags & RING_F_MORE));
	CHECK_MEM(bufring_data(&buffers, ev.buffer), "hello", 5);
	bufring_take(&buffers);
	bufring_put(&buffers, ev.buffer);
	MUST(shutdown(peer, SHUT_WR));
	ring_recv(ring, RECV, f, REAL_GROUP, false);
	CHECK_EQ(real_wait(RECV).res, 0);
	finish(f);
}

static void receive_stream(void)
{
	struct chan_file f = accepted();
	struct ring_event ev;

	ring_recv(ring, RECV, f, REAL_GROUP, true);
	CHECK_EQ(ring_submit(ring), 1);
	for (int i = 0; i < 20; i++) {
		char c = (char)('a' + i);

		CHECK_EQ(MUST(write(peer, &c, 1)), 1);
		ev = real_wait(RECV);
		CHECK_EQ(ev.res, 1);
		CHECK(ev.flags & RING_F_MORE);
		CHECK_EQ(*bufring_data(&buffers, ev.buffer), c);
		bufring_take(&buffers);
		bufring_put(&buffers, ev.buffer);
	}
	MUST(shutdown(peer, SHUT_WR));
	ev = real_wait(RECV);
	CHECK_EQ(ev.res, 0);
	CHECK(!(ev.flags & RING_F_MORE));
	finish(f);
}

/* All buffers lent: -ENOBUFS, and nothing is lost. */
static void receive_starved(void)
{
	struct chan_file f = accepted();
	struct ring_event ev[8];

	for (int i = 0; i < 8; i++) {
		CHECK_EQ(MUST(write(peer, "x", 1)), 1);
		ring_recv(ring, RECV, f, REAL_GROUP, false);
		ev[i] = real_wait(RECV);
		CHECK_EQ(ev[i].res, 1);
		bufring_take(&buffers);
	}
	CHECK_EQ(MUST(write(peer, "late", 4)), 4);
	ring_recv(ring, RECV, f, REAL_GROUP, false);
	CHECK_EQ(real_wait(RECV).res, -ENOBUFS);
	for (int i = 0; i < 8; i++)
		bufring_put(&buffers, ev[i].buffer);
	ring_recv(ring, RECV, f, REAL_GROUP, false);
	ev[0] = real_wait(RECV);
	CHECK_EQ(ev[0].res, 4);
	bufring_take(&buffers);
	bufring_put(&buffers, ev[0].buffer);
	finish(f);
}

/* Send and close in one go: the peer gets the bytes, then the end. */
static void send_close(void)
{
	struct chan_file f = accepted();
	char c;

	ring_send(ring, SEND, f, "goodbye", 7, MSG_WAITALL | MSG_MORE,
		  RING_LINK);
	ring_close_file(ring, CLOSE, f, 0);
	CHECK_EQ(ring_submit(ring), 2);
	CHECK_EQ(real_wait(SEND).res, 7);
	CHECK_EQ(real_wait(CLOSE).res, 0);
	peer_gets("goodbye");
	CHECK_EQ(MUST(read(peer, &c, 1)), 0);
	MUST(close(peer));
	MUST(close(lfd));
}

static void send_parts(void)
{
	struct iovec iov[3] = { { "a", 1 }, { "bc", 2 }, { "def", 3 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	struct chan_file f = accepted();

	ring_sendv(ring, SEND, f, &msg, MSG_WAITALL, 0);
	CHECK_EQ(ring_submit(ring), 1);
	memset(iov, 0, sizeof(iov));
	CHECK_EQ(real_wait(SEND).res, 6);
	peer_gets("abcdef");
	finish(f);
}

/* The way back: a descriptor of the same socket, and both work. */
static void install(void)
{
	struct chan_file f = accepted();
	int fd;

	ring_install(ring, INSTALL, f.fd);
	fd = real_wait(INSTALL).res;
	CHECK(fd >= 0);
	CHECK_EQ(MUST(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	CHECK(MUST(fcntl(fd, F_GETFL)) & O_NONBLOCK);
	CHECK_EQ(MUST(write(fd, "one", 3)), 3);
	ring_send(ring, SEND, f, "two", 3, 0, 0);
	CHECK_EQ(real_wait(SEND).res, 3);
	peer_gets("onetwo");
	finish(f);
	MUST(close(fd));
}

/* A connection that waits does not hold another one's end back. */
static void closes_beside_another(void)
{
	struct chan_file idle = accepted(), f;
	int idle_peer = peer, idle_lfd = lfd;
	char c;

	ring_recv(ring, RECV, idle, REAL_GROUP, true);
	CHECK_EQ(ring_submit(ring), 1);
	f = accepted();
	ring_close_file(ring, CLOSE, f, 0);
	CHECK_EQ(ring_submit(ring), 1);
	CHECK_EQ(real_wait(CLOSE).res, 0);
	CHECK_EQ(MUST(read(peer, &c, 1)), 0);
	MUST(close(peer));
	MUST(close(lfd));
	peer = idle_peer;
	lfd = idle_lfd;
	ring_cancel(ring, 0, RECV);
	CHECK_EQ(real_wait(RECV).res, -ECANCELED);
	finish(idle);
}

static void slot_is_free_again(void)
{
	struct chan_file f;

	for (int i = 0; i < 40; i++) {
		f = accepted();
		finish(f);
	}
}

static const struct unit_case cases[] = {
	{ "accepted with its name and no descriptor", no_descriptor },
	{ "accepted only when one waits", accept_now },
	{ "receives bytes, then the end", receive },
	{ "receives a stream", receive_stream },
	{ "receives nothing without buffers, and loses nothing",
	  receive_starved },
	{ "sends and closes", send_close },
	{ "sends parts, whose list may go", send_parts },
	{ "gets a descriptor", install },
	{ "closes at once beside one that waits", closes_beside_another },
	{ "gives its slot back", slot_is_free_again },
};

REAL_MAIN(cases)
