/* SPDX-License-Identifier: MIT */
/*
 * Entry points: name resolution, which may wait for a server far away: what
 * is queued goes out first. libc's own sockets for it are never ours.
 * Owns: nothing. Threads: any.
 */
#include "entry.h"

#define AFTER_FLUSH(call)                                                 \
	do {                                                              \
		thread_before_block();                                    \
		return call;                                              \
	} while (0)

SHIM_EXPORT int getaddrinfo(const char *node, const char *service,
			    const struct addrinfo *hints,
			    struct addrinfo **found)
{
	AFTER_FLUSH(real.getaddrinfo(node, service, hints, found));
}

SHIM_EXPORT int getnameinfo(const struct sockaddr *addr, socklen_t len,
			    char *host, socklen_t host_len, char *service,
			    socklen_t service_len, int flags)
{
	AFTER_FLUSH(real.getnameinfo(addr, len, host, host_len, service,
				     service_len, flags));
}

SHIM_EXPORT struct hostent *gethostbyname(const char *name)
{
	AFTER_FLUSH(real.gethostbyname(name));
}

SHIM_EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	AFTER_FLUSH(real.gethostbyname2(name, family));
}

SHIM_EXPORT struct hostent *gethostbyaddr(const void *addr, socklen_t len,
					  int family)
{
	AFTER_FLUSH(real.gethostbyaddr(addr, len, family));
}

SHIM_EXPORT int gethostbyname_r(const char *name, struct hostent *host,
				char *buf, size_t size,
				struct hostent **found, int *err)
{
	AFTER_FLUSH(real.gethostbyname_r(name, host, buf, size, found, err));
}

SHIM_EXPORT int gethostbyname2_r(const char *name, int family,
				 struct hostent *host, char *buf, size_t size,
				 struct hostent **found, int *err)
{
	AFTER_FLUSH(real.gethostbyname2_r(name, family, host, buf, size, found,
					  err));
}

SHIM_EXPORT int gethostbyaddr_r(const void *addr, socklen_t len, int family,
				struct hostent *host, char *buf, size_t size,
				struct hostent **found, int *err)
{
	AFTER_FLUSH(real.gethostbyaddr_r(addr, len, family, host, buf, size,
					 found, err));
}
