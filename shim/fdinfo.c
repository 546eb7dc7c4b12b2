/* SPDX-License-Identifier: MIT */
/* See fdinfo.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../core/sys.h"
#include "fdinfo.h"

int fdinfo_read(int fd, char *buf, size_t size)
{
	static const char path[] = "/proc/thread-self/fdinfo/";
	int i = 63, n;
	char name[64];

	name[i] = '\0';
	do {
		name[--i] = (char)('0' + fd % 10);
	} while (fd /= 10);
	i -= (int)sizeof(path) - 1;
	memcpy(name + i, path, sizeof(path) - 1);
	fd = sys_open(name + i, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	n = (int)sys_read(fd, buf, size - 1);
	sys_close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

bool fdinfo_is_self(int fd)
{
	char buf[512], *p;

	if (fd < 0 || fdinfo_read(fd, buf, sizeof(buf)) <= 0)
		return false;
	p = strstr(buf, "\nPid:");
	return p && strtol(p + 5, NULL, 10) == sys_getpid();
}
