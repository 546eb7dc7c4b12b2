/* SPDX-License-Identifier: MIT */
/* megapipe sockets: what ss(8) and lsof(8) can no longer tell. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli.h"
#include "descriptors.h"
#include "filter.h"
#include "process.h"
#include "queues.h"
#include "stat.h"

static const char usage[] =
"usage: megapipe sockets [OPTION]... [PID|NAME]... [FILTER]\n"
"Lists the TCP sockets of processes that run with the library: those of the\n"
"PIDs and names and of their descendants, or all.\n"
"\n"
"  -H, --no-header  no line of headings\n"
"  -j, --json       as JSON\n"
"  -h, --help       this text\n"
"\n"
"Filters, all of which must be true; 'not' may stand before each:\n"
"  state STATE               established, listening, connected, close-wait...\n"
"  sport|dport [OP] PORT     = != < > <= >=\n"
"  src|dst ADDRESS[/BITS][:PORT]\n"
"  fd [OP] NUMBER\n"
"  depth DEPTH               lw, materialised, fd, given, kernel\n"
"\n"
"Depths: lw, without descriptor; materialised, with one, since a call needed\n"
"it; fd, an ordinary descriptor driven by a channel; given, the kernel's, with\n"
"bytes that were read before; kernel, not accelerated: the last column says\n"
"why. Ahead and Queued are bytes in the process, as of its thread's last turn;\n"
"Recv-Q and Send-Q are in the kernel.\n";

static bool as_json, no_header;
static size_t printed;

/* --- printing -------------------------------------------------------- */

static void events_text(uint32_t events, char *to, size_t size)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ EPOLLIN, "in" }, { EPOLLOUT, "out" },
		{ EPOLLRDHUP, "rdhup" }, { EPOLLET, "et" },
		{ EPOLLONESHOT, "oneshot" }, { EPOLLEXCLUSIVE, "exclusive" },
	};
	size_t i, n = 0;

	*to = '\0';
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (events & names[i].bit && n < size)
			n += (size_t)snprintf(to + n, size - n, "%s%s",
					      n ? "," : "", names[i].name);
}

static void print_json(const struct row *r, const char *local,
		       const char *peer, const char *events)
{
	printf("%s  {\"pid\": %d, \"program\": ", printed ? ",\n" : "", r->pid);
	json_string(stdout, r->program);
	printf(", \"channel\": %u, \"fd\": %d, \"depth\": \"%s\", "
	       "\"state\": \"%s\", \"local\": ", r->channel, r->fd, r->depth,
	       r->state);
	json_string(stdout, local);
	printf(", \"peer\": ");
	json_string(stdout, peer);
	printf(", \"read_ahead\": %u, \"queued\": %u, \"recv_q\": %u, "
	       "\"send_q\": %u, \"set\": %d, \"events\": \"%s\", ",
	       r->ahead, r->queued, r->rx, r->tx, r->set, events);
	if (r->age >= 0)
		printf("\"age\": %.1f, ", r->age);
	else
		printf("\"age\": null, ");
	printf("\"why\": ");
	if (r->why)
		json_string(stdout, r->why);
	else
		printf("null");
	putchar('}');
}

static void print_text(const struct row *r, const char *local,
		       const char *peer, const char *events)
{
	char process[64], fd[16] = "-", set[16] = "-";

	if (!printed && !no_header)
		printf("%s%-10s %6s %6s %6s %6s %-22s %-22s %-20s %5s "
		       "%-12s %4s %-12s %7s  %s%s\n", colour(BOLD), "State",
		       "Recv-Q", "Send-Q", "Ahead", "Queued", "Local", "Peer",
		       "Process", "Fd", "Depth", "Set", "Events", "Age",
		       "Why", colour(PLAIN));
	snprintf(process, sizeof(process), "%s,%d", r->program, r->pid);
	if (r->fd >= 0)
		snprintf(fd, sizeof(fd), "%d", r->fd);
	if (r->set >= 0)
		snprintf(set, sizeof(set), "%d", r->set);
	printf("%-10s %6u %6u %6u %6u %-22s %-22s %-20s %5s %s%-12s%s %4s "
	       "%-12s %7s  %s\n", r->state, r->rx, r->tx, r->ahead, r->queued,
	       local, peer, process, fd, r->why ? colour(YELLOW) : "",
	       r->depth, r->why ? colour(PLAIN) : "", set,
	       *events ? events : "-", r->age >= 0 ? age(r->age) : "-",
	       r->why ? r->why : "");
}

