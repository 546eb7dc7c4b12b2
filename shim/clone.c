/* SPDX-License-Identifier: MIT */
/* See clone.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <string.h>

#include "clone.h"
#include "fdtable.h"

/* Younger than Debian 12's headers, or not in libc's: include/uapi/linux. */
#define CLONE_SO_BUF_LOCK		72
#define CLONE_IP_LOCAL_PORT_RANGE	51
#define CLONE_IPV6_MINHOPCOUNT		73
#define CLONE_IPV6_TRANSPARENT		75
#define CLONE_IPV6_FREEBIND		78

/* What connections inherit, and what bind() and listen() look at. */
static const struct { int level, name; } copied[] = {
	{ SOL_SOCKET, SO_DEBUG },
	{ SOL_SOCKET, SO_REUSEADDR },
	{ SOL_SOCKET, SO_DONTROUTE },
	{ SOL_SOCKET, SO_SNDBUF },
	{ SOL_SOCKET, SO_RCVBUF },
	{ SOL_SOCKET, CLONE_SO_BUF_LOCK },
	{ SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_OOBINLINE },
	{ SOL_SOCKET, SO_PRIORITY },
	{ SOL_SOCKET, SO_LINGER },
	{ SOL_SOCKET, SO_RCVLOWAT },
	{ SOL_SOCKET, SO_RCVTIMEO },
	{ SOL_SOCKET, SO_SNDTIMEO },
	{ SOL_SOCKET, SO_BINDTODEVICE },
	{ SOL_SOCKET, SO_MARK },
	{ SOL_SOCKET, SO_TIMESTAMP },
	{ SOL_SOCKET, SO_TIMESTAMPNS },
	{ SOL_SOCKET, SO_TIMESTAMPING },
	{ SOL_SOCKET, SO_BUSY_POLL },
	{ SOL_SOCKET, SO_MAX_PACING_RATE },
	{ SOL_SOCKET, SO_ZEROCOPY },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE },
	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_MAXSEG },
	{ IPPROTO_TCP, TCP_CORK },
	{ IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_TCP, TCP_SYNCNT },
	{ IPPROTO_TCP, TCP_LINGER2 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP },
	{ IPPROTO_TCP, TCP_CONGESTION },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS },
	{ IPPROTO_TCP, TCP_FASTOPEN },
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT },
	{ IPPROTO_TCP, TCP_SAVE_SYN },
	{ IPPROTO_TCP, TCP_INQ },
	{ IPPROTO_IP, IP_TOS },
	{ IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_MTU_DISCOVER },
	{ IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IP, IP_TRANSPARENT },
	{ IPPROTO_IP, IP_RECVERR },
	{ IPPROTO_IP, IP_MINTTL },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT },
	{ IPPROTO_IP, CLONE_IP_LOCAL_PORT_RANGE },
	{ IPPROTO_IPV6, IPV6_V6ONLY },
	{ IPPROTO_IPV6, IPV6_TCLASS },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER },
	{ IPPROTO_IPV6, IPV6_RECVERR },
	{ IPPROTO_IPV6, IPV6_DONTFRAG },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL },
	{ IPPROTO_IPV6, CLONE_IPV6_MINHOPCOUNT },
	{ IPPROTO_IPV6, CLONE_IPV6_TRANSPARENT },
	{ IPPROTO_IPV6, CLONE_IPV6_FREEBIND },
};

#define COPIED (sizeof(copied) / sizeof(copied[0]))

/* The longest: two timeval, names of a device and of congestion control. */
union value {
	char bytes[64];
	int number;
};

/* What can't be read back, and so not be copied: a socket of this process has
 * such an option. */
static bool any_odd;

void clone_note_option(int level, int name)
{
	if ((level == SOL_SOCKET &&
	     (name == SO_ATTACH_FILTER || name == SO_ATTACH_BPF)) ||
	    (level == IPPROTO_TCP &&
	     (name == TCP_MD5SIG || name == TCP_MD5SIG_EXT ||
	      name == TCP_FASTOPEN_KEY || name == TCP_ULP ||
	      name >= 38 /* TCP_AO_ADD_KEY and what comes after it */)) ||
	    (level == IPPROTO_IP && name == IP_OPTIONS))
		__atomic_store_n(&any_odd, true, __ATOMIC_RELAXED);
}

