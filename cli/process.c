/* SPDX-License-Identifier: MIT */
/* See process.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "process.h"

#define LIBRARY "libmegapipe-preload.so"

/* --- one process ----------------------------------------------------- */

static FILE *open_proc(pid_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	return fopen(path, "re");
}

static bool read_name(struct process *p)
{
	FILE *f = open_proc(p->pid, "comm");
	bool ok = f && fgets(p->name, sizeof(p->name), f);

	if (f)
		fclose(f);
	if (!ok)
		return false;
	p->name[strcspn(p->name, "\n")] = '\0';
	return true;
}

/* Its parent, and its number in its own namespace: the last of NSpid. */
static pid_t read_status(struct process *p)
{
	FILE *f = open_proc(p->pid, "status");
	char line[256];
	pid_t own = p->pid;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "PPid:", 5)) {
			p->parent = atoi(line + 5);
		} else if (!strncmp(line, "NSpid:", 6)) {
			const char *last = strrchr(line, '\t');

			own = atoi(last ? last + 1 : line + 6);
		}
	}
	if (f)
		fclose(f);
	return own;
}

/* Where the region is mapped: the only way to it when the program's own
 * limit left no room for a descriptor. For root. */
static int open_mapping(pid_t pid, bool *library)
{
	FILE *f = open_proc(pid, "maps");
	char line[PATH_MAX + 128], path[128];
	unsigned long from, to, offset;
	int fd = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "/" LIBRARY))
			*library = true;
		if (fd >= 0 || !strstr(line, "/memfd:" REGION_NAME " ") ||
		    sscanf(line, "%lx-%lx %*s %lx", &from, &to, &offset) != 3 ||
		    offset)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", pid,
			 from, to);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (f)
		fclose(f);
	return fd;
}

