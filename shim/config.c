/* SPDX-License-Identifier: MIT */
/* See config.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

static char executable[PATH_MAX];
static const char *names[3];		/* this program's, NULL-terminated */
static const char *read_from;

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* By the file that runs, and by the name that it was called by: one file may
 * be several programs. */
static void find_names(void)
{
	size_t n = 0;
	long len = sys_call4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe",
			     executable, sizeof(executable) - 1);

	if (len > 0)
		names[n++] = base_name(executable);
	if (program_invocation_short_name)
		names[n++] = program_invocation_short_name;
}

static int unreadable(const char *path, const char *why,
		      opts_complain *complain)
{
	char line[PATH_MAX + 200];

	snprintf(line, sizeof(line),
		 "%s: %s (accepted: a text of at most %u bytes); not used",
		 path, why, OPTS_FILE_MAX);
	complain(line);
	return 1;
}

/* Into memory of our own: the file may be changed while it is in use. */
static int read_file(const char *path, opts_complain *complain)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t len = 0;
	char *text;
	long n = 0;

	if (fd < 0)
		return !opts.config && (fd == -ENOENT || fd == -ENOTDIR) ? 0 :
			unreadable(path, strerrordesc_np(-fd), complain);
	text = sys_map(OPTS_FILE_MAX + 4096, MAP_PRIVATE);
	while (text && len <= OPTS_FILE_MAX &&
	       (n = sys_read(fd, text + len, OPTS_FILE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	sys_close(fd);
	if (!text || n < 0)
		return unreadable(path, strerrordesc_np(n < 0 ? (int)-n :
							ENOMEM), complain);
	if (len > OPTS_FILE_MAX) {
		sys_unmap(text, OPTS_FILE_MAX + 4096);
		return unreadable(path, "too long", complain);
	}
	read_from = path;
	return opts_parse_file(path, text, len, names, complain);
}

int config_read(char *const *environment, opts_complain *complain)
{
	int mistakes = opts_parse(environment, complain);

	find_names();
	if (opts.mode == MODE_OFF)
		return mistakes;
	return mistakes + read_file(opts.config ? opts.config : OPTS_FILE,
				    complain);
}

bool config_wants_program(void)
{
	return !opts.programs || opts_is_program(opts.programs, names);
}

const char *config_file(void)
{
	return read_from;
}

bool config_takes_socket(int fd)
{
	struct sockaddr_in6 sa = { 0 };
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&sa;
	uint8_t address[16] = { [10] = 0xff, [11] = 0xff };
	socklen_t len = sizeof(sa);

	if (likely(!opts.listen))
		return true;
	if (sys_call3(SYS_getsockname, fd, &sa, &len) < 0)
		return false;
	if (sa.sin6_family == AF_INET)
		memcpy(address + 12, &v4->sin_addr, 4);
	else
		memcpy(address, &sa.sin6_addr, 16);
	return opts_listen_takes(opts.listen, address, ntohs(sa.sin6_port));
}