/* --- options --------------------------------------------------------- */

static int option_of(int fd, size_t i, union value *v)
{
	socklen_t len = sizeof(*v);
	int ret;

	memset(v, 0, sizeof(*v));
	ret = sys_getsockopt(fd, copied[i].level, copied[i].name, v, &len);
	return ret < 0 ? ret : (int)len;
}

static bool same_option(int a, int b, size_t i, union value *want)
{
	union value other;

	return option_of(a, i, want) == option_of(b, i, &other) &&
	       !memcmp(want, &other, sizeof(other));
}

/* Sizes of buffers are told doubled (socket(7)). */
static int set_option(int fd, size_t i, const union value *v, int len)
{
	union value half = *v;

	if (copied[i].level == SOL_SOCKET &&
	    (copied[i].name == SO_SNDBUF || copied[i].name == SO_RCVBUF))
		half.number /= 2;
	return sys_setsockopt(fd, copied[i].level, copied[i].name, &half,
			      (socklen_t)len);
}

static int copy_options(int from, int to)
{
	union value want;
	size_t i;

	for (i = 0; i < COPIED; i++) {
		if (same_option(from, to, i, &want))
			continue;
		set_option(to, i, &want, option_of(from, i, &want));
		if (!same_option(from, to, i, &want))
			return -EOPNOTSUPP;
	}
	return 0;
}

static int number_option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return sys_getsockopt(fd, level, name, &value, &len) < 0 ? 0 : value;
}

static int set_number(int fd, int level, int name, int value)
{
	return sys_setsockopt(fd, level, name, &value, sizeof(value));
}

/* --- one socket ------------------------------------------------------ */

struct address {
	struct sockaddr_in6 sa;		/* or struct sockaddr_in */
	socklen_t len;
};

static int address_of(int fd, struct address *a)
{
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->sa);
	return (int)sys_call3(SYS_getsockname, fd, &a->sa, &a->len);
}