static void print_row(const struct row *r)
{
	char local[64] = "-", peer[64] = "-", events[64];

	if (!filter_passes(r))
		return;
	if (r->has_names) {
		tcp_print_name(&r->local, local, sizeof(local));
		tcp_print_name(&r->peer, peer, sizeof(peer));
	}
	events_text(r->events, events, sizeof(events));
	if (as_json)
		print_json(r, local, peer, events);
	else
		print_text(r, local, peer, events);
	printed++;
}

/* --- a process's sockets --------------------------------------------- */

static void take_kernel(struct row *r, const struct tcp_socket *s)
{
	r->has_names = true;
	r->local = s->local;
	r->peer = s->peer;
	r->state = tcp_state(s->state);
	r->rx = s->rx;
	r->tx = s->tx;
}

static const char *derived_state(const struct region_sock *s)
{
	if (s->life == SOCK_LISTEN)
		return "LISTEN";
	if (s->life == SOCK_CLOSING)
		return "CLOSING";
	if (s->facts & SOCK_FACT_RESET)
		return "UNCONN";
	if (s->facts & SOCK_FACT_EOF)
		return s->facts & SOCK_FACT_SHUT_WR ? "LAST-ACK" :
						      "CLOSE-WAIT";
	return s->facts & SOCK_FACT_SHUT_WR ? "FIN-WAIT-2" : "ESTAB";
}

static const char *reason_text(uint32_t reason)
{
	switch (reason) {
	case LEFT_BLOCKING:
		return "blocking when it was added to a set (no O_NONBLOCK)";
	case LEFT_CONNECTING:
		return "not yet connected when it was added to a set";
	case LEFT_EVENTS:
		return "waited for with events that only the kernel has";
	case LEFT_SET:
		return "its set is the kernel's: used by two threads, nested, "
		       "polled or copied";
	case LEFT_RULE:
		return "left by MEGAPIPE_LISTEN";
	case LEFT_MEMORY:
		return "no memory for it";
	case LEFT_FEW:
		return "its set has no listener and few connections "
		       "(MEGAPIPE_MIN_CONNECTIONS)";
	}
	return reason < STAT_MAX ? stat_helps[reason] : "unknown";
}

/* A lightweight socket has no descriptor to look at: its names lead to what
 * the kernel knows of it. */
static void find_names(struct row *r, const struct region_sock *s,
		       const struct tcp_table *t)
{
	const struct tcp_socket *k;

	r->has_names = tcp_of_record(t, s, &r->local, &r->peer, &k);
	if (k)
		take_kernel(r, k);
}

static void show_ours(const struct process *p, const struct region_sock *s,
		      const struct tcp_table *t, struct descriptors *ds)
{
	static const char *const depths[] = {
		[SHOWN_LW] = "lw", [SHOWN_MATERIALISED] = "materialised",
		[SHOWN_FD] = "fd", [SHOWN_GIVEN] = "given",
	};
	const struct descriptor *d = descriptors_find(ds, s->fd);
	const struct tcp_socket *k = d ? tcp_by_inode(t, d->inode) : NULL;
	struct row r = {
		.pid = p->pid, .program = p->name, .state = derived_state(s),
		.depth = s->depth <= SHOWN_GIVEN ? depths[s->depth] : "?",
		.ahead = s->rx, .queued = s->tx, .fd = s->fd, .set = s->set,
		.events = s->events & (uint32_t)~(EPOLLERR | EPOLLHUP),
		.channel = s->line, .age = process_age(p, s->since_ns),
	};

	if (k)
		take_kernel(&r, k);
	else
		find_names(&r, s, t);
	if (d)
		descriptors_mark(ds, d);
	if (s->giving)
		r.why = reason_text(s->giving - 1u);
	print_row(&r);
}

