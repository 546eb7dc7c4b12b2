/* SPDX-License-Identifier: MIT */
/*
 * Description: how many instructions a server executes for a request.
 *
 *	steps -P PID -p PORT -q REQUEST [-c CONNECTIONS] [-r ROUNDS] [-x]
 *	      [-o FILE]
 *
 * Each round sends REQUEST (may have \r and \n) on each connection, and steps
 * through the server, PID, until all answers have come and it sleeps: what
 * is counted does not depend on the machine's speed, and needs no counters of
 * a CPU. -x: a new connection for each request, which the server closes.
 * -o: writes "OBJECT OFFSET COUNT" for each instruction that was executed.
 *
 * Prints "requests N" and "OBJECT COUNT" for each mapped file. The server has
 * one thread. Exit status 77 where nobody may trace it.
 */
#include <arpa/inet.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 1024
#define OBJECTS 64
#define WARM 20			/* rounds before: until nothing is new */
#define ASLEEP_NS 3000000	/* no step for so long */
#define STUCK_NS 60000000000
#define LOOK 256		/* steps between two looks for answers */

struct object {
	uintptr_t start, end, offset;
	char name[64];
	uint64_t count;
	uint32_t *at;		/* for each byte */
};

static struct object objects[OBJECTS];
static int object_count;
static int conns[CONNS_MAX], count = 64, rounds = 20, port;
static size_t got[CONNS_MAX], answer_len;
static pid_t pid;
static bool short_conns;
static char request[4096], bytes[1 << 16];
static const char *output;

static void die(const char *what)
{
	fprintf(stderr, "steps: %s: %s\n", what, strerror(errno));
	exit(errno == EPERM || errno == ENOSYS ? 77 : 1);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* --- the client ----------------------------------------------------------- */

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_port = htons((uint16_t)port);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("connect");
	return fd;
}

static void send_all(void)
{
	size_t len = strlen(request);
	int i;

	for (i = 0; i < count; i++) {
		if (short_conns)
			conns[i] = dial();
		got[i] = 0;
		if (write(conns[i], request, len) != (ssize_t)len)
			die("write");
	}
}

/* Reads what has come; how many connections still wait for their answer. */
static int answers_missing(void)
{
	int i, missing = 0;
	ssize_t n;

	for (i = 0; i < count; i++) {
		if (conns[i] < 0)
			continue;
		n = recv(conns[i], bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n > 0)
			got[i] += (size_t)n;
		if (n == 0 && !short_conns)
			die("the server closed a connection");
		if (n == 0) {
			close(conns[i]);
			conns[i] = -1;
		}
		missing += short_conns ? n != 0 : got[i] < answer_len;
	}
	return missing;
}

/* The first answer says how long one is. */
static void learn(void)
{
	int fd = dial();
	size_t len = strlen(request);

	if (write(fd, request, len) != (ssize_t)len)
		die("write");
	answer_len = (size_t)read(fd, bytes, sizeof(bytes));
	if ((ssize_t)answer_len <= 0)
		die("no answer");
	close(fd);
}

/* --- the server ----------------------------------------------------------- */

static void read_maps(void)
{
	char path[64], line[512], perms[8], file[300];
	unsigned long start, end, offset;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "r");
	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f) && object_count < OBJECTS - 1) {
		struct object *o = &objects[object_count];
		const char *slash;

		file[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %299s", &start, &end,
			   perms, &offset, file) < 4 || perms[2] != 'x')
			continue;
		slash = strrchr(file, '/');
		snprintf(o->name, sizeof(o->name), "%.63s",
			 slash ? slash + 1 : file);
		o->start = start;
		o->end = end;
		o->offset = offset;
		o->at = calloc(end - start, sizeof(*o->at));
		object_count++;
	}
	fclose(f);
}

static void note(uintptr_t ip)
{
	static struct object *last = objects;
	int i;

	for (i = 0; ip - last->start >= last->end - last->start; i++) {
		if (i == object_count)
			return;
		last = &objects[i];
	}
	last->count++;
	last->at[ip - last->start]++;
}

static void step(int signo)
{
	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(long)signo) < 0)
		die("step");
}

static uintptr_t instruction_pointer(void)
{
	struct user_regs_struct regs = { 0 };
	struct iovec iov = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov) < 0)
		die("registers");