static int open_region(pid_t pid, DIR *dir)
{
	static const char wanted[] = "/memfd:" REGION_NAME " (deleted)";
	const struct dirent *e;
	char target[sizeof(wanted) + 1];

	while ((e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target,
				       sizeof(target));

		if (n == sizeof(wanted) - 1 &&
		    !memcmp(target, wanted, sizeof(wanted) - 1))
			return openat(dirfd(dir), e->d_name,
				      O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

/* 1 when it is of a version that this command can read. */
static int map_region(struct process *p, int fd, pid_t own)
{
	struct stat st;
	const struct region_head *head;
	int ok;

	if (fstat(fd, &st) || st.st_size < (off_t)sizeof(*head))
		return 0;
	head = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		return 0;
	ok = __atomic_load_n(&head->magic, __ATOMIC_ACQUIRE) == REGION_MAGIC &&
	     head->version == REGION_VERSION &&
	     head->counters == STAT_MAX && st.st_size == REGION_BYTES;
	if (ok && head->pid == own) {
		p->head = head;
		p->mapped = (size_t)st.st_size;
		return 1;
	}
	/* A child between fork and its first step has its parent's. */
	munmap((void *)head, (size_t)st.st_size);
	return ok;
}

/* False when it can't be looked at or is no more. */
static bool look_at(struct process *p, struct processes *ps)
{
	char path[64];
	DIR *dir;
	int fd, mapped;
	pid_t own;

	snprintf(path, sizeof(path), "/proc/%d/fd", p->pid);
	if (!read_name(p))
		return false;
	own = read_status(p);
	dir = opendir(path);
	if (!dir) {
		ps->denied += errno == EACCES || errno == EPERM;
		return false;
	}
	fd = open_region(p->pid, dir);
	closedir(dir);
	mapped = open_mapping(p->pid, &p->library);
	if (fd < 0) {
		fd = mapped;
		mapped = -1;
	}
	if (mapped >= 0)
		close(mapped);
	if (fd >= 0) {
		p->other_version = !map_region(p, fd, own);
		close(fd);
	}
	return true;
}

/* --- all of them ----------------------------------------------------- */

static struct process *append(struct processes *ps)
{
	struct process *list;

	if (!(ps->count & (ps->count - 1))) {
		list = realloc(ps->list, sizeof(*list) *
					 (ps->count ? 2 * ps->count : 1));
		if (!list)
			return NULL;
		ps->list = list;
	}
	list = &ps->list[ps->count++];
	memset(list, 0, sizeof(*list));
	return list;
}

static int by_pid(const void *a, const void *b)
{
	const struct process *p = a, *q = b;

	return (p->pid > q->pid) - (p->pid < q->pid);
}

static void scan(struct processes *ps)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;
	struct process *p;

	while (dir && (e = readdir(dir))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		p = append(ps);
		if (!p)
			break;
		p->pid = atoi(e->d_name);
		if (!look_at(p, ps))
			ps->count--;
	}
	if (dir)
		closedir(dir);
	if (ps->count)
		qsort(ps->list, ps->count, sizeof(*ps->list), by_pid);
}

static const struct process *find_pid(const struct processes *ps, pid_t pid)
{
	struct process key = { .pid = pid };

	return ps->count ? bsearch(&key, ps->list, ps->count,
				   sizeof(*ps->list), by_pid) : NULL;
}

static bool named(const struct process *p, const char *word)
{
	unsigned long pid;

	if (parse_uint(word, 1, INT_MAX, &pid))
		return p->pid == (pid_t)pid;
	return !strncmp(p->name, word, 15) && strlen(p->name) <= strlen(word);
}

/* The process or one that it descends from. */
static bool picked_by(const struct processes *ps, const struct process *p,
		      const char *word)
{
	int depth;

	for (depth = 0; p && depth < 64; depth++) {
		if (named(p, word))
			return true;
		p = p->parent > 1 ? find_pid(ps, p->parent) : NULL;
	}
	return false;
}

static bool picked(const struct processes *ps, const struct process *p,
		   char *const *words)
{
	if (!*words)
		return true;
	for (; *words; words++)
		if (picked_by(ps, p, *words))
			return true;
	return false;
}

static void forget(struct process *p)
{
	if (p->head)
		munmap((void *)p->head, p->mapped);
	p->head = NULL;
}

/* Keeps what is picked and has the library, in a version that can be read. */
static void choose(struct processes *ps, char *const *words)
{
	bool *keep = calloc(ps->count + 1, sizeof(*keep));
	size_t i, n = 0;

	for (i = 0; keep && i < ps->count; i++) {
		const struct process *p = &ps->list[i];

		keep[i] = (p->library || p->head || p->other_version) &&
			  picked(ps, p, words);
		ps->other_version += keep[i] && p->other_version;
		keep[i] &= !p->other_version;
	}
	for (i = 0; i < ps->count; i++) {
		if (keep && keep[i])
			ps->list[n++] = ps->list[i];
		else
			forget(&ps->list[i]);
	}
	ps->count = n;
	free(keep);
}

static const char *missing_word(const struct processes *ps, char *const *words)
{
	size_t i;

	for (; *words; words++) {
		for (i = 0; i < ps->count; i++)
			if (named(&ps->list[i], *words))
				break;
		if (i == ps->count)
			return *words;
	}
	return NULL;
}

static void say_none(const struct processes *ps, char *const *words,
		     const char *missing)
{
	if (missing && ps->denied)
		complain("'%s': no such process, or not one of yours: another "
			 "user's is shown to root only", missing);
	else if (missing)
		complain("'%s': there is no such process", missing);
	else if (ps->other_version)
		complain("the library in %s is of another version than this "
			 "command: restart it, or use its version of "
			 "megapipe", *words ? *words : "these processes");
	else if (*words)
		complain("'%s' runs without the library: start it by "
			 "'megapipe run'", *words);
	else
		complain("no process runs with the library%s",
			 geteuid() ? " (of yours: root sees all)" : "");
}

int processes_find(char *const *words, struct processes *out)
{
	const char *missing;

	memset(out, 0, sizeof(*out));
	scan(out);
	missing = missing_word(out, words);
	if (!missing) {
		choose(out, words);
		if (out->count && out->other_version)
			complain("not shown: %zu that run with another version "
				 "of the library than this command",
				 out->other_version);
		if (out->count)
			return 0;
	}
	say_none(out, words, missing);
	processes_free(out);
	return EXIT_NOTHING;
}

int processes_again(char *const *words, struct processes *ps)
{
	processes_free(ps);
	scan(ps);
	choose(ps, words);
	return ps->count ? 0 : EXIT_NOTHING;
}

void processes_free(struct processes *ps)
{
	size_t i;

	for (i = 0; i < ps->count; i++)
		forget(&ps->list[i]);
	free(ps->list);
	memset(ps, 0, sizeof(*ps));
}

/* --- what is in it --------------------------------------------------- */

bool process_sock(const struct process *p, uint32_t i, struct region_sock *out)
{
	const struct region_sock *record =
		(const void *)((const char *)p->head + REGION_SOCKS_AT);
	uint32_t seq;
	int tries;

	record += i;
	for (tries = 0; tries < 1000; tries++) {
		seq = __atomic_load_n(&record->seq, __ATOMIC_ACQUIRE);
		if (seq & 1)
			continue;
		memcpy(out, record, sizeof(*out));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&record->seq, __ATOMIC_RELAXED) == seq)
			return out->life != SOCK_FREE;
	}
	return false;	/* it changes all the time: it is nobody's for long */
}

uint32_t process_left(const struct process *p, int fd)
{
	const struct region_left *left;

	if (!p->head || fd < 0)
		return 0;
	left = (const void *)((const char *)p->head + REGION_LEFT_AT);
	left += fd % REGION_LEFT;
	return __atomic_load_n(&left->fd, __ATOMIC_ACQUIRE) == fd ?
		       left->reason : 0;
}

uint64_t process_sum(const struct process *p, enum stat_id id)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < REGION_LINES; i++)
		if (process_line_used(p, i))
			sum += process_line(p, i)->counter[id];
	return sum;
}

/* By way of the real time: in a container CLOCK_MONOTONIC may have another
 * beginning (time_namespaces(7)). */
double process_age(const struct process *p, int64_t since_ns)
{
	struct timespec now;
	double real = (double)p->head->start_real_ns +
		      (double)(since_ns - p->head->start_ns);

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 - real / 1e9;
}