static bool is_blocking(pid_t pid, int fd)
{
	char path[64], line[128];
	unsigned int flags = O_NONBLOCK;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	if (f)
		fclose(f);
	return !(flags & O_NONBLOCK);
}

/* A socket that was given back says so itself. The others: what was noted
 * when it was added to a set holds while it is in one. */
static const char *why_kernel(const struct process *p, int fd, int set)
{
	uint32_t reason = process_left(p, fd);

	if (!p->head)
		return "the process has no channel";
	if (reason && reason < LEFT_BLOCKING)
		return reason_text(reason);
	if (is_blocking(p->pid, fd))
		return "blocking (no O_NONBLOCK)";
	if (set < 0)
		return "in no epoll set";
	if (reason)
		return reason_text(reason);
	return "no thread with a channel waits for its set";
}

static void show_kernels(const struct process *p, const struct tcp_table *t,
			 struct descriptors *ds)
{
	const struct tcp_socket *k;
	size_t i;

	for (i = 0; i < ds->count; i++) {
		struct row r = {
			.pid = p->pid, .program = p->name, .depth = "kernel",
			.fd = ds->list[i].fd, .age = -1,
			.set = ds->list[i].set,
			.events = ds->list[i].events &
				  (uint32_t)~(EPOLLERR | EPOLLHUP),
		};

		k = tcp_by_inode(t, ds->list[i].inode);
		if (!k || ds->list[i].shown || queues_has(&ds->list[i]))
			continue;
		take_kernel(&r, k);
		r.why = why_kernel(p, r.fd, r.set);
		descriptors_mark(ds, &ds->list[i]);
		print_row(&r);
	}
}

static void show_process(const struct process *p)
{
	struct descriptors ds;
	struct region_sock s;
	struct tcp_table t;
	uint32_t i;

	if (!tcp_read(p->pid, &t))
		return;		/* it has ended */
	descriptors_read(p->pid, &ds);
	for (i = 0; p->head && i < p->head->socks && i < REGION_SOCKS; i++)
		if (process_sock(p, i, &s) &&
		    !tcp_is_over(&t, p->pid, &s))
			show_ours(p, &s, &t, &ds);
	show_kernels(p, &t, &ds);
	if (p->head && p->head->unrecorded)
		complain("%s (pid %d): %u sockets more than there are records "
			 "for were not followed", p->name, p->pid,
			 p->head->unrecorded);
	tcp_free(&t);
	descriptors_free(&ds);
}

int cmd_sockets(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "no-header", no_argument, NULL, 'H' },
		{ NULL, 0, NULL, 0 },
	};
	char **words = calloc((size_t)argc + 1, sizeof(*words));
	struct processes ps;
	int c, status, n = 0;
	size_t i;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+Hhj", options, NULL)) != -1) {
		if (c == 'h')
			return show(usage);
		if (c == '?')
			return misuse_option("sockets", argv);
		as_json |= c == 'j';
		no_header |= c == 'H';
	}
	for (; words && optind < argc && !filter_word(argv[optind]); optind++)
		words[n++] = argv[optind];
	status = filter_parse(argv + optind);
	if (!status && words)
		status = processes_find(words, &ps);
	free(words);
	if (status)
		return status;
	if (as_json)
		puts("[");
	queues_read(&ps);
	for (i = 0; i < ps.count; i++)
		show_process(&ps.list[i]);
	if (as_json)
		puts(printed ? "\n]" : "]");
	processes_free(&ps);
	return 0;
}
