/* SPDX-License-Identifier: MIT */
/* An echo server on libuv's streams: libuv PORT, until SIGTERM. One write at
 * a time; reading stops until it is done. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static uv_loop_t *loop;

struct peer {
	uv_tcp_t tcp;
	uv_write_t write;
	char data[65536];
};

static void closed(uv_handle_t *handle)
{
	free(handle);
}

static void memory(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct peer *peer = (struct peer *)handle;

	*buf = uv_buf_init(peer->data, sizeof(peer->data));
}

static void received(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void written(uv_write_t *write, int status)
{
	if (status < 0)
		uv_close((uv_handle_t *)write->handle, closed);
	else
		uv_read_start(write->handle, memory, received);
}

static void received(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct peer *peer = (struct peer *)stream;
	uv_buf_t out = uv_buf_init(peer->data, got > 0 ? got : 0);

	if (!got)
		return;
	uv_read_stop(stream);
	if (got < 0)
		uv_close((uv_handle_t *)stream, closed);
	else
		uv_write(&peer->write, stream, &out, 1, written);
}

static void connected(uv_stream_t *listener, int status)
{
	struct peer *peer = malloc(sizeof(*peer));

	uv_tcp_init(loop, &peer->tcp);
	if (uv_accept(listener, (uv_stream_t *)&peer->tcp))
		uv_close((uv_handle_t *)&peer->tcp, closed);
	else
		uv_read_start((uv_stream_t *)&peer->tcp, memory, received);
}

static void stop(uv_signal_t *handle, int number)
{
	uv_stop(loop);
}

int main(int argc, char **argv)
{
	struct sockaddr_in sa;
	uv_signal_t term;
	uv_tcp_t listener;

	loop = uv_default_loop();
	uv_ip4_addr("127.0.0.1", atoi(argv[1]), &sa);
	uv_tcp_init(loop, &listener);
	uv_signal_init(loop, &term);
	uv_signal_start(&term, stop, SIGTERM);
	if (uv_tcp_bind(&listener, (struct sockaddr *)&sa, 0) ||
	    uv_listen((uv_stream_t *)&listener, 256, connected))
		return 1;
	uv_run(loop, UV_RUN_DEFAULT);
	return 0;
}
