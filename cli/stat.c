/* SPDX-License-Identifier: MIT */
/* megapipe stat: counters of running processes. */
#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "stat.h"

static const char usage[] =
"usage: megapipe stat [OPTION]... [PID|NAME]...\n"
"Shows what the channels of running processes have counted: those of the PIDs\n"
"and names and of their descendants, or all. The processes are not disturbed.\n"
"\n"
"  -w, --watch           a screen kept up to date, with rates; q ends it\n"
"  -i, --interval=SECS   seconds between two screens, 1 to 3600 (1)\n"
"  -n, --count=N         end after N screens\n"
"  -j, --json            as JSON\n"
"  -p, --prometheus      in the text format of Prometheus\n"
"  -h, --help            this text\n"
"\n"
"Channel 0 counts what threads without a channel did, and channels that ended.\n"
"The counters: megapipe-preload(7). Another user's processes: root only.\n";

/* What a watched channel had counted one screen ago. */
struct before {
	pid_t pid;
	unsigned int line;
	uint64_t counter[STAT_MAX];
};

static struct before *befores;
static size_t before_count;
static double elapsed;		/* seconds since then; 0: no rates */

static const struct before *before_of(pid_t pid, unsigned int line)
{
	size_t i;

	for (i = 0; elapsed > 0 && i < before_count; i++)
		if (befores[i].pid == pid && befores[i].line == line)
			return &befores[i];
	return NULL;
}

static void remember(const struct processes *ps)
{
	struct before *b;
	unsigned int i;
	size_t n, max = 0;

	for (n = 0; n < ps->count; n++)
		for (i = 0; ps->list[n].head && i < REGION_LINES; i++)
			max += process_line_used(&ps->list[n], i);
	before_count = 0;
	b = realloc(befores, (max + 1) * sizeof(*befores));
	if (!b)
		return;
	befores = b;
	for (n = 0; n < ps->count; n++) {
		const struct process *p = &ps->list[n];

		for (i = 0; p->head && i < REGION_LINES; i++) {
			if (!process_line_used(p, i) || before_count == max)
				continue;
			b = &befores[before_count++];
			b->pid = p->pid;
			b->line = i;
			memcpy(b->counter, process_line(p, i)->counter,
			       sizeof(b->counter));
		}
	}
}

/* --- for people ------------------------------------------------------ */

/* A counter, or, while watching, its change per second. */
static const char *value(const struct process *p, unsigned int line,
			 enum stat_id id)
{
	uint64_t now = process_line(p, line)->counter[id];
	const struct before *b = before_of(p->pid, line);

	if (elapsed > 0)
		now = b ? (uint64_t)((double)(now - b->counter[id]) / elapsed +
				     0.5) : 0;
	return short_count(now);
}

static bool idle(const struct region_line *line)
{
	unsigned int i;

	for (i = 0; i < REGION_COUNTERS; i++)
		if (line->counter[i])
			return false;
	return true;
}

static void print_channel(const struct process *p, unsigned int i)
{
	const struct region_line *line = process_line(p, i);
	uint64_t enters = line->counter[STAT_enters];
	char tid[16] = "-", buffers[32] = "-";

	if (i) {
		snprintf(tid, sizeof(tid), "%d", line->tid);
		snprintf(buffers, sizeof(buffers), "%u/%u", line->buffers_lent,
			 line->buffers);
	}
	printf("  %7u %7s %9s %9s %9s %9s %9s %9s %6.1f %9s %9s\n", i, tid,
	       value(p, i, STAT_accepted), value(p, i, STAT_closed),
	       value(p, i, STAT_submitted), value(p, i, STAT_completed),
	       value(p, i, STAT_enters), value(p, i, STAT_received),
	       enters ? (double)line->counter[STAT_submitted] /
				(double)enters : 0.0,
	       value(p, i, STAT_sent), buffers);
}

static void print_batches(const struct process *p)
{
	uint64_t sum[REGION_BATCHES] = { 0 };
	unsigned int i, n;
	bool any = false;

	for (i = 0; i < REGION_LINES; i++)
		for (n = 0; process_line_used(p, i) && n < REGION_BATCHES; n++)
			sum[n] += process_line(p, i)->batch[n];
	for (n = 0; n < REGION_BATCHES; n++) {
		if (!sum[n])
			continue;
		printf(any ? ", " : "  requests in a batch: ");
		any = true;
		if (n < 2)
			printf("%u: %" PRIu64, n, sum[n]);
		else
			printf("%u-%u: %" PRIu64, 1u << (n - 1),
			       stat_bucket_end(n), sum[n]);
	}
	if (any)
		putchar('\n');
}

/* "made: sendfile of a large file" loses what the heading says. */
static void print_reasons(const struct process *p, const char *prefix,
			  const char *heading)
{
	size_t len = strlen(prefix);
	unsigned int id, any = 0;

	for (id = 0; id < STAT_MAX; id++) {
		uint64_t n = process_sum(p, (enum stat_id)id);
		const char *help = stat_helps[id], *colon = strchr(help, ':');

		if (!n || strncmp(stat_names[id], prefix, len))
			continue;
		printf("%s%" PRIu64 " %s", any++ ? "; " : heading, n,
		       colon ? colon + 2 : help);
	}
	if (any)
		putchar('\n');
}

