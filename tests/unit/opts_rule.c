/* SPDX-License-Identifier: MIT */
/*
 * Description: lists of programs, of addresses and of ports.
 */
#include <arpa/inet.h>
#include <string.h>

#include "../../core/opts.h"
#include "unit.h"

static bool is_one(const char *list)
{
	static const char *const names[] = { "one", "alias", NULL };

	return opts_is_program(list, names);
}

static void programs(void)
{
	CHECK(is_one("one"));
	CHECK(is_one("two one"));
	CHECK(is_one("two,one, three"));
	CHECK(is_one("alias"));
	CHECK(is_one("on*"));
	CHECK(is_one("*"));
	CHECK(is_one("one*"));
	CHECK(!is_one("on"));
	CHECK(!is_one("ones"));
	CHECK(!is_one("two"));
	CHECK(!is_one(""));
	CHECK(!is_one("tw*"));
}

static void valid(void)
{
	static const char *const good[] = {
		"80", "80 443", "80,443", "8000-8999", "127.0.0.1",
		"127.0.0.1:80", "*:80", "*", ":80", "!80", "!127.0.0.1:1-2",
		"[::1]:80", "[::1]", "[::]:443 !22", "0",
	};
	static const char *const bad[] = {
		"", " ", "x", "80x", "65536", "80-", "-80", "90-80", "1.2.3",
		"1.2.3.4:", "1.2.3.4:x", "[::1", "[::1]80", "[x]:80", "!",
		"::1", "80 nonsense", "99999999999999999999",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		if (!opts_listen_valid(good[i]))
			tap_fail(__FILE__, __LINE__, "\"%s\"", good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (opts_listen_valid(bad[i]))
			tap_fail(__FILE__, __LINE__, "\"%s\"", bad[i]);
}

static bool takes(const char *list, const char *address, unsigned int port)
{
	uint8_t a[16] = { [10] = 0xff, [11] = 0xff };

	if (strchr(address, ':'))
		CHECK_EQ(inet_pton(AF_INET6, address, a), 1);
	else
		CHECK_EQ(inet_pton(AF_INET, address, a + 12), 1);
	return opts_listen_takes(list, a, port);
}

static void sockets(void)
{
	CHECK(takes("80", "127.0.0.1", 80));
	CHECK(takes("80", "::", 80));
	CHECK(!takes("80", "127.0.0.1", 81));
	CHECK(takes("443 80", "127.0.0.1", 80));
	CHECK(takes("80 443", "127.0.0.1", 80));
	CHECK(takes("80-90", "127.0.0.1", 90));
	CHECK(!takes("80-90", "127.0.0.1", 91));
	CHECK(takes("127.0.0.1", "127.0.0.1", 5));
	CHECK(!takes("127.0.0.1", "127.0.0.2", 5));
	CHECK(takes("[::1]:80", "::1", 80));
	CHECK(!takes("[::1]:80", "::2", 80));
	CHECK(takes("*:80", "10.1.2.3", 80));
}

/* What is left is left; without a word of what is taken, all else is. */
static void exceptions(void)
{
	CHECK(!takes("!80", "127.0.0.1", 80));
	CHECK(takes("!80", "127.0.0.1", 81));
	CHECK(!takes("!127.0.0.1:80 80", "127.0.0.1", 80));
	CHECK(!takes("80 !127.0.0.1:80", "127.0.0.1", 80));
	CHECK(takes("80 !127.0.0.1:80", "127.0.0.2", 80));
	CHECK(!takes("!22 80", "127.0.0.1", 81));
	CHECK(!takes("80 443 !9000", "127.0.0.1", 8080));
}

static const struct unit_case cases[] = {
	{ "programs", programs },
	{ "which lists are understood", valid },
	{ "addresses and ports", sockets },
	{ "exceptions", exceptions },
};

UNIT_MAIN(cases)
