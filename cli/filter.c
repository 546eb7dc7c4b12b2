/* SPDX-License-Identifier: MIT */
/* See filter.h. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "cli.h"
#include "filter.h"

enum term_kind { TERM_STATE, TERM_PORT, TERM_HOST, TERM_FD, TERM_DEPTH };
enum operator { OP_EQ, OP_NE, OP_LT, OP_GT, OP_LE, OP_GE };

struct term {
	enum term_kind kind;
	enum operator op;
	bool negated;
	bool peer;		/* dport, dst: the other end */
	const char *word;	/* a state or depth */
	unsigned long number;	/* a port, a descriptor; 0: any port */
	uint8_t address[16];
	unsigned int bits;	/* of the address that count */
};

#define TERMS_MAX 32

static struct term terms[TERMS_MAX];
static unsigned int term_count;

static const char *const states[] = {
	"ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2",
	"TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING",
};

static const char *const depths[] = {
	"lw", "materialised", "fd", "given", "kernel",
};

/* ss's other names, and its groups. */
static const char *const groups[] = {
	"all", "connected", "established", "listening", "synchronized",
};

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcasecmp(word, list[i]))
			return true;
	return false;
}

#define ONE_OF(word, list) \
	is_one_of(word, list, sizeof(list) / sizeof((list)[0]))

bool filter_word(const char *word)
{
	static const char *const first[] = {
		"and", "depth", "dport", "dst", "fd", "not", "sport", "src",
		"state",
	};

	return ONE_OF(word, first) || !strcmp(word, "!");
}

/* --- parsing --------------------------------------------------------- */

static bool parse_operator(const char *word, enum operator *op)
{
	static const struct {
		const char *text;
		enum operator op;
	} all[] = {
		{ "=", OP_EQ }, { "==", OP_EQ }, { "eq", OP_EQ },
		{ "!=", OP_NE }, { "ne", OP_NE }, { "neq", OP_NE },
		{ "<", OP_LT }, { "lt", OP_LT }, { ">", OP_GT },
		{ "gt", OP_GT }, { "<=", OP_LE }, { "le", OP_LE },
		{ ">=", OP_GE }, { "ge", OP_GE },
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!strcmp(word, all[i].text)) {
			*op = all[i].op;
			return true;
		}
	}
	return false;
}

static bool parse_port(struct term *t, const char *word)
{
	if (!strcmp(word, "*"))
		return true;
	return parse_uint(word + (*word == ':'), 0, 65535, &t->number);
}

/* ADDRESS[/BITS][:PORT], IPv6 in brackets when a port follows. */
static bool parse_host(struct term *t, const char *word)
{
	char text[128], *host = text, *port = NULL, *bits;
	unsigned long n;
	bool v6;

	if (strlen(word) >= sizeof(text))
		return false;
	strcpy(text, word);
	if (*host == '[') {
		port = strchr(++host, ']');
		if (!port)
			return false;
		*port++ = '\0';
		if (*port && *port != ':')
			return false;
	} else if (strchr(host, ':') == strrchr(host, ':')) {
		port = strchr(host, ':');
	}
	if (port && *port) {
		*port++ = '\0';
		if (!parse_port(t, port))
			return false;
	}
	bits = strchr(host, '/');
	if (bits)
		*bits++ = '\0';
	v6 = strchr(host, ':');
	n = v6 ? 128 : 32;
	if (bits && !parse_uint(bits, 0, n, &n))
		return false;
	if (!strcmp(host, "*") || !*host) {
		t->bits = 0;
		return true;
	}
	t->bits = (unsigned int)n + (v6 ? 0 : 96);
	if (v6)
		return inet_pton(AF_INET6, host, t->address) == 1;
	t->address[10] = t->address[11] = 0xff;
	return inet_pton(AF_INET, host, t->address + 12) == 1;
}

static int wrong(const char *word, const char *value, const char *accepted)
{
	return misuse("sockets", "filter '%s%s%s': accepted is %s", word,
		      value ? " " : "", value ? value : "", accepted);
}

