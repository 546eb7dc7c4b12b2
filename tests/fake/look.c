/* SPDX-License-Identifier: MIT */
/*
 * Description: looking for requests that the fake ring has. See fake.h.
 */
#include "fake.h"

struct fake_req *fake_find(enum fake_op op, unsigned int n)
{
	struct fake_req *req;
	unsigned int i;

	for (i = 0; (req = fake_nth(i)); i++)
		if (req->op == op && !n--)
			return req;
	return NULL;
}

struct fake_req *fake_cookie(uint64_t cookie)
{
	struct fake_req *req;
	unsigned int i;

	for (i = 0; (req = fake_nth(i)); i++)
		if (req->cookie == cookie)
			return req;
	return NULL;
}

bool fake_startable(const struct fake_req *req)
{
	return req->submitted && !req->linked;
}

void ring_accept_now(struct ring *r, uint64_t cookie, int fd,
		     struct sockaddr_storage *addr, socklen_t *len)
{
	ring_accept(r, cookie, fd, addr, len, true);
}
