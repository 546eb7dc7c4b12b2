/* SPDX-License-Identifier: MIT */
/* megapipe doctor: what this machine allows, what will be used, what would
 * help. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli.h"
#include "probe.h"

static const char usage[] =
"usage: megapipe doctor [--json]\n"
"Says what this kernel, this user and this container allow, what the library\n"
"will use of it, and what to change for more. Run it as the user, in the unit\n"
"or container, that the server runs in.\n"
"\n"
"  -j, --json  as JSON\n"
"  -h, --help  this text\n"
"\n"
"Exit status: 0 all is there; 1 it works with less; 2 programs will run\n"
"plainly, without channels.\n";

/* From good to bad; INFO says something and judges nothing. */
enum verdict { GOOD, INFO, LESS, BAD };

static const char *const verdicts[] = { "ok", "info", "less", "no" };

struct finding {
	enum verdict verdict;
	const char *name;
	char found[200];
	const char *advice;	/* NULL: nothing needs to be changed */
};

#define FINDINGS_MAX 48

static struct finding findings[FINDINGS_MAX];
static unsigned int finding_count;

static void found(enum verdict verdict, const char *name, const char *advice,
		  const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void found(enum verdict verdict, const char *name, const char *advice,
		  const char *fmt, ...)
{
	struct finding *f = &findings[finding_count];
	va_list ap;

	if (finding_count == FINDINGS_MAX)
		return;
	finding_count++;
	f->verdict = verdict;
	f->name = name;
	f->advice = advice;
	va_start(ap, fmt);
	vsnprintf(f->found, sizeof(f->found), fmt, ap);
	va_end(ap);
}

/* --- looking --------------------------------------------------------- */

static void look_at_kernel(void)
{
	struct utsname u;

	if (!uname(&u))
		found(INFO, "kernel", NULL, "%s %s", u.release, u.machine);
}

static void cap(bool have, const char *name, const char *with,
		const char *without, const char *advice)
{
	found(have ? GOOD : LESS, name, have ? NULL : advice, "%s",
	      have ? with : without);
}

static void look_at_ring(const struct probe_ring *p)
{
	const struct ring_caps *c = &p->caps;

	if (p->error < 0) {
		found(BAD, "io_uring", probe_ring_advice(p->error), "%s",
		      probe_ring_reason(p->error));
		return;
	}
	found(GOOD, "io_uring", NULL, "channels can be made");
	if (p->entries < 256)
		found(LESS, "ring size", "raise the limit of locked memory: "
		      "ulimit -l, LimitMEMLOCK=", "%u entries instead of 256",
		      p->entries);
	cap(c->install && c->slots, "lightweight sockets",
	    "connections need no descriptor",
	    c->install && c->slot_close ? "no table of files: every connection "
					  "has a descriptor" :
	    "every connection has a descriptor",
	    c->install && c->slot_close ? "raise the limit of open files" :
					  "Linux 6.14");
	cap(c->accept_poll_first, "accept", "waits before it tries",
	    "tries before it waits", "Linux 6.10");
	cap(c->sockopt, "socket options", "ride in the batch",
	    "cost a call, or a descriptor", "Linux 6.7");
	cap(c->recv_multishot, "receive", "one request for many",
	    "one request each", "Linux 6.1");
}

static bool has_capability(unsigned int bit)
{
	unsigned long long set = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &set) == 1)
			break;
	if (f)
		fclose(f);
	return set >> bit & 1;
}

#define BIT_IPC_LOCK 14		/* linux/capability.h */

static void look_at_memory(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim))
		return;
	if (has_capability(BIT_IPC_LOCK))
		found(GOOD, "locked memory", NULL, "no limit for this user "
		      "(CAP_IPC_LOCK)");
	else if (lim.rlim_cur == RLIM_INFINITY)
		found(GOOD, "locked memory", NULL, "no limit");
	else
		found(lim.rlim_cur < 1 << 20 ? LESS : GOOD, "locked memory",
		      lim.rlim_cur < 1 << 20 ?
			      "raise it: ulimit -l, LimitMEMLOCK=" : NULL,
		      "%lu KiB for all processes of this user; up to 128 KiB "
		      "a channel", (unsigned long)lim.rlim_cur / 1024);
}

static void look_at_files(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	if (lim.rlim_cur < lim.rlim_max)
		found(GOOD, "open files", NULL, "%lu, of at most %lu: our own "
		      "descriptors are kept above the first",
		      (unsigned long)lim.rlim_cur,
		      (unsigned long)lim.rlim_max);
	else
		found(lim.rlim_cur < 256 ? LESS : GOOD, "open files",
		      lim.rlim_cur < 256 ?
			      "raise the limit: ulimit -n, LimitNOFILE=" : NULL,
		      "%lu, soft and hard limit: our own descriptors count",
		      (unsigned long)lim.rlim_cur);
}

static void look_at_counters(void)
{
	int fd = memfd_create("megapipe-doctor", MFD_CLOEXEC);

	if (fd < 0) {
		found(LESS, "counters", "allow memfd_create in the "
		      "container's seccomp profile",
		      "stat and sockets will show nothing: %m");
		return;
	}
	close(fd);
	found(GOOD, "counters", NULL, "shown by megapipe stat and megapipe "
	      "sockets");
}

