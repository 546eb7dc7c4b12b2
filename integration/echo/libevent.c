/* SPDX-License-Identifier: MIT */
/* An echo server on libevent's bufferevents: libevent PORT, until SIGTERM.
 * Reading stops while much waits to be written. */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdlib.h>

#define LARGE	(256 << 10)

static void read_some(struct bufferevent *bev, void *arg)
{
	struct evbuffer *out = bufferevent_get_output(bev);

	evbuffer_add_buffer(out, bufferevent_get_input(bev));
	if (evbuffer_get_length(out) > LARGE)
		bufferevent_disable(bev, EV_READ);
}

static void end(struct bufferevent *bev)
{
	if (!evbuffer_get_length(bufferevent_get_output(bev)))
		bufferevent_free(bev);
}

/* arg is not NULL once the peer has sent all. */
static void written(struct bufferevent *bev, void *arg)
{
	if (arg)
		end(bev);
	else
		bufferevent_enable(bev, EV_READ);
}

static void event(struct bufferevent *bev, short what, void *arg)
{
	if (what & BEV_EVENT_ERROR) {
		bufferevent_free(bev);
		return;
	}
	bufferevent_setcb(bev, NULL, written, event, bev);
	end(bev);
}

static void accepted(struct evconnlistener *from, evutil_socket_t fd,
		     struct sockaddr *sa, int len, void *base)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd,
						BEV_OPT_CLOSE_ON_FREE);

	bufferevent_setcb(bev, read_some, written, event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void stop(evutil_socket_t number, short what, void *base)
{
	event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	struct event_base *base = event_base_new();
	struct event *term = evsignal_new(base, SIGTERM, stop, base);
	struct evconnlistener *listener;

	sa.sin_port = htons(atoi(argv[1]));
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	event_add(term, NULL);
	listener = evconnlistener_new_bind(base, accepted, base,
			LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE, 256,
			(struct sockaddr *)&sa, sizeof(sa));
	if (!listener)
		return 1;
	event_base_dispatch(base);
	evconnlistener_free(listener);
	event_free(term);
	event_base_free(base);
	return 0;
}