#ifdef __x86_64__
	return regs.rip;
#else
	return regs.pc;
#endif
}

/* One stop of the server: counts where it is, and lets it go on. */
static void stopped(int status)
{
	int signo = WSTOPSIG(status);

	if (!WIFSTOPPED(status)) {
		errno = ECHILD;
		die("the server ended");
	}
	note(instruction_pointer());
	step(signo == SIGTRAP || signo == SIGSTOP ? 0 : signo);
}

/* Steps until all answers are there and the server sleeps. */
static void traced_round(void)
{
	int64_t began = now_ns(), quiet = began;
	int status, looked = 0, missing = count;

	while (missing || now_ns() - quiet < ASLEEP_NS) {
		pid_t got_pid = waitpid(pid, &status, WNOHANG | __WALL);

		if (got_pid == pid) {
			stopped(status);
			quiet = now_ns();
		} else {
			sched_yield();
		}
		if (missing && (got_pid == 0 || ++looked % LOOK == 0))
			missing = answers_missing();
		if (now_ns() - began > STUCK_NS) {
			errno = ETIMEDOUT;
			die("no answers");
		}
	}
}

/* On one CPU, a step is two switches and no interrupt of another CPU. */
static void share_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

static void attach(void)
{
	int status;

	share_cpu();
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		die("trace");
	if (waitpid(pid, &status, __WALL) != pid)
		die("wait");
	step(0);
}

/* It is let go behind a step, with no trap on its way that would kill it. */
static void detach(void)
{
	bool interrupted = false;
	int status;

	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (status >> 16 == PTRACE_EVENT_STOP)
			interrupted = true;
		else if (interrupted)
			break;
		step(0);
	}
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

static void warm(void)
{
	int i;

	for (i = 0; i < WARM; i++) {
		send_all();
		while (answers_missing())
			usleep(100);
	}
}

static void clear(void)
{
	int i;

	for (i = 0; i < object_count; i++) {
		struct object *o = &objects[i];

		memset(o->at, 0, (o->end - o->start) * sizeof(*o->at));
		o->count = 0;
	}
}

/* --- what came out -------------------------------------------------------- */

static void write_addresses(void)
{
	FILE *f = fopen(output, "w");
	int i;

	if (!f)
		die(output);
	for (i = 0; i < object_count; i++) {
		struct object *o = &objects[i];
		uintptr_t a;

		for (a = 0; o->count && a < o->end - o->start; a++)
			if (o->at[a])
				fprintf(f, "%s %lx %u\n", o->name,
					(unsigned long)(a + o->offset),
					o->at[a]);
	}
	fclose(f);
}

static void print(void)
{
	int i;

	printf("requests %d\n", rounds * count);
	for (i = 0; i < object_count; i++)
		if (objects[i].count)
			printf("%s %llu\n", objects[i].name,
			       (unsigned long long)objects[i].count);
	if (output)
		write_addresses();
}

static void set_request(const char *text)
{
	size_t n = 0;

	for (; *text && n < sizeof(request) - 1; text++) {
		if (text[0] == '\\' && (text[1] == 'r' || text[1] == 'n'))
			request[n++] = *++text == 'r' ? '\r' : '\n';
		else
			request[n++] = *text;
	}
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "P:p:q:c:r:o:x")) != -1) {
		switch (c) {
		case 'P': pid = atoi(optarg); break;
		case 'p': port = atoi(optarg); break;
		case 'q': set_request(optarg); break;
		case 'c': count = atoi(optarg); break;
		case 'r': rounds = atoi(optarg); break;
		case 'o': output = optarg; break;
		case 'x': short_conns = true; break;
		default: exit(2);
		}
	}
	if (!pid || !port || !request[0] || count < 1 || count > CONNS_MAX ||
	    rounds < 1) {
		fprintf(stderr, "usage: see the head of steps.c\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	int i;

	options(argc, argv);
	rounds++;
	learn();
	for (i = 0; i < count && !short_conns; i++)
		conns[i] = dial();
	warm();
	read_maps();
	attach();
	for (i = 0; i < rounds; i++) {
		send_all();
		traced_round();
		if (!i)		/* the attaching itself */
			clear();
	}
	rounds--;
	detach();
	print();
	return 0;
}
