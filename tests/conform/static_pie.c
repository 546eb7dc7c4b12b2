/* SPDX-License-Identifier: MIT */
/*
 * Description: a static program started under the preload runs plainly.
 */
/* no-asan: there is nothing of ours in the program that is started */
/* no-tsan: there is nothing of ours in the program that is started */
#include "../lib/net.h"

#include <arpa/inet.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pid_t start(int *out)
{
	char path[400], program[500];
	ssize_t n = MUST(readlink("/proc/self/exe", path, sizeof(path) - 1));
	int ends[2];
	pid_t pid;

	path[n] = '\0';
	snprintf(program, sizeof(program), "%s/../tools/static_echo",
		 dirname(path));
	if (access(program, X_OK))
		tap_skip("tests/tools/static_echo is not built");
	MUST(pipe(ends));
	fflush(stdout);
	pid = MUST(fork());
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	MUST(close(ends[1]));
	*out = ends[0];
	return pid;
}

static void t_echo(struct fix *f)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char line[64] = "";
	int fd, peer;
	pid_t pid = start(&fd);

	CHECK(MUST(read(fd, line, sizeof(line) - 1)) > 0);
	sa.sin_port = htons(atoi(line));
	peer = net_client(&sa);
	for (int i = 0; i < 10; i++) {
		peer_write(peer, "ping", 4);
		peer_expect(peer, "ping");
	}
	MUST(shutdown(peer, SHUT_WR));
	memset(line, 0, sizeof(line));
	CHECK(MUST(read(fd, line, sizeof(line) - 1)) > 0);
	CHECK(!strcmp(line, "done 0\n"));
	child_ok(pid);
	MUST(close(peer));
	MUST(close(fd));
}

static const struct net_case cases[] = {
	{ "an echo server; no library is mapped", t_echo, BARE },
};

NET_MAIN(cases)
