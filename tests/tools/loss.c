/* SPDX-License-Identifier: MIT */
/*
 * Description: short connections at a fixed rate, and what became of each.
 *
 *	loss -p PORT [-a ADDRESS] [-q REQUEST] [-e ANSWER] [-x] [-k]
 *	     [-r RATE] [-n COUNT] [-t SECONDS] [-u FILE] [-o FILE]
 *	     [-c CPU] [-s SOURCES] [-w SECONDS] [-l MS]
 *	     [-m OPEN] [-K MASTER -i MS [-f MS [-G]] [-W WORD]]
 *
 * One request for each connection; REQUEST and ANSWER may have \r and \n. An
 * answer of HTTP is whole when its body is, and then the body is compared with
 * ANSWER; any other must be ANSWER. ADDRESS may be IPv6 or a path. -x: the
 * server has to close after it; -k: connections stay open, all at once.
 * Ends after COUNT connections, SECONDS, or when FILE (-u) exists; makes the
 * file of -o once it has answers. -c: runs on that CPU; -s: so many addresses
 * of 127.0.0.2 and on take turns; -m: so many at once. An answer is late after -l milliseconds and
 * missing after -w seconds.
 *
 * -K kills a random child of MASTER (whose command line has WORD) every -i
 * milliseconds, -f milliseconds after having stopped it. What was under way
 * when the child stopped or died is "exposed", its loss counts as "hand" and
 * not as a failure: the child may have had it in hand. What began later has
 * no excuse. -G lets it go on instead of killing it.
 *
 * Prints one line of NAME=VALUE, one "failed" line for each of the first
 * failures, and "by BODY COUNT" for the bodies that came. Exit status 1 if
 * there was a failure that had no excuse, 2 if it could not begin.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNS 4096
#define ANSWER_MAX 1000
#define LABELS 256
#define SHOWN 8			/* failures that are told one by one */
#define SETTLED 50		/* answers after which -o is made */

enum kind {
	REFUSED, RESET, CUT, UNANSWERED, WRONG, OTHER, KINDS
};

static const char *const kinds[KINDS] = {
	"refused", "reset", "cut", "unanswered", "wrong", "other"
};

struct conn {
	int fd;			/* -1: free */
	bool sent, answered, exposed;
	int64_t began;
	size_t got;
	char answer[ANSWER_MAX + 1];
};

static struct {
	struct sockaddr_storage sa;
	socklen_t len;
	const char *until, *ready, *word;
	char request[1000], answer[ANSWER_MAX];
	bool expects, server_closes, keep, go_on;
	double rate, seconds;
	long count, at_once;
	int sources;
	int64_t missing_ns, late_ns;
	pid_t master;
	int64_t kill_ns, freeze_ns;
} opt = { .rate = 2000, .seconds = 60, .count = 1000000000, .at_once = CONNS, .sources = 16,
	  .missing_ns = 5000000000, .late_ns = 900000000, .word = "" };

static struct conn conns[CONNS];
static long started, answered, late, hand, exposed, kills, open_count;
static long failures[KINDS];
static int64_t began, longest;
static int epfd;
static pid_t frozen;		/* stopped, and not yet killed */
static struct label {
	char text[64];
	long count;
} labels[LABELS];

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "loss: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* --- one connection ------------------------------------------------------ */

static void end(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	open_count--;
}

static void failed(struct conn *c, enum kind kind, int err)
{
	static int shown;

	if (shown++ < SHOWN)
		printf("failed %s%s%s%s began=%.3f after_ms=%.1f got=%zu\n",
		       kinds[kind], c->exposed ? " (hand)" : "",
		       err ? " " : "", err ? strerrorname_np(err) : "",
		       (double)(c->began - began) / 1e9,
		       (double)(now_ns() - c->began) / 1e6, c->got);
	if (c->exposed)
		hand++;
	else
		failures[kind]++;
	end(c);
}

static void failed_errno(struct conn *c, int err)
{
	if (err == ECONNREFUSED || err == ENOENT)
		failed(c, REFUSED, err);
	else if (err == ECONNRESET || err == EPIPE)
		failed(c, RESET, err);
	else
		failed(c, err == ETIMEDOUT ? UNANSWERED : OTHER, err);
}

