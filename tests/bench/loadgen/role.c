/*
 * role.c - one process per role (service, client, emitter, ...): they set
 * themselves up, report ready, start together, and end together
 */
#include "load.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_LATENCIES (4u << 20)

struct shared *S;
int p_ready[2], p_go[2], p_stop[2], p_ack[2];
static const char *g_role = "main";
static uint32_t *g_latencies;
static size_t g_nlatencies;

void die(const char *fmt, ...)
{
	char buf[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	if (!S || !atomic_exchange(&S->failed, 1)) {
		if (S)
			snprintf(S->err, sizeof S->err, "%s: %s", g_role, buf);
		fprintf(stderr, "loadgen: %s: %s\n", g_role, buf);
	}
	_exit(3);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n);
	if (!p)
		die("out of memory");
	return p;
}

void *xmap(size_t n, int flags)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

void shared_init(void)
{
	S = xmap(sizeof *S, MAP_SHARED);
	if (pipe2(p_ready, O_CLOEXEC) || pipe2(p_go, O_CLOEXEC) || pipe2(p_stop, O_CLOEXEC) || pipe2(p_ack, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
}

void spawn(const char *role, void (*fn)(void))
{
	pid_t ppid = getpid(), pid;

	if (S->nroles >= MAX_ROLES)
		die("too many roles");
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid) {
		S->role[S->nroles++] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != ppid)
		_exit(3);
	close(p_stop[1]);
	g_role = role;
	fn();
	_exit(0);
}

void ready(void)
{
	if (write(p_ready[1], "r", 1) != 1)
		die("ready pipe: %s", strerror(errno));
}

void wait_go(void)
{
	char ch;
	ssize_t r;

	while ((r = read(p_go[0], &ch, 1)) < 0 && errno == EINTR)
		;
	if (r != 1)
		die("the coordinator went away");
}

static struct phase phase_new(bool record)
{
	double d = record ? O.duration : O.warmup;

	if (O.count)
		return (struct phase){ UINT64_MAX, record ? O.count : O.count / 10, record };
	return (struct phase){ now_ns() + d * 1e9, UINT64_MAX, record };
}

bool phase_over(const struct phase *p, uint64_t begun)
{
	return begun >= p->max || now_ns() >= p->end;
}

/* run a phase function twice: warm-up, then measured */
void drive(uint64_t (*fn)(struct phase *))
{
	struct phase p = phase_new(false);

	fn(&p);
	measure_begin();
	p = phase_new(true);
	measure_end(fn(&p));
}

/* the driving role is through: tell the coordinator, stay until all stop */
void finish(struct conn *c)
{
	struct msg m;
	char ch;

	if (c) {
		conn_fill(c);
		if (conn_next(c, &m))
			die("unexpected message after the last one: %s", msg_str(&m));
	}
	ready();
	while (read(p_stop[0], &ch, 1) < 0 && errno == EINTR)
		;
}

void latency_init(void)
{
	g_latencies = xmap(MAX_LATENCIES * sizeof *g_latencies, MAP_PRIVATE);
}

void latency_add(uint64_t ns)
{
	if (g_nlatencies < MAX_LATENCIES)
		g_latencies[g_nlatencies++] = ns > UINT32_MAX ? UINT32_MAX : ns;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void latency_report(void)
{
	if (!g_nlatencies)
		return;
	qsort(g_latencies, g_nlatencies, sizeof *g_latencies, compare);
	S->p50 = g_latencies[g_nlatencies / 2] / 1e3;
	S->p99 = g_latencies[(size_t)(g_nlatencies * 0.99)] / 1e3;
}
