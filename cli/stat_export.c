/* SPDX-License-Identifier: MIT */
/* See stat.h: JSON, and the text format of Prometheus. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "stat.h"
#include "tcp.h"

const char *const stat_helps[STAT_MAX] = {
#define STAT(name, help) help,
#include "../core/stats.def"
#undef STAT
};

/* The kernel is asked only when there is something to ask. */
static bool is_over(const struct process *p, const struct region_sock *s,
		    struct tcp_table *t, bool *read)
{
	if (s->life != SOCK_CLOSING)
		return false;
	if (!*read && !tcp_read(p->pid, t))
		return false;
	*read = true;
	return tcp_is_over(t, p->pid, s);
}

void stat_sum_socks(const struct process *p, struct sock_sums *out)
{
	struct region_sock s;
	struct tcp_table t;
	bool read = false;
	uint32_t i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < p->head->socks && i < REGION_SOCKS; i++) {
		if (!process_sock(p, i, &s) || is_over(p, &s, &t, &read))
			continue;
		out->listening += s.life == SOCK_LISTEN;
		out->open += s.life == SOCK_OPEN;
		out->closing += s.life == SOCK_CLOSING;
		out->rx += s.rx;
		out->tx += s.tx;
		if (s.life == SOCK_LISTEN)
			continue;
		out->lw += s.depth == SHOWN_LW;
		out->materialised += s.depth == SHOWN_MATERIALISED;
		out->fd += s.depth == SHOWN_FD;
		out->given += s.depth == SHOWN_GIVEN;
	}
	if (read)
		tcp_free(&t);
}

/* --- JSON ------------------------------------------------------------ */

static void json_line(const struct process *p, unsigned int i)
{
	const struct region_line *line = process_line(p, i);
	unsigned int n;

	printf("        {\"channel\": %u, \"tid\": %d, \"age\": %.1f, "
	       "\"buffers\": %u, \"buffers_lent\": %u, \"slots\": %u,\n"
	       "         \"counters\": {", i, line->tid,
	       i ? process_age(p, line->since_ns) : 0.0, line->buffers,
	       line->buffers_lent, line->slots);
	for (n = 0; n < STAT_MAX; n++)
		printf("%s\"%s\": %" PRIu64, n ? ", " : "", stat_names[n],
		       line->counter[n]);
	printf("},\n         \"batches\": {");
	for (n = 0; n < REGION_BATCHES; n++)
		printf("%s\"%u\": %" PRIu64, n ? ", " : "",
		       stat_bucket_end(n), line->batch[n]);
	printf("}}");
}

static void json_partitions(const struct process *p)
{
	unsigned int i, n = 0;
	char cpus[128];

	for (i = 0; i < REGION_PARTS; i++) {
		const struct region_part *r = process_part(p, i);

		if (!r->used)
			continue;
		printf("%s{\"fd\": %d, \"port\": %u, \"partition\": %d, "
		       "\"of\": %u, \"by\": \"%s\", \"cpus\": \"%s\", "
		       "\"shared\": %s, \"paused\": %s, \"accepted\": %u, "
		       "\"held\": %u}", n++ ? ",\n    " : "", r->fd,
		       ntohs(r->port), r->mine, r->made,
		       stat_steps[r->step % 3],
		       stat_cpus(r->cpus, cpus, sizeof(cpus)),
		       r->shared ? "true" : "false",
		       r->paused ? "true" : "false", r->accepted, r->held);
	}
}

static void json_process(const struct process *p)
{
	struct sock_sums s;
	unsigned int i, n = 0;

	printf("  {\"pid\": %d, \"name\": ", p->pid);
	json_string(stdout, p->name);
	if (!p->head) {
		printf(", \"channels\": []}");
		return;
	}
	stat_sum_socks(p, &s);
	printf(", \"age\": %.1f, \"refused\": %d,\n",
	       process_age(p, p->head->start_ns), p->head->refused);
	printf("   \"sockets\": {\"listening\": %" PRIu64 ", \"open\": %" PRIu64
	       ", \"closing\": %" PRIu64 ", \"lightweight\": %" PRIu64
	       ", \"materialised\": %" PRIu64 ", \"descriptor\": %" PRIu64
	       ", \"given\": %" PRIu64 ", \"unrecorded\": %u,\n"
	       "               \"read_ahead_bytes\": %" PRIu64
	       ", \"queued_bytes\": %" PRIu64 "},\n   \"channels\": [\n",
	       s.listening, s.open, s.closing, s.lw, s.materialised, s.fd,
	       s.given, p->head->unrecorded, s.rx, s.tx);
	for (i = 0; i < REGION_LINES; i++) {
		if (!process_line_used(p, i))
			continue;
		printf("%s", n++ ? ",\n" : "");
		json_line(p, i);
	}
	printf("\n   ],\n   \"partitions\": [");
	json_partitions(p);
	printf("]}");
}