static int parse_value(struct term *t, const char *word, const char *value)
{
	if (!strcmp(word, "state")) {
		t->kind = TERM_STATE;
		t->word = value;
		if (!value || (!ONE_OF(value, states) &&
			       !ONE_OF(value, groups)))
			return wrong(word, value, "all, connected, "
				     "established, listening, or a state as "
				     "ss(8) prints it, such as close-wait");
	} else if (!strcmp(word, "depth")) {
		t->kind = TERM_DEPTH;
		t->word = value;
		if (!value || !ONE_OF(value, depths))
			return wrong(word, value, "lw, materialised, fd, "
				     "given or kernel");
	} else if (!strcmp(word, "fd")) {
		t->kind = TERM_FD;
		if (!value || !parse_uint(value, 0, 1 << 30, &t->number))
			return wrong(word, value, "a descriptor's number");
	} else if (!strcmp(word, "sport") || !strcmp(word, "dport")) {
		t->kind = TERM_PORT;
		t->peer = *word == 'd';
		if (!value || !parse_port(t, value))
			return wrong(word, value, "a port: 0 to 65535");
	} else {
		t->kind = TERM_HOST;
		t->peer = *word == 'd';
		if (!value || !parse_host(t, value))
			return wrong(word, value, "ADDRESS[/BITS][:PORT], "
				     "or [ADDRESS]:PORT for IPv6");
	}
	return 0;
}

int filter_parse(char **words)
{
	struct term *t;
	int ret;

	while (*words) {
		if (term_count == TERMS_MAX)
			return misuse("sockets", "a filter has %d terms at "
				      "most", TERMS_MAX);
		t = &terms[term_count++];
		memset(t, 0, sizeof(*t));
		if (!strcmp(*words, "and"))
			words++;
		while (*words && (!strcmp(*words, "not") ||
				  !strcmp(*words, "!"))) {
			t->negated = !t->negated;
			words++;
		}
		if (!*words || !filter_word(*words))
			return misuse("sockets", "filter '%s': accepted are "
				      "state, sport, dport, src, dst, fd and "
				      "depth, 'not' before and 'and' between",
				      *words ? *words : "");
		if (words[1] && parse_operator(words[1], &t->op)) {
			ret = parse_value(t, words[0], words[2]);
			words += ret ? 0 : 3;
		} else {
			ret = parse_value(t, words[0], words[1]);
			words += ret ? 0 : 2;
		}
		if (ret)
			return ret;
	}
	return 0;
}

/* --- asking ---------------------------------------------------------- */

static bool compare(unsigned long a, enum operator op, unsigned long b)
{
	switch (op) {
	case OP_EQ: return a == b;
	case OP_NE: return a != b;
	case OP_LT: return a < b;
	case OP_GT: return a > b;
	case OP_LE: return a <= b;
	case OP_GE: return a >= b;
	}
	return false;
}

static bool in_group(const char *state, const char *word)
{
	bool listens = !strcmp(state, "LISTEN");

	if (!strcasecmp(word, "all"))
		return true;
	if (!strcasecmp(word, "established"))
		return !strcmp(state, "ESTAB");
	if (!strcasecmp(word, "listening"))
		return listens;
	if (!strcasecmp(word, "connected"))
		return !listens && strcmp(state, "UNCONN");
	if (!strcasecmp(word, "synchronized"))
		return !listens && strcmp(state, "UNCONN") &&
		       strcmp(state, "SYN-SENT");
	return !strcasecmp(state, word);
}

static bool same_network(const struct term *t, const struct name *n)
{
	unsigned int bytes = t->bits / 8, rest = t->bits % 8;

	if (memcmp(t->address, n->address, bytes))
		return false;
	return !rest || !((t->address[bytes] ^ n->address[bytes]) >>
			  (8 - rest));
}

static bool is_true(const struct term *t, const struct row *r)
{
	const struct name *n = t->peer ? &r->peer : &r->local;
	bool same;

	switch (t->kind) {
	case TERM_STATE:
		same = in_group(r->state, t->word);
		return t->op == OP_NE ? !same : same;
	case TERM_DEPTH:
		same = !strcasecmp(r->depth, t->word);
		return t->op == OP_NE ? !same : same;
	case TERM_FD:
		return r->fd >= 0 &&
		       compare((unsigned long)r->fd, t->op, t->number);
	case TERM_PORT:
		return r->has_names && compare(n->port, t->op, t->number);
	case TERM_HOST:
		same = r->has_names && same_network(t, n) &&
		       (!t->number || t->number == n->port);
		return t->op == OP_NE ? !same : same;
	}
	return false;
}

bool filter_passes(const struct row *r)
{
	unsigned int i;

	for (i = 0; i < term_count; i++)
		if (is_true(&terms[i], r) == terms[i].negated)
			return false;
	return true;
}