static void count_label(const char *text, size_t len)
{
	char word[sizeof(labels->text)] = "";
	size_t i;

	for (i = 0; i < len && i < sizeof(word) - 1; i++)
		word[i] = isgraph((unsigned char)text[i]) ? text[i] : ' ';
	while (i && word[i - 1] == ' ')
		word[--i] = 0;
	for (i = 0; i < LABELS; i++) {
		if (labels[i].count && strcmp(labels[i].text, word))
			continue;
		memcpy(labels[i].text, word, sizeof(word));
		labels[i].count++;
		return;
	}
}

/* The answer is whole (1), may become so (0), or never will (-1). */
static int judge(const struct conn *c)
{
	size_t want = strlen(opt.answer), body;
	const char *text = c->answer, *end_of_head, *length;

	if (strncmp(text, "HTTP/1.", c->got < 7 ? c->got : 7)) {
		if (c->got > want || memcmp(text, opt.answer, c->got))
			return -1;
		return c->got == want;
	}
	end_of_head = strstr(text, "\r\n\r\n");
	if (!end_of_head)
		return 0;
	length = strcasestr(text, "\r\nContent-Length:");
	if (!length || length > end_of_head || strncmp(text + 8, " 200 ", 5))
		return -1;
	body = (size_t)atol(length + 17);
	text = end_of_head + 4;
	if (c->got - (size_t)(text - c->answer) != body)
		return c->got - (size_t)(text - c->answer) < body ? 0 : -1;
	if (opt.expects && (body != want || memcmp(text, opt.answer, want)))
		return -1;
	return 1;
}

static void complete(struct conn *c)
{
	const char *body = strstr(c->answer, "\r\n\r\n");
	int64_t took = now_ns() - c->began;

	body = body ? body + 4 : c->answer;
	count_label(body, strlen(body));
	answered++;
	if (took > longest)
		longest = took;
	if (took > opt.late_ns)
		late++;
	if (opt.keep)
		c->answered = true;
	else
		end(c);
}

static void pull(struct conn *c)
{
	ssize_t n;
	int verdict;

	while (c->fd >= 0) {
		n = read(c->fd, c->answer + c->got, ANSWER_MAX - c->got);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			failed_errno(c, errno);
			return;
		}
		c->got += (size_t)n;
		c->answer[c->got] = 0;
		verdict = c->got ? judge(c) : 0;
		if (verdict < 0 || c->answered || c->got == ANSWER_MAX)
			failed(c, n ? WRONG : CUT, 0);
		else if (!n && !verdict)
			failed(c, CUT, 0);
		else if (verdict > 0 && (!n || !opt.server_closes))
			complete(c);
	}
}

static void handle(struct conn *c, uint32_t events)
{
	size_t len = strlen(opt.request);
	socklen_t size = sizeof(int);
	int err = 0;

	if (c->fd < 0)
		return;
	if (!c->sent && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size);
		if (!err && len && send(c->fd, opt.request, len,
					MSG_NOSIGNAL) != (ssize_t)len)
			err = errno;
		if (err) {
			failed_errno(c, err);
			return;
		}
		c->sent = true;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		pull(c);
}

/* --- new connections ----------------------------------------------------- */

static int dial(long number)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int one = 1, fd;

	fd = socket(opt.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		die("socket");
	if (opt.sa.ss_family == AF_INET && opt.sources) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
			   sizeof(one));
		from.sin_addr.s_addr = htonl(0x7f000002 +
					     (uint32_t)(number % opt.sources));
		bind(fd, (struct sockaddr *)&from, sizeof(from));
	}
	return fd;
}

static void open_conn(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					    EPOLLET, .data.ptr = c };

	memset(c, 0, offsetof(struct conn, answer));
	c->answer[0] = 0;
	c->began = now_ns();
	c->fd = dial(started++);
	open_count++;
	if (connect(c->fd, (struct sockaddr *)&opt.sa, opt.len) < 0 &&
	    errno != EINPROGRESS && errno != EAGAIN)
		failed_errno(c, errno);
	else
		epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

