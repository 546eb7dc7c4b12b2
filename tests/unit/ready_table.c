/* SPDX-License-Identifier: MIT */
/*
 * Description: readiness as derived from a socket's facts. The rows are the
 * table that was measured on the kernel (the design, section 5).
 */
#include <stdio.h>
#include <string.h>

#include "../../shim/listener.h"
#include "../../shim/ready.h"
#include "unit.h"

#define IN EPOLLIN
#define OUT EPOLLOUT
#define RDHUP EPOLLRDHUP
#define HUP EPOLLHUP
#define ERR EPOLLERR

struct row {
	const char *what;
	struct vsock vs;
	uint32_t want;
};

static const struct row rows[] = {
	{ "connected, idle", { .life = VS_OPEN }, OUT },
	{ "data to read", { .rx_bytes = 1 }, IN | OUT },
	{ "peer FIN", { .eof = true }, IN | OUT | RDHUP },
	{ "peer FIN after data", { .eof = true, .rx_bytes = 9 },
	  IN | OUT | RDHUP },
	{ "we shut WR", { .shut_wr = true }, OUT },
	{ "we shut WR, data to read", { .shut_wr = true, .rx_bytes = 1 },
	  IN | OUT },
	{ "we shut RD", { .shut_rd = true }, IN | OUT | RDHUP },
	{ "we shut both", { .shut_rd = true, .shut_wr = true },
	  IN | OUT | RDHUP | HUP },
	{ "both sides FIN", { .eof = true, .shut_wr = true },
	  IN | OUT | RDHUP | HUP },
	{ "RST arrived", { .reset = true, .err = ECONNRESET },
	  IN | OUT | RDHUP | HUP | ERR },
	{ "RST arrived after data",
	  { .reset = true, .err = ECONNRESET, .rx_bytes = 3 },
	  IN | OUT | RDHUP | HUP | ERR },
	{ "RST, after the failing read", { .reset = true },
	  IN | OUT | RDHUP | HUP },
	{ "an error that ends nothing", { .err = EMSGSIZE }, OUT | ERR },
	{ "queue full", { .tx_bytes = 3000 }, 0 },
	{ "kernel full", { .kernel_full = true }, 0 },
	{ "queue full, data to read", { .tx_bytes = 3000, .rx_bytes = 1 },
	  IN },
	{ "queue full, peer FIN", { .tx_bytes = 3000, .eof = true },
	  IN | RDHUP },
	{ "queue full, RST", { .tx_bytes = 3000, .reset = true, .err = EPIPE },
	  IN | OUT | RDHUP | HUP | ERR },
	{ "kernel full, we shut WR", { .kernel_full = true, .shut_wr = true },
	  OUT },
	{ "a third is free", { .tx_bytes = 2000 }, OUT },
	{ "less than a third is free", { .tx_bytes = 2001 }, 0 },
	{ "a hang-up that was only polled", { .polled = 0x80 },
	  IN | OUT | RDHUP },
	{ "a reset that was only polled", { .polled = 0x98 },
	  IN | OUT | RDHUP | HUP | ERR },
};

static void check_row(void *arg)
{
	const struct row *row = arg;
	struct vsock vs = row->vs;
	uint32_t got;

	vs.life = VS_OPEN;
	vs.limits.send = 3000;
	got = vs_ready(&vs);
	CHECK_EV(got & (IN | OUT | RDHUP | HUP | ERR), row->want);
	/* The kernel sets these beside IN and OUT. */
	CHECK_EQ(!!(got & EPOLLRDNORM), !!(got & IN));
	CHECK_EQ(!!(got & EPOLLWRNORM), !!(got & OUT));
	CHECK_EQ(got & ~(uint32_t)(IN | OUT | RDHUP | HUP | ERR | EPOLLRDNORM |
				   EPOLLWRNORM), 0);
}

static void listening(void *arg)
{
	struct listener l = { .appetite = 1 };
	struct vsock vs = { .life = VS_LISTEN, .listener = &l };

	CHECK_EV(vs_ready(&vs) & (IN | OUT | RDHUP | HUP | ERR), 0);
	l.armed_count = 1;
	CHECK_EV(vs_ready(&vs) & (IN | OUT | RDHUP | HUP | ERR), 0);
	l.queued = 1;
	CHECK_EV(vs_ready(&vs) & (IN | OUT | RDHUP | HUP | ERR), IN);
}

/* SO_RCVLOWAT: fewer bytes are none, an end is an end. */
static void low_water(void *arg)
{
	struct vsock vs = { .life = VS_OPEN, .lowat = 10, .rx_bytes = 9,
			    .limits.send = 3000 };

	CHECK_EV(vs_ready(&vs) & (IN | OUT), OUT);
	vs.rx_bytes = 10;
	CHECK_EV(vs_ready(&vs) & (IN | OUT), IN | OUT);
	vs.rx_bytes = 0;
	vs.eof = true;
	CHECK_EV(vs_ready(&vs) & (IN | OUT | RDHUP), IN | OUT | RDHUP);
}

/* It looks, it does not touch: asked twice it says the same. */
static void pure(void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vsock vs = rows[i].vs, before;
		uint32_t first;

		vs.life = VS_OPEN;
		before = vs;
		first = vs_ready(&vs);
		CHECK_EQ(vs_ready(&vs), first);
		CHECK(!memcmp(&vs, &before, sizeof(vs)));
	}
}

static void packing(void *arg)
{
	static const uint32_t bits[] = { ERR, HUP, RDHUP };

	for (unsigned int set = 0; set < 8; set++) {
		uint32_t mask = 0;

		for (unsigned int i = 0; i < 3; i++)
			mask |= set & 1u << i ? bits[i] : 0;
		CHECK_EV(ready_unpack(ready_pack(mask)), mask);
		CHECK_EV(ready_unpack(ready_pack(mask | IN | OUT)), mask);
	}
}

int main(void)
{
	tap_plan((int)ARRAY_SIZE(rows) + 4);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tap_case(rows[i].what, "", check_row, (void *)&rows[i]);
	tap_case("listening", "", listening, NULL);
	tap_case("SO_RCVLOWAT", "", low_water, NULL);
	tap_case("asking changes nothing", "", pure, NULL);
	tap_case("poll's bits fit a byte and come back", "", packing, NULL);
	return tap_result();
}
