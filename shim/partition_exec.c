/* SPDX-License-Identifier: MIT */
/*
 * Partitioned listeners across exec: a server that starts itself anew (binary
 * upgrade) hands its sockets to the next one through one variable of the
 * environment, which that one removes before the program can see it.
 *
 * Owns: the text of that variable. Called by: proc (execve), init (start).
 * "PID" and for each listener ";FD,REUSEPORT,TABLE,CHANGE,GUARD,ORPHANS,
 * ORPHANS,CLONE..."
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clone.h"
#include "fdtable.h"
#include "partition.h"
#include "partition_exec.h"
#include "partition_table.h"

/* --- the old one ----------------------------------------------------- */

struct text {
	char *at, *end;
};

static void put_number(struct text *t, char before, int n)
{
	char digits[12];
	int len = 0;

	do {
		digits[len++] = (char)('0' + n % 10);
	} while (n /= 10);
	if (t->end - t->at < len + 2) {
		t->at = t->end;		/* does not fit: see put_listener() */
		return;
	}
	if (before)
		*t->at++ = before;
	while (len)
		*t->at++ = digits[--len];
	*t->at = '\0';
}

static void set_cloexec(const struct partition *p, bool on)
{
	unsigned int i;

	sys_fcntl(p->table_fd, F_SETFD, on ? FD_CLOEXEC : 0);
	sys_fcntl(p->change, F_SETFD, on ? FD_CLOEXEC : 0);
	sys_fcntl(p->guard, F_SETFD, on ? FD_CLOEXEC : 0);
	sys_fcntl(p->orphans[0], F_SETFD, on ? FD_CLOEXEC : 0);
	sys_fcntl(p->orphans[1], F_SETFD, on ? FD_CLOEXEC : 0);
	for (i = 1; i < p->count; i++)
		sys_fcntl(p->socks[i], F_SETFD, on ? FD_CLOEXEC : 0);
}

/* One that does not fit, or whose number ends here, is not kept in parts: the
 * next program may have it by another way, and knows of one queue only. */
static void put_listener(struct text *t, struct partition *p)
{
	int flags = sys_fcntl(p->fd, F_GETFD, 0);
	char *start = t->at;
	unsigned int i;

	put_number(t, ';', p->fd);
	put_number(t, ',', p->reuseport);
	put_number(t, ',', p->table_fd);
	put_number(t, ',', p->change);
	put_number(t, ',', p->guard);
	put_number(t, ',', p->orphans[0]);
	put_number(t, ',', p->orphans[1]);
	for (i = 1; i < p->count; i++)
		put_number(t, ',', p->socks[i]);
	if (t->at == t->end || flags < 0 || flags & FD_CLOEXEC) {
		if (flags >= 0 && !(flags & FD_CLOEXEC))
			table_share(p);
		t->at = start;
		*start = '\0';
		return;
	}
	set_cloexec(p, false);
}

char *partition_export(char *to, size_t size)
{
	struct text t = { to, to + size };
	struct list *node;
	char *first;

	if (!partition_any || size < sizeof(PARTITION_VARIABLE) + 16)
		return NULL;
	memcpy(to, PARTITION_VARIABLE, sizeof(PARTITION_VARIABLE));
	t.at += sizeof(PARTITION_VARIABLE) - 1;
	put_number(&t, 0, sys_getpid());
	first = t.at;
	for (node = partition_list.next; node != &partition_list;
	     node = node->next)
		put_listener(&t, list_entry(node, struct partition, all));
	return t.at > first ? to : NULL;
}

void partition_not_exported(void)
{
	struct list *node;

	for (node = partition_list.next; node != &partition_list;
	     node = node->next)
		set_cloexec(list_entry(node, struct partition, all), true);
}

/* --- the new one ----------------------------------------------------- */

static int take_number(const char **text, char before)
{
	char *end;
	long n;

	if (before && *(*text)++ != before)
		return -1;
	n = strtol(*text, &end, 10);
	if (end == *text || n < 0 || n >= FD_TABLE_MAX)
		return -1;
	*text = end;
	return (int)n;
}

static bool listens(int fd)
{
	socklen_t len = sizeof(int);
	int yes = 0;

	return fd >= 0 && !sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes,
					  &len) && yes;
}

static bool take_listener(const char **text, struct partition *p)
{
	p->fd = p->socks[0] = take_number(text, ';');
	p->reuseport = take_number(text, ',');
	p->table_fd = take_number(text, ',');
	p->change = take_number(text, ',');
	p->guard = take_number(text, ',');
	p->orphans[0] = take_number(text, ',');
	p->orphans[1] = take_number(text, ',');
	for (p->count = 1; **text == ',' && p->count < STEER_PARTS; p->count++)
		p->socks[p->count] = take_number(text, ',');
	return listens(p->fd) && p->count > 1 && listens(p->socks[1]) &&
	       !table_inherit(p);
}

static void hide_all(struct partition *p)
{
	unsigned int i;

	fd_mark_private(p->table_fd);
	fd_mark_private(p->change);
	fd_mark_private(p->guard);
	fd_mark_private(p->orphans[0]);
	fd_mark_private(p->orphans[1]);
	for (i = 1; i < p->count; i++)
		fd_mark_private(p->socks[i]);
	set_cloexec(p, true);
}

void partition_import(const char *text, bool use)
{
	struct partition *p;
	const char *at = text;

	if (sys_call3(SYS_getpid, 0, 0, 0) != strtol(at, (char **)&at, 10))
		return;
	while (*at == ';' && (p = partition_new())) {
		if (!take_listener(&at, p)) {
			partition_free(p);
			return;
		}
		hide_all(p);
		partition_add(p);
		if (!use) {
			table_share(p);
			partition_closed(p, p->fd);
		}
	}
}

const char *partition_variable(char **environment)
{
	size_t len = sizeof(PARTITION_VARIABLE) - 1;
	const char *text = NULL;
	char **e, **to;

	for (e = to = environment; e && *e; e++) {
		if (!strncmp(*e, PARTITION_VARIABLE, len))
			text = *e + len;
		else
			*to++ = *e;
	}
	if (text)
		*to = NULL;
	return text;
}