/* Those that are due. What found no free place comes later: the rate is of
 * what is asked, not of what is answered. */
static void open_due(void)
{
	static int turn;
	long due = (long)((double)(now_ns() - began) / 1e9 * opt.rate) + 1;
	int i;

	if (due > opt.count)
		due = opt.count;
	for (i = 0; i < CONNS && started < due && open_count < opt.at_once;
	     i++) {
		turn = (turn + 1) % CONNS;
		if (conns[turn].fd < 0)
			open_conn(&conns[turn]);
	}
}

static void look_for_missing(void)
{
	static int64_t last;
	int64_t now = now_ns();
	int i;

	if (now - last < 50000000)
		return;
	last = now;
	for (i = 0; i < CONNS; i++)
		if (conns[i].fd >= 0 && !conns[i].answered &&
		    now - conns[i].began > opt.missing_ns)
			failed(&conns[i], UNANSWERED, 0);
}

/* --- killing a worker ---------------------------------------------------- */

static int read_proc(pid_t pid, const char *what, char *buf, int size)
{
	char path[80];
	int fd, n;

	snprintf(path, sizeof(path), what, pid, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : (int)read(fd, buf, (size_t)size - 1);
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n;
}

static pid_t pick_child(void)
{
	char list[4096], name[256], *rest = list, *word;
	pid_t found = 0, pid;
	int n = 0;

	read_proc(opt.master, "/proc/%d/task/%d/children", list, sizeof(list));
	while ((word = strsep(&rest, " "))) {
		pid = atoi(word);
		if (pid > 0 && read_proc(pid, "/proc/%d/cmdline", name,
					 sizeof(name)) > 0 &&
		    strstr(name, opt.word) && !strstr(name, "shutting") &&
		    rand() % ++n == 0)
			found = pid;
	}
	return found;
}

static void expose(void)
{
	int i;

	for (i = 0; i < CONNS; i++) {
		if (conns[i].fd < 0 || conns[i].answered)
			continue;
		exposed += !conns[i].exposed;
		conns[i].exposed = true;
	}
}

static void stop_child(pid_t pid)
{
	char stat[256] = "";
	int64_t end_at = now_ns() + 1000000000;

	kill(pid, SIGSTOP);
	while (now_ns() < end_at) {
		read_proc(pid, "/proc/%d/stat", stat, sizeof(stat));
		if (!strchr(stat, ')') || strchr(stat, ')')[2] == 'T')
			break;
	}
	if (!opt.go_on)
		expose();
}

static void kill_child(pid_t pid)
{
	struct pollfd p = { .fd = -1, .events = POLLIN };

	if (opt.go_on) {
		kill(pid, SIGCONT);
		kills++;
		return;
	}
	p.fd = pidfd_open(pid, 0);
	if (p.fd < 0)
		return;
	kill(pid, SIGKILL);
	if (poll(&p, 1, 2000) == 1)
		kills++;
	close(p.fd);
	if (!opt.freeze_ns)
		expose();
}

/* Whom it stopped it kills, also after the last connection. */
static void kill_due(bool last)
{
	static int64_t next, thaw;
	int64_t now = now_ns();
	pid_t pid;

	if (frozen && now >= thaw) {
		kill_child(frozen);
		frozen = 0;
	}
	if (!next)
		next = began + opt.kill_ns;
	if (!opt.master || last || frozen || now < next)
		return;
	next += opt.kill_ns;
	pid = pick_child();
	if (pid && opt.freeze_ns) {
		stop_child(pid);
		frozen = pid;
		thaw = now + opt.freeze_ns;
	} else if (pid) {
		kill_child(pid);
	}
}

/* --- all of them --------------------------------------------------------- */

static bool enough(void)
{
	return started >= opt.count ||
	       now_ns() - began > (int64_t)(opt.seconds * 1e9) ||
	       (opt.until && !access(opt.until, F_OK));
}

static void announce(void)
{
	if (!opt.ready || answered < SETTLED)
		return;
	close(open(opt.ready, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	opt.ready = NULL;
}

static void run(void)
{
	struct epoll_event events[256];
	bool last = false;
	int i, n;

	while (!last || frozen || open_count > (opt.keep ? answered : 0)) {
		n = epoll_wait(epfd, events, 256, 1);
		for (i = 0; i < n; i++)
			handle(events[i].data.ptr, events[i].events);
		last = last || enough();
		if (!last)
			open_due();
		kill_due(last);
		look_for_missing();
		announce();
	}
}

static int report(void)
{
	long all = 0;
	int i;

	printf("started=%ld answered=%ld", started, answered);
	for (i = 0; i < KINDS; i++) {
		printf(" %s=%ld", kinds[i], failures[i]);
		all += failures[i];
	}
	printf(" late=%ld longest_ms=%.0f seconds=%.1f", late,
	       (double)longest / 1e6, (double)(now_ns() - began) / 1e9);
	if (opt.master)
		printf(" kills=%ld exposed=%ld hand=%ld", kills, exposed, hand);
	printf("\n");
	for (i = 0; i < LABELS && labels[i].count; i++)
		printf("by %s %ld\n", labels[i].text, labels[i].count);
	return all || !answered;
}

/* --- options ------------------------------------------------------------- */

static void unescape(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n < size - 1; text++) {
		if (text[0] == '\\' && (text[1] == 'r' || text[1] == 'n'))
			out[n++] = *++text == 'r' ? '\r' : '\n';
		else
			out[n++] = *text;
	}
	out[n] = 0;
}

static void set_address(const char *text, int port)
{
	struct sockaddr_in *in = (void *)&opt.sa;
	struct sockaddr_in6 *in6 = (void *)&opt.sa;
	struct sockaddr_un *un = (void *)&opt.sa;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		opt.len = sizeof(*in);
	} else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		opt.len = sizeof(*in6);
	} else {
		un->sun_family = AF_UNIX;
		strncpy(un->sun_path, text, sizeof(un->sun_path) - 1);
		opt.len = sizeof(*un);
	}
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static int64_t ms(const char *text)
{
	return (int64_t)(atof(text) * 1e6);
}

static void one_option(int c, const char **address, int *port)
{
	switch (c) {
	case 'p': *port = atoi(optarg); break;
	case 'a': *address = optarg; break;
	case 'q': unescape(opt.request, sizeof(opt.request), optarg); break;
	case 'e': unescape(opt.answer, sizeof(opt.answer), optarg);
		  opt.expects = true; break;
	case 'x': opt.server_closes = true; break;
	case 'k': opt.keep = true; break;
	case 'r': opt.rate = atof(optarg); break;
	case 'n': opt.count = atol(optarg); break;
	case 't': opt.seconds = atof(optarg); break;
	case 'u': opt.until = optarg; break;
	case 'o': opt.ready = optarg; break;
	case 'c': pin(atoi(optarg)); break;
	case 's': opt.sources = atoi(optarg); break;
	case 'w': opt.missing_ns = ms(optarg) * 1000; break;
	case 'l': opt.late_ns = ms(optarg); break;
	case 'K': opt.master = atoi(optarg); break;
	case 'i': opt.kill_ns = ms(optarg); break;
	case 'f': opt.freeze_ns = ms(optarg); break;
	case 'G': opt.go_on = true; break;
	case 'm': opt.at_once = atol(optarg); break;
	case 'W': opt.word = optarg; break;
	default: exit(2);
	}
}

int main(int argc, char **argv)
{
	struct rlimit lim;
	const char *address = "127.0.0.1";
	int c, port = 0;

	while ((c = getopt(argc, argv,
			   "p:a:q:e:xkr:n:t:u:o:c:s:w:l:m:K:i:f:GW:")) != -1)
		one_option(c, &address, &port);
	set_address(address, port);
	if (opt.keep && opt.count > CONNS)
		opt.count = CONNS;
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	for (c = 0; c < CONNS; c++)
		conns[c].fd = -1;
	srand((unsigned int)now_ns());
	began = now_ns();
	run();
	return report();
}
