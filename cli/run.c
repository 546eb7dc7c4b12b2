/* SPDX-License-Identifier: MIT */
/* megapipe run: the environment that the library needs, then the program. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../core/opts.h"
#include "cli.h"
#include "probe.h"

#ifndef MP_LIBDIR
#define MP_LIBDIR "/usr/local/lib"
#endif

#define LIBRARY "libmegapipe-preload.so"

/* As env(1) and the shell have them. */
#define EXIT_FAILED 125
#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NOT_FOUND 127

static const char usage[] =
"usage: megapipe run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
"Runs a program on channels: puts the library into LD_PRELOAD, and the program\n"
"into its place. What stands in the way is said in one line each, and the\n"
"program runs all the same.\n"
"\n"
"  -c, --config=FILE     read settings from FILE, not from /etc/megapipe.conf\n"
"  -e, --env=NAME=VALUE  set a variable for it; several are possible\n"
"  -l, --library=FILE    the library, if not the one that belongs to megapipe\n"
"  -q, --quiet           say nothing of what stands in the way\n"
"  -v, --verbose         say also what it lacks for more\n"
"  -h, --help            this text\n"
"\n"
"Exit status: that of the program; 125 the command failed, 126 the program\n"
"cannot be executed, 127 it is not found.\n"
"The variables: megapipe env.\n";

static bool quiet, verbose;

static bool plainly;			/* it was said that it will */

static void warn(const char *program, const char *cause, const char *way_out)
{
	plainly = true;
	if (!quiet)
		complain("%s: %s; it will run without channels (%s)", program,
			 cause, way_out);
}

static void warn_less(const char *program, const char *cause,
		      const char *effect, const char *way_out)
{
	if (!quiet)
		complain("%s: %s; %s (%s)", program, cause, effect, way_out);
}

/* --- the program ----------------------------------------------------- */

/* Where execvp(3) will find it: 0, EXIT_NOT_FOUND or EXIT_CANNOT_EXECUTE. */
static int find_program(const char *name, char *out)
{
	const char *path = getenv("PATH"), *end;
	struct stat st;
	int status = EXIT_NOT_FOUND;

	if (!path || strchr(name, '/'))
		path = strchr(name, '/') ? "" : "/usr/bin:/bin";
	for (;; path = end + 1) {
		end = strchrnul(path, ':');
		if (strchr(name, '/'))
			snprintf(out, PATH_MAX, "%s", name);
		else if (end == path)
			snprintf(out, PATH_MAX, "./%s", name);
		else
			snprintf(out, PATH_MAX, "%.*s/%s", (int)(end - path),
				 path, name);
		if (!stat(out, &st) && !S_ISDIR(st.st_mode)) {
			if (!access(out, X_OK))
				return 0;
			status = EXIT_CANNOT_EXECUTE;
		}
		if (!*end)
			return status;
	}
}

/* What of an ELF file decides whether a library can be preloaded. */
struct image {
	bool elf, own, dynamic, musl;
	char interpreter[PATH_MAX];	/* of a script */
};

static void read_segments(int fd, const Elf64_Ehdr *h, struct image *out)
{
	Elf64_Phdr p;
	char loader[256];
	int i;
	ssize_t n;

	for (i = 0; i < h->e_phnum; i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(h->e_phoff +
			  (size_t)i * h->e_phentsize)) != sizeof(p))
			return;
		if (p.p_type != PT_INTERP)
			continue;
		out->dynamic = true;
		n = pread(fd, loader, sizeof(loader) - 1, (off_t)p.p_offset);
		loader[n > 0 ? n : 0] = '\0';
		out->musl = strstr(loader, "ld-musl");
	}
}

static Elf64_Half own_machine(void)
{
	Elf64_Ehdr h = { 0 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, &h, sizeof(h)) != sizeof(h))
			h.e_machine = EM_NONE;
		close(fd);
	}
	return h.e_machine;
}

static bool read_image(const char *path, struct image *out)
{
	union {
		Elf64_Ehdr elf;
		char text[256];
	} h;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	memset(out, 0, sizeof(*out));
	memset(&h, 0, sizeof(h));
	if (fd < 0)
		return false;	/* may be executed and not be read */
	n = pread(fd, &h, sizeof(h) - 1, 0);
	if (n >= (ssize_t)EI_NIDENT && !memcmp(h.text, ELFMAG, SELFMAG)) {
		out->elf = true;
		out->own = h.elf.e_ident[EI_CLASS] == ELFCLASS64 &&
			   h.elf.e_machine == own_machine();
		if (out->own)
			read_segments(fd, &h.elf, out);
	} else if (n > 2 && h.text[0] == '#' && h.text[1] == '!') {
		const char *at = h.text + 2 + strspn(h.text + 2, " \t");

		snprintf(out->interpreter, sizeof(out->interpreter), "%.*s",
			 (int)strcspn(at, " \t\n"), at);
	}
	close(fd);
	return true;
}

