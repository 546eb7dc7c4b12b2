/* SPDX-License-Identifier: MIT */
/* See descriptors.h. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "descriptors.h"

struct sets {
	int *fds;
	size_t count;
};

static bool add_socket(struct descriptors *ds, int fd, uint64_t inode)
{
	struct descriptor *list;

	if (!(ds->count & (ds->count - 1))) {
		list = realloc(ds->list, sizeof(*list) *
					 (ds->count ? 2 * ds->count : 1));
		if (!list)
			return false;
		ds->list = list;
	}
	ds->list[ds->count++] = (struct descriptor){
		.fd = fd, .inode = inode, .set = -1,
	};
	if (fd >= ds->numbers)
		ds->numbers = fd + 1;
	return true;
}

static void add_set(struct sets *sets, int fd)
{
	int *fds = realloc(sets->fds, (sets->count + 1) * sizeof(*fds));

	if (!fds)
		return;
	sets->fds = fds;
	fds[sets->count++] = fd;
}

static void list_all(pid_t pid, struct descriptors *ds, struct sets *sets)
{
	char path[64], target[64];
	const struct dirent *e;
	uint64_t inode;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target,
				       sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%" SCNu64 "]", &inode) == 1) {
			if (!add_socket(ds, atoi(e->d_name), inode))
				break;
		} else if (!strcmp(target, "anon_inode:[eventpoll]")) {
			add_set(sets, atoi(e->d_name));
		}
	}
	if (dir)
		closedir(dir);
}

static int by_inode(const void *a, const void *b)
{
	const struct descriptor *d = a, *e = b;

	if (d->inode != e->inode)
		return d->inode > e->inode ? 1 : -1;
	return d->fd - e->fd;
}

static void read_set(pid_t pid, int set, struct descriptors *ds)
{
	char path[64], line[256];
	struct descriptor *d;
	uint32_t events;
	int fd;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, set);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "tfd: %d events: %x", &fd, &events) != 2)
			continue;
		d = descriptors_find(ds, fd);
		if (!d || d->set >= 0)
			continue;
		d->set = set;
		d->events = events;
	}
	if (f)
		fclose(f);
}

void descriptors_read(pid_t pid, struct descriptors *out)
{
	struct sets sets = { 0 };
	size_t i;

	memset(out, 0, sizeof(*out));
	list_all(pid, out, &sets);
	if (out->count)
		qsort(out->list, out->count, sizeof(*out->list), by_inode);
	out->at = calloc((size_t)out->numbers + 1, sizeof(*out->at));
	if (!out->at)
		out->numbers = 0;
	for (i = 0; out->at && i < out->count; i++)
		out->at[out->list[i].fd] = 1 + (int)i;
	for (i = 0; i < sets.count; i++)
		read_set(pid, sets.fds[i], out);
	free(sets.fds);
}

void descriptors_free(struct descriptors *ds)
{
	free(ds->list);
	free(ds->at);
	memset(ds, 0, sizeof(*ds));
}

struct descriptor *descriptors_find(const struct descriptors *ds, int fd)
{
	if (fd < 0 || fd >= ds->numbers || !ds->at[fd])
		return NULL;
	return &ds->list[ds->at[fd] - 1];
}

void descriptors_mark(struct descriptors *ds, const struct descriptor *d)
{
	uint64_t inode = d->inode;
	size_t i = (size_t)(d - ds->list);

	while (i && ds->list[i - 1].inode == inode)
		i--;
	for (; i < ds->count && ds->list[i].inode == inode; i++)
		ds->list[i].shown = true;
}
