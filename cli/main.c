/* SPDX-License-Identifier: MIT */
/* See cli.h. Picks the sub-command. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#ifndef MP_VERSION
#define MP_VERSION "unknown"
#endif

static const char usage[] =
"usage: megapipe COMMAND [ARGUMENT]...\n"
"Runs unmodified event-driven servers on MegaPipe channels, and shows what\n"
"happens there.\n"
"\n"
"  run PROGRAM [ARGUMENT]...  run a program on channels\n"
"  doctor                     what this machine allows, and what would help\n"
"  stat [PID|NAME]...         counters of running processes\n"
"  sockets [PID|NAME]...      their sockets, and why one is not accelerated\n"
"  env                        the variables that tune it\n"
"\n"
"  -h, --help                 this text; also behind each command\n"
"  -V, --version              the version\n"
"\n"
"Manual: megapipe(1), and of the library: megapipe-preload(7).\n";

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "doctor", cmd_doctor },
	{ "env", cmd_env },
	{ "run", cmd_run },
	{ "sockets", cmd_sockets },
	{ "stat", cmd_stat },
};

static int help(int argc, char **argv)
{
	char *asked[] = { argv[0], (char *)"--help", NULL };
	size_t i;

	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(2, asked);
	return show(usage);
}

static int dispatch(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	if (!strcmp(argv[0], "help"))
		return help(argc, argv);
	complain("there is no command '%s' (there are: doctor, env, run, "
		 "sockets, stat)", argv[0]);
	fprintf(stderr, "To run a program: megapipe run %s\n"
		"Help: megapipe --help\n", argv[0]);
	return EXIT_USAGE;
}

/* What could not be written was not said. */
static int flushed(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		complain("cannot write to standard output: %m");
		return EXIT_NOTHING;
	}
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return flushed(show(usage));
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("megapipe %s\n", MP_VERSION);
		return flushed(0);
	}
	if (argv[1][0] == '-')
		return misuse(NULL, "there is no option '%s'", argv[1]);
	return flushed(dispatch(argc - 1, argv + 1));
}