static void look_at_seccomp(void)
{
	long mode = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp: %ld", &mode) == 1)
			break;
	if (f)
		fclose(f);
	found(INFO, "seccomp", NULL, mode ? "a filter is in force" :
					    "no filter");
}

static void look_at_bpf(void)
{
	int e = probe_ebpf(), c = probe_cbpf();

	if (e == -ENOTSUP)
		found(INFO, "eBPF", NULL, "not in this build: clang, "
		      "bpftool or libbpf-dev was missing");
	else if (e)
		found(INFO, "eBPF", "CAP_BPF and CAP_PERFMON, for a server "
		      "of several processes", "not for this user (%s)",
		      strerror(-e));
	else
		found(INFO, "eBPF", NULL, "can choose among listeners that "
		      "share a port");
	if (c)
		found(INFO, "classic BPF", NULL, "%s", strerror(-c));
	else
		found(INFO, "classic BPF", NULL, "can choose among listeners "
		      "that share a port");
}

static void look_at_processors(void)
{
	cpu_set_t set;
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	found(INFO, "processors", NULL, "%d of %ld for this process",
	      CPU_COUNT(&set), online);
}

/* Queues that hardware spreads packets over, and those that RPS spreads. */
static void look_at_interface(const char *name)
{
	static char names[8][64];
	static unsigned int used;
	unsigned int queues = 0, spread = 0;
	char path[512], mask[256];
	const struct dirent *e;
	DIR *dir;
	FILE *f;

	if (used == sizeof(names) / sizeof(names[0]))
		return;
	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", name);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (strncmp(e->d_name, "rx-", 3))
			continue;
		queues++;
		snprintf(path, sizeof(path),
			 "/sys/class/net/%s/queues/%s/rps_cpus", name,
			 e->d_name);
		f = fopen(path, "re");
		if (f && fgets(mask, sizeof(mask), f))
			spread += strspn(mask, "0,\n") < strlen(mask);
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	snprintf(names[used], sizeof(names[used]), "interface %.50s", name);
	found(INFO, names[used++], NULL, "%u receive queue%s (RSS), %u with "
	      "RPS", queues, queues == 1 ? "" : "s", spread);
}

static void look_at_interfaces(void)
{
	DIR *dir = opendir("/sys/class/net");
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			look_at_interface(e->d_name);
	if (dir)
		closedir(dir);
}

/* --- saying ---------------------------------------------------------- */

static enum verdict worst(void)
{
	enum verdict w = GOOD;
	unsigned int i;

	for (i = 0; i < finding_count; i++)
		if (findings[i].verdict != INFO && findings[i].verdict > w)
			w = findings[i].verdict;
	return w;
}

static const char *conclusion(enum verdict w, const struct probe_ring *p)
{
	if (w == BAD)
		return "programs will run plainly, without channels";
	if (!p->caps.install || !p->caps.slots)
		return "programs will run on channels; their connections keep "
		       "their descriptors";
	if (w == LESS)
		return "programs will run on channels, with less than there "
		       "could be";
	return "programs will run on channels, connections without "
	       "descriptors";
}

static void print_text(const char *end)
{
	static const enum colour colours[] = { GREEN, DIM, YELLOW, RED };
	unsigned int i;

	for (i = 0; i < finding_count; i++) {
		const struct finding *f = &findings[i];

		printf("%s%-4s%s  %-20s %s\n", colour(colours[f->verdict]),
		       verdicts[f->verdict], colour(PLAIN), f->name, f->found);
		if (f->advice)
			printf("      %-20s for more: %s\n", "", f->advice);
	}
	printf("\n%s%s.%s\n", colour(BOLD), end, colour(PLAIN));
}

static void print_json(const char *end, int status)
{
	unsigned int i;

	printf("{\"status\": %d, \"conclusion\": \"%s\", \"findings\": [\n",
	       status, end);
	for (i = 0; i < finding_count; i++) {
		const struct finding *f = &findings[i];

		printf("  {\"name\": \"%s\", \"verdict\": \"%s\", \"found\": ",
		       f->name, verdicts[f->verdict]);
		json_string(stdout, f->found);
		printf(", \"advice\": ");
		if (f->advice)
			json_string(stdout, f->advice);
		else
			printf("null");
		printf("}%s\n", i + 1 < finding_count ? "," : "");
	}
	puts("]}");
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct probe_ring p;
	bool json = false;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+hj", options, NULL)) != -1) {
		if (c == 'h')
			return show(usage);
		if (c == '?')
			return misuse_option("doctor", argv);
		json = true;
	}
	if (optind < argc)
		return misuse("doctor", "'%s': no argument is expected",
			      argv[optind]);
	probe_ring(&p);
	look_at_kernel();
	look_at_ring(&p);
	look_at_memory();
	look_at_files();
	look_at_counters();
	look_at_seccomp();
	look_at_bpf();
	look_at_processors();
	look_at_interfaces();
	status = worst() == BAD ? 2 : worst() == LESS ? 1 : 0;
	if (json)
		print_json(conclusion(worst(), &p), status);
	else
		print_text(conclusion(worst(), &p));
	return status;
}