static void check_privileges(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return;
	if ((st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
	    (st.st_mode & S_ISGID && st.st_mode & S_IXGRP &&
	     st.st_gid != getegid()))
		warn(path, "it is set-user-ID or set-group-ID, for which "
		     "LD_PRELOAD is ignored", "run it as its owner");
	else if (getxattr(path, "security.capability", NULL, 0) > 0 &&
		 geteuid())
		warn(path, "it has file capabilities, for which LD_PRELOAD is "
		     "ignored", "start it as root, or give them by "
		     "AmbientCapabilities=");
}

static void check_image(const char *path)
{
	struct image image;

	if (!read_image(path, &image))
		return;
	if (!image.elf && image.interpreter[0]) {
		char script[PATH_MAX];

		snprintf(script, sizeof(script), "%s", image.interpreter);
		if (!read_image(script, &image))
			return;
	}
	if (!image.elf)
		return;		/* the kernel will say what it is */
	if (!image.own)
		warn(path, "it is for another architecture than the library",
		     "a library of that architecture");
	else if (!image.dynamic)
		warn(path, "it is linked statically, LD_PRELOAD does not "
		     "reach it", "a dynamically linked build of it");
	else if (image.musl)
		warn(path, "it uses musl, the library is made for glibc",
		     "a build of it for glibc");
}

static void no_complaint(const char *line)
{
}

/* A server of one process does not care, but that is not seen from here. */
static void check_bpf(const char *path)
{
	bool asked;

	opts_parse(environ, no_complaint);	/* the library will complain */
	asked = opts.partition == PARTITION_EBPF;
	if (plainly || opts.mode == MODE_OFF)
		return;
	if (!asked && opts.partition != PARTITION_AUTO)
		return;
	if (probe_ebpf() < 0)
		warn_less(path, "eBPF cannot be used", asked ?
			  "its processes will share one accept queue" :
			  "if it has several processes, their accept queues "
			  "are chosen by CPU, without regard to load",
			  "CAP_BPF and CAP_PERFMON; see megapipe doctor");
}

static void check_kernel(const char *path)
{
	struct probe_ring p;

	probe_ring(&p);
	if (p.error < 0) {
		warn(path, probe_ring_reason(p.error),
		     probe_ring_advice(p.error));
		return;
	}
	if (verbose && p.entries < 256)
		warn_less(path, "too little locked memory for whole rings",
			  "its batches will be smaller",
			  probe_ring_advice(-ENOMEM));
	check_bpf(path);
}

/* --- the environment ------------------------------------------------- */

/* Beside the command (the build directory), or where it was installed. */
static bool find_library(char *out)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		snprintf(out, PATH_MAX, "%s/" LIBRARY, dirname(self));
		if (!access(out, R_OK))
			return true;
	}
	snprintf(out, PATH_MAX, "%s", MP_LIBDIR "/" LIBRARY);
	return !access(out, R_OK);
}

static int set_preload(const char *library)
{
	const char *before = getenv("LD_PRELOAD");
	char *text;
	int ret;

	if (before && strstr(before, library))
		return 0;
	if (asprintf(&text, "%s%s%s", library, before && *before ? ":" : "",
		     before ? before : "") < 0)
		return -1;
	ret = setenv("LD_PRELOAD", text, 1);
	free(text);
	return ret;
}

static int set_variable(const char *text)
{
	const char *equals = strchr(text, '=');
	char name[256];

	if (!equals || equals == text ||
	    (size_t)(equals - text) >= sizeof(name))
		return misuse("run", "-e %s: accepted is NAME=VALUE", text);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	if (setenv(name, equals + 1, 1)) {
		complain("-e %s: %m", text);
		return EXIT_FAILED;
	}
	return 0;
}

/* The program may change its directory before it reads them: whole paths. */
static int set_config(const char *file)
{
	char path[PATH_MAX];

	if (!realpath(file, path) || access(path, R_OK)) {
		complain("--config=%s: %m", file);
		return EXIT_FAILED;
	}
	return setenv("MEGAPIPE_CONFIG", path, 1) ? EXIT_FAILED : 0;
}

static int use_library(const char *given)
{
	char library[PATH_MAX];

	if (given) {
		if (!realpath(given, library) || access(library, R_OK)) {
			complain("--library=%s: %m", given);
			return EXIT_FAILED;
		}
	} else if (!find_library(library)) {
		complain(LIBRARY " is neither beside this command nor in "
			 MP_LIBDIR ": install it, or name it by --library");
		return EXIT_FAILED;
	}
	/* The dynamic loader takes blanks and colons for separators. */
	if (strpbrk(library, " :")) {
		complain("%s: LD_PRELOAD cannot hold a path with a blank or a "
			 "colon: move the library", library);
		return EXIT_FAILED;
	}
	if (set_preload(library)) {
		complain("LD_PRELOAD: %m");
		return EXIT_FAILED;
	}
	return 0;
}

static int execute(char **argv)
{
	char path[PATH_MAX];
	int status = find_program(argv[0], path);

	if (status) {
		complain(status == EXIT_NOT_FOUND ?
				 "%s: there is no such program" :
				 "%s: it is not executable: chmod +x", argv[0]);
		return status;
	}
	check_privileges(path);
	check_image(path);
	check_kernel(path);
	execv(path, argv);
	complain("%s: %m", path);
	return EXIT_CANNOT_EXECUTE;
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "env", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ "library", required_argument, NULL, 'l' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	const char *library = NULL;
	int c, status = 0;

	opterr = 0;
	while (!status && (c = getopt_long(argc, argv, "+c:e:hl:qv", options,
					   NULL)) != -1) {
		if (c == 'h')
			return show(usage);
		if (c == '?')
			return misuse_option("run", argv);
		if (c == 'c')
			status = set_config(optarg);
		else if (c == 'e')
			status = set_variable(optarg);
		else if (c == 'l')
			library = optarg;
		else if (c == 'q')
			quiet = true;
		else
			verbose = true;
	}
	if (status)
		return status;
	if (optind == argc)
		return misuse("run", "a program is missing");
	status = use_library(library);
	return status ? status : execute(argv + optind);
}
