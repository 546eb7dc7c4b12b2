/* SPDX-License-Identifier: MIT */
/*
 * Errors of a connection that are told once: by a call, or by SO_ERROR.
 *
 * Owns: who has it, a receive of ours (vs->err) or still the kernel.
 * Called by: io, tx, option. The socket's lock is held.
 */
#include "epset.h"
#include "handover.h"
#include "vsock.h"

/* SO_ERROR of the kernel: the error, which is taken there; 0 when there is
 * none, or no way to ask. */
static int kernel_error(struct vsock *vs)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (vs->depth == DEPTH_LW && vs_mine(vs) &&
	    chan_caps(vs->th->ch)->sockopt)
		chan_call_getsockopt(vs->th->ch, vs_file(vs), SO_ERROR, &err,
				     sizeof(err));
	else if (vs_materialise(vs, STAT_mat_option))
		return 0;		/* it may be gone */
	else
		sys_getsockopt(vs->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	vs->kernel_err = false;
	return err;
}

void vs_refuse(struct vsock *vs)
{
	vs->polled &= (uint8_t)~EPOLLERR;
	vs->kernel_err = false;
	if (vs->refused || vs->reset)
		return;
	vs->refused = true;
	vs->in_edge++;
	vs->out_edge++;
	ep_notify(vs);
}

/* Most errors end the connection, but there are soft ones: what is the case is
 * asked. */
void vs_note_error(struct vsock *vs)
{
	int now = vs_materialise(vs, STAT_mat_option) ? 0 :
			  sys_poll_now(vs->fd, 0);

	if (now > 0 && now & POLLHUP)
		vs_refuse(vs);
}

int vs_take_error(struct vsock *vs)
{
	int err = vs->err;

	vs->err = 0;
	vs->polled &= (uint8_t)~EPOLLERR;
	if (!err && unlikely(vs->kernel_err))
		err = vs_ask_error(vs);
	return err;
}

int vs_ask_error(struct vsock *vs)
{
	int err = kernel_error(vs);

	if (unlikely(err))
		vs_note_error(vs);
	return err;
}