static int new_socket(int family)
{
	return (int)sys_call3(SYS_socket, family,
			      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int bind_to(int fd, const struct address *a)
{
	return (int)sys_call3(SYS_bind, fd, &a->sa, a->len);
}

int clone_hide(int fd)
{
	int hidden = fd < 0 ? fd : fd_hide(fd);

	if (fd < 0 || hidden != fd)
		return hidden;
	fd_unhide(fd);
	sys_close(fd);
	return -EMFILE;
}

/* A socket at the address of *like*, which others may share. */
static int bound_socket(int like, const struct address *a, bool reuse_address)
{
	int fd = new_socket(a->sa.sin6_family), ret;

	if (fd < 0)
		return fd;
	ret = copy_options(like, fd);
	if (!ret && reuse_address)
		ret = set_number(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!ret)
		ret = set_number(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!ret)
		ret = bind_to(fd, a);
	if (!ret)
		return fd;
	sys_close(fd);
	return ret;
}

static int listening_socket(int like, const struct address *a, int backlog)
{
	int fd = clone_hide(bound_socket(like, a, false)), ret;

	if (fd < 0)
		return fd;
	ret = (int)sys_call3(SYS_listen, fd, backlog, 0);
	if (!ret)
		return fd;
	fd_unhide(fd);
	sys_close(fd);
	return ret;
}

/* --- the door -------------------------------------------------------- */

/* Who binds a port is compared with the sockets that have it, but not if the
 * last one that was bound there could be joined (inet_csk_get_port()). So a
 * guard that can't be joined holds the port, and a last one is bound that
 * can't be joined either: with the right to repair connections at the same
 * address, without it at another address of the machine. */

static bool can_repair(int fd)
{
	return !set_number(fd, IPPROTO_TCP, TCP_REPAIR, 1);
}

static bool is_any(const struct address *a)
{
	static const struct in6_addr any;
	const struct sockaddr_in *v4 = (const void *)&a->sa;

	return a->sa.sin6_family == AF_INET ?
		       !v4->sin_addr.s_addr :
		       !memcmp(&a->sa.sin6_addr, &any, sizeof(any));
}

/* An address that takes nothing from the listener's: 127.83.71.*i*, or ::1. */
static bool other_address(int fd, const struct address *a, unsigned int i,
			  struct address *other)
{
	struct sockaddr_in *v4 = (void *)&other->sa;
	bool is_v4 = a->sa.sin6_family == AF_INET;

	memset(other, 0, sizeof(*other));
	if (is_v4 && is_any(a)) {
		other->sa.sin6_family = AF_INET6;
		other->sa.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
		other->len = sizeof(other->sa);
	} else {
		if (is_any(a) && !number_option(fd, IPPROTO_IPV6, IPV6_V6ONLY))
			return false;
		v4->sin_family = AF_INET;
		v4->sin_addr.s_addr = htonl(0x7f534701 + i);
		other->len = sizeof(*v4);
	}
	/* The port is at the same place in both. */
	other->sa.sin6_port = a->sa.sin6_port;
	return true;
}

static bool bind_other(int fd, const struct address *a)
{
	struct address other;
	unsigned int i;
	int sock, ret = -1;

	for (i = 0; i < 4 && ret < 0; i++) {
		if (!other_address(fd, a, i, &other))
			return false;
		sock = new_socket(other.sa.sin6_family);
		if (sock < 0)
			return false;
		if (other.sa.sin6_family == AF_INET6)
			set_number(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		ret = bind_to(sock, &other);
		sys_close(sock);
	}
	return !ret;
}

static bool bind_repaired(int fd, const struct address *a)
{
	int sock = new_socket(a->sa.sin6_family), ret;

	if (sock < 0)
		return false;
	ret = copy_options(fd, sock);
	if (!ret && can_repair(sock))
		ret = bind_to(sock, a);
	else
		ret = -EPERM;
	sys_close(sock);
	return !ret;
}

/* As a stranger who asks for all that can be asked for. */
static bool is_closed(int fd, const struct address *a)
{
	int sock = bound_socket(fd, a, true);

	if (sock >= 0)
		sys_close(sock);
	return sock == -EADDRINUSE;
}

static int close_door(int fd, const struct address *a)
{
	int guard = clone_hide(bound_socket(fd, a, true));

	if (guard < 0)
		return guard;
	set_number(guard, SOL_SOCKET, SO_REUSEPORT, 0);
	set_number(guard, SOL_SOCKET, SO_REUSEADDR, 0);
	if ((bind_repaired(fd, a) || bind_other(fd, a)) && is_closed(fd, a))
		return guard;
	fd_unhide(guard);
	sys_close(guard);
	return -EADDRNOTAVAIL;
}

/* --- together -------------------------------------------------------- */

static bool has_odd_options(int fd)
{
	socklen_t filter = 0;

	return __atomic_load_n(&any_odd, __ATOMIC_RELAXED) ||
	       number_option(fd, SOL_SOCKET, SO_REUSEPORT) ||
	       number_option(fd, SOL_SOCKET, SO_INCOMING_CPU) >= 0 ||
	       sys_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &filter) ||
	       filter;
}

int clone_possible(int fd)
{
	int flags = sys_fcntl(fd, F_GETFL, 0), scratch;
	struct address a;
	bool closable;

	if (flags < 0 || !(flags & O_NONBLOCK) || flags & O_ASYNC ||
	    has_odd_options(fd))
		return -EOPNOTSUPP;
	if (address_of(fd, &a) < 0)
		return -EBADF;
	scratch = new_socket(a.sa.sin6_family);
	if (scratch < 0)
		return scratch;
	closable = can_repair(scratch) || bind_other(fd, &a);
	sys_close(scratch);
	return closable ? 0 : -EPERM;
}

int clone_listener(int fd, int backlog, int *clones, unsigned int count,
		   int *guard)
{
	struct address a;
	unsigned int n;
	int ret = address_of(fd, &a);

	if (ret < 0)
		return ret;
	/* The kernel lets others join a socket that listens already. */
	ret = set_number(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	for (n = 0; !ret && n < count; n += !ret) {
		clones[n] = listening_socket(fd, &a, backlog);
		ret = clones[n] < 0 ? clones[n] : 0;
	}
	if (!ret) {
		*guard = close_door(fd, &a);
		ret = *guard < 0 ? *guard : 0;
	}
	if (!ret)
		return 0;
	while (n--) {
		fd_unhide(clones[n]);
		sys_close(clones[n]);
	}
	set_number(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	return ret;
}
