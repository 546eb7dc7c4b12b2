/* SPDX-License-Identifier: MIT */
/*
 * Lists in options: of programs, of addresses and ports. Words are apart by
 * blanks or commas.
 *
 * Owns: nothing. No memory is allocated. Any thread.
 */
#include <arpa/inet.h>
#include <string.h>

#include "opts.h"

#define SEPARATORS " ,\t"

/* The next word of *at*, which moves behind it; its length, 0: no more. */
static size_t next_word(const char **at, const char **word)
{
	size_t len;

	*word = *at + strspn(*at, SEPARATORS);
	len = strcspn(*word, SEPARATORS);
	*at = *word + len;
	return len;
}

/* --- programs -------------------------------------------------------- */

static bool is_named(const char *word, size_t len, const char *name)
{
	if (word[len - 1] == '*')
		return !strncmp(word, name, len - 1);
	return strlen(name) == len && !strncmp(word, name, len);
}

bool opts_is_program(const char *list, const char *const *names)
{
	const char *word;
	size_t len, i;

	while ((len = next_word(&list, &word)))
		for (i = 0; names[i]; i++)
			if (is_named(word, len, names[i]))
				return true;
	return false;
}

/* --- addresses and ports --------------------------------------------- */

struct rule {
	bool leave;
	bool any_address;
	uint8_t address[16];
	unsigned int first, last;	/* ports */
};

/* A port, or two with a dash; all of the text. */
static bool parse_ports(const char *text, struct rule *r)
{
	unsigned int *port = &r->first;
	unsigned long n;

	for (;; text++) {
		if (*text < '0' || *text > '9')
			return false;
		for (n = 0; *text >= '0' && *text <= '9' && n <= 65535; text++)
			n = n * 10 + (unsigned long)(*text - '0');
		if (n > 65535)
			return false;
		*port = (unsigned int)n;
		if (port == &r->first)
			r->last = r->first;
		if (*text != '-' || port == &r->last)
			break;
		port = &r->last;
	}
	return !*text && r->first <= r->last;
}

static bool parse_address(const char *text, bool v6, struct rule *r)
{
	if (!strcmp(text, "*") || !*text) {
		r->any_address = true;
		return true;
	}
	if (v6)
		return inet_pton(AF_INET6, text, r->address) == 1;
	r->address[10] = r->address[11] = 0xff;
	return inet_pton(AF_INET, text, r->address + 12) == 1;
}

static bool parse_rule(const char *word, size_t len, struct rule *r)
{
	char text[80], *host = text, *port = NULL;
	bool v6;

	memset(r, 0, sizeof(*r));
	r->last = 65535;
	r->leave = *word == '!';
	word += r->leave;
	len -= r->leave;
	if (!len || len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	v6 = *host == '[';
	if (v6) {
		port = strchr(++host, ']');
		if (!port)
			return false;
		*port++ = '\0';
		if (!*port)
			return parse_address(host, true, r);
		if (*port++ != ':')
			return false;
		return parse_address(host, true, r) && parse_ports(port, r);
	}
	port = strchr(host, ':');
	if (!port && !strpbrk(host, ".*")) {
		r->any_address = true;
		return parse_ports(host, r);
	}
	if (port)
		*port++ = '\0';
	return parse_address(host, false, r) && (!port || parse_ports(port, r));
}

bool opts_listen_valid(const char *list)
{
	const char *word;
	struct rule r;
	size_t len, n = 0;

	for (; (len = next_word(&list, &word)); n++)
		if (!parse_rule(word, len, &r))
			return false;
	return n;
}

bool opts_listen_takes(const char *list, const uint8_t *address,
		       unsigned int port)
{
	bool named = false, takes = true;
	const char *word;
	struct rule r;
	size_t len;

	while ((len = next_word(&list, &word))) {
		if (!parse_rule(word, len, &r))
			continue;
		if (!r.leave && takes && !named)
			takes = false;	/* only what is named is taken */
		if (port < r.first || port > r.last ||
		    (!r.any_address && memcmp(address, r.address, 16)))
			continue;
		if (r.leave)
			return false;
		named = takes = true;
	}
	return takes;
}