void stat_json(const struct processes *ps)
{
	size_t i;

	puts("[");
	for (i = 0; i < ps->count; i++) {
		json_process(&ps->list[i]);
		puts(i + 1 < ps->count ? "," : "");
	}
	puts("]");
}

/* --- Prometheus ------------------------------------------------------ */

/* A label's value: backslash, quote and newline are escaped. */
static void labels(const struct process *p, unsigned int line)
{
	const char *c;

	printf("{pid=\"%d\",program=\"", p->pid);
	for (c = p->name; *c; c++) {
		if (*c == '\\' || *c == '"')
			putchar('\\');
		putchar(*c == '\n' ? ' ' : *c);
	}
	printf("\",channel=\"%u\"", line);
}

static void family(const char *name, const char *type, const char *help)
{
	printf("# HELP megapipe_%s %s\n# TYPE megapipe_%s %s\n", name, help,
	       name, type);
}

static void counter(const struct processes *ps, unsigned int id)
{
	char name[64];
	unsigned int i;
	size_t n;

	snprintf(name, sizeof(name), "%s_total", stat_names[id]);
	family(name, "counter", stat_helps[id]);
	for (n = 0; n < ps->count; n++) {
		const struct process *p = &ps->list[n];

		for (i = 0; p->head && i < REGION_LINES; i++) {
			if (!process_line_used(p, i))
				continue;
			printf("megapipe_%s", name);
			labels(p, i);
			printf("} %" PRIu64 "\n",
			       process_line(p, i)->counter[id]);
		}
	}
}

static void histogram(const struct process *p, unsigned int i)
{
	const struct region_line *line = process_line(p, i);
	uint64_t sum = 0;
	unsigned int n;

	for (n = 0; n < REGION_BATCHES; n++) {
		sum += line->batch[n];
		printf("megapipe_batch_requests_bucket");
		labels(p, i);
		if (n + 1 < REGION_BATCHES)
			printf(",le=\"%u\"} %" PRIu64 "\n",
			       stat_bucket_end(n), sum);
		else
			printf(",le=\"+Inf\"} %" PRIu64 "\n", sum);
	}
	printf("megapipe_batch_requests_sum");
	labels(p, i);
	printf("} %" PRIu64 "\n", line->counter[STAT_submitted]);
	printf("megapipe_batch_requests_count");
	labels(p, i);
	printf("} %" PRIu64 "\n", sum);
}

static void batches(const struct processes *ps)
{
	unsigned int i;
	size_t n;

	family("batch_requests", "histogram",
	       "requests handed to the kernel by one io_uring_enter");
	for (n = 0; n < ps->count; n++)
		for (i = 0; ps->list[n].head && i < REGION_LINES; i++)
			if (process_line_used(&ps->list[n], i))
				histogram(&ps->list[n], i);
}

static void gauge(const struct processes *ps, const struct sock_sums *sums,
		  const char *name, const char *help, size_t at)
{
	uint64_t value;
	size_t n;

	family(name, "gauge", help);
	for (n = 0; n < ps->count; n++) {
		if (!ps->list[n].head)
			continue;
		memcpy(&value, (const char *)&sums[n] + at, sizeof(value));
		printf("megapipe_%s", name);
		labels(&ps->list[n], 0);
		printf("} %" PRIu64 "\n", value);
	}
}

static void gauges(const struct processes *ps)
{
	static const struct {
		const char *name, *help;
		size_t at;
	} all[] = {
#define GAUGE(field, name, help) \
	{ name, help, offsetof(struct sock_sums, field) }
		GAUGE(listening, "listeners", "listening sockets of channels"),
		GAUGE(open, "connections", "open connections of channels"),
		GAUGE(closing, "closing_connections",
		      "connections that the program closed and whose last "
		      "bytes are on the way"),
		GAUGE(lw, "lightweight_connections",
		      "connections without a descriptor"),
		GAUGE(rx, "read_ahead_bytes",
		      "bytes received before the program asked"),
		GAUGE(tx, "queued_bytes",
		      "bytes taken from the program, not yet sent"),
#undef GAUGE
	};
	struct sock_sums *sums = calloc(ps->count + 1, sizeof(*sums));
	size_t i;

	for (i = 0; sums && i < ps->count; i++)
		if (ps->list[i].head)
			stat_sum_socks(&ps->list[i], &sums[i]);
	for (i = 0; sums && i < sizeof(all) / sizeof(all[0]); i++)
		gauge(ps, sums, all[i].name, all[i].help, all[i].at);
	free(sums);
}

void stat_prometheus(const struct processes *ps)
{
	unsigned int id;

	for (id = 0; id < STAT_MAX; id++)
		counter(ps, id);
	batches(ps);
	gauges(ps);
}
