/* SPDX-License-Identifier: MIT */
/* See direct.h. */
#include "direct.h"
#include "shim.h"
#include "sys.h"

int direct_recv(int fd, struct msghdr *msg, int flags)
{
	const struct iovec *one = msg->msg_iov;

	flags |= MSG_DONTWAIT;
	if (msg->msg_iovlen == 1)
		return (int)sys_call6(SYS_recvfrom, fd, (long)one->iov_base,
				      (long)one->iov_len, flags, 0, 0);
	return (int)sys_call3(SYS_recvmsg, fd, msg, flags);
}

int direct_send(int fd, const struct msghdr *msg, int flags)
{
	const struct iovec *one = msg->msg_iov;

	flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
	if (msg->msg_iovlen == 1)
		return (int)sys_call6(SYS_sendto, fd, (long)one->iov_base,
				      (long)one->iov_len, flags, 0, 0);
	return (int)sys_call3(SYS_sendmsg, fd, msg, flags);
}