static void print_partition(const struct region_part *r)
{
	char address[INET6_ADDRSTRLEN] = "?", cpus[128];

	inet_ntop(r->family, r->address, address, sizeof(address));
	printf("  listener %d at %s%s%s:%u: ", r->fd,
	       r->family == AF_INET6 ? "[" : "", address,
	       r->family == AF_INET6 ? "]" : "", ntohs(r->port));
	if (r->shared || r->mine < 0) {
		puts("it takes from the accept queue that all share");
		return;
	}
	printf("accept queue %d (%s), CPUs %s, accepted %u, holds %u%s\n",
	       r->mine, stat_steps[r->step % 3],
	       stat_cpus(r->cpus, cpus, sizeof(cpus)), r->accepted, r->held,
	       r->paused ? ", paused" : "");
}

static void print_partitions(const struct process *p)
{
	unsigned int i;

	for (i = 0; i < REGION_PARTS; i++)
		if (process_part(p, i)->used)
			print_partition(process_part(p, i));
}

static void print_process(const struct process *p)
{
	struct sock_sums s;
	unsigned int i;

	printf("%s%s%s (pid %d)", colour(BOLD), p->name, colour(PLAIN),
	       p->pid);
	if (!p->head) {
		printf(": no channel: no thread has waited for a TCP socket, "
		       "or none could be made\n\n");
		return;
	}
	stat_sum_socks(p, &s);
	printf(", %s: %" PRIu64 " listening, %" PRIu64 " connections (%" PRIu64
	       " without descriptor), %" PRIu64 " closing; bytes: %" PRIu64
	       " read ahead, %" PRIu64 " queued\n",
	       age(process_age(p, p->head->start_ns)), s.listening, s.open,
	       s.lw, s.closing, s.rx, s.tx);
	if (p->head->refused)
		printf("  %sa later channel could not be made: %s%s\n",
		       colour(YELLOW), strerror(p->head->refused),
		       colour(PLAIN));
	printf("  %s%7s %7s %9s %9s %9s %9s %9s %9s %6s %9s %9s%s\n",
	       colour(DIM), "channel", "thread", "accepted", "closed",
	       "requests", "complete", "enters", "received", "req/en", "sent",
	       "buffers", colour(PLAIN));
	for (i = 0; i < REGION_LINES; i++)
		if (process_line_used(p, i) &&
		    (i || !idle(process_line(p, 0))))
			print_channel(p, i);
	print_batches(p);
	print_partitions(p);
	print_reasons(p, "mat_", "  descriptor made: ");
	print_reasons(p, "handover_", "  given back: ");
	putchar('\n');
}

static void print_all(const struct processes *ps)
{
	size_t i;

	for (i = 0; i < ps->count; i++)
		print_process(&ps->list[i]);
}

/* --- the live screen ------------------------------------------------- */

static volatile sig_atomic_t ended;
static struct termios terminal;
static bool terminal_changed;

static void end_watching(int sig)
{
	(void)sig;
	ended = 1;
}

static void prepare_terminal(void)
{
	struct termios raw;

	signal(SIGINT, end_watching);
	signal(SIGTERM, end_watching);
	if (!isatty(0) || tcgetattr(0, &terminal))
		return;
	raw = terminal;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	terminal_changed = !tcsetattr(0, TCSANOW, &raw);
}

/* True when the user wants no more. */
static bool pause_for(unsigned long seconds)
{
	struct pollfd in = { .fd = terminal_changed ? 0 : -1,
			     .events = POLLIN };
	char key;

	if (poll(&in, 1, (int)seconds * 1000) > 0 && read(0, &key, 1) == 1)
		return key == 'q' || key == 'Q';
	return ended;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print_screen(const struct processes *ps)
{
	char when[32];
	time_t t = time(NULL);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	if (isatty(1))
		fputs("\33[H\33[2J", stdout);
	printf("megapipe stat  %s  %s\n\n", when,
	       elapsed > 0 ? "(per second)" : "(since the start)");
	print_all(ps);
	fflush(stdout);
}

static int watch(char *const *words, struct processes *ps, unsigned long secs,
		 unsigned long count)
{
	double last = now(), this;
	unsigned long i;
	int status = 0;

	prepare_terminal();
	for (i = 0; !status && (!count || i < count); i++) {
		if (i && pause_for(secs))
			break;
		if (i)
			status = processes_again(words, ps);
		this = now();
		elapsed = i ? this - last : 0;
		last = this;
		if (!status)
			print_screen(ps);
		remember(ps);
	}
	if (terminal_changed)
		tcsetattr(0, TCSANOW, &terminal);
	if (status)
		complain("the processes have ended");
	free(befores);
	return status;
}

int cmd_stat(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "interval", required_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ "prometheus", no_argument, NULL, 'p' },
		{ "watch", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long secs = 1, count = 0;
	struct processes ps;
	int c, how = 0, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "hi:jn:pw", options, NULL)) != -1) {
		if (c == 'h')
			return show(usage);
		if (c == '?')
			return misuse_option("stat", argv);
		if (c == 'i' && !parse_uint(optarg, 1, 3600, &secs))
			return misuse("stat", "--interval=%s: accepted are 1 "
				      "to 3600 seconds", optarg);
		if (c == 'n' && !parse_uint(optarg, 1, 1000000, &count))
			return misuse("stat", "--count=%s: accepted are 1 to "
				      "1000000 screens", optarg);
		if (c == 'i' || c == 'n')
			continue;
		if (how && how != c)
			return misuse("stat", "only one of --json, "
				      "--prometheus and --watch can be had");
		how = c;
	}
	if (how != 'w' && (count || secs != 1))
		return misuse("stat", "--interval and --count need --watch");
	status = processes_find(argv + optind, &ps);
	if (status)
		return status;
	if (how == 'j')
		stat_json(&ps);
	else if (how == 'p')
		stat_prometheus(&ps);
	else if (how == 'w')
		status = watch(argv + optind, &ps, secs, count);
	else
		print_all(&ps);
	processes_free(&ps);
	return status;
}
