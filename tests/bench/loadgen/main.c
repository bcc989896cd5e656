/* main.c - starts the roles of a workload, watches over them, prints the result */
#include "load.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The last role drives: it decides when a phase ends, and is the first to be through. */
static const struct workload {
	const char *name, *unit;
	unsigned messages;              /* routed per operation */
	struct { const char *name; void (*run)(void); } roles[2];
	void (*setup)(void);            /* before there are roles */
} WORKLOADS[] = {
	{ "call", "calls/s", 2, { { "service", role_service }, { "client", role_client } }, NULL },
	{ "idle", "calls/s", 2, { { "service", role_service }, { "client", role_client } }, NULL },
	{ "fdpass", "calls/s", 2, { { "service", role_service }, { "client", role_client } }, NULL },
	{ "fanout", "deliveries/s", 1, { { "subscriber", role_subscriber }, { "emitter", role_emitter } }, NULL },
	{ "filtered", "deliveries/s", 1, { { "subscriber", role_subscriber }, { "emitter", role_emitter } }, NULL },
	{ "names", "cycles/s", 1, { { "watcher", role_watcher }, { "namer", role_namer } }, NULL },
	{ "connect", "connections/s", 1, { { "connector", role_connector } }, NULL },
	{ "native-call", "calls/s", 2, { { "service", role_native_service }, { "client", role_native_client } },
	  native_call_setup },
	{ "native-fanout", "deliveries/s", 1,
	  { { "subscriber", role_native_subscriber }, { "emitter", role_native_emitter } }, native_fanout_setup },
};

static uint64_t g_deadline;

static void print_string(const char *p)
{
	putchar('"');
	for (; *p; p++) {
		if (*p == '"' || *p == '\\')
			putchar('\\');
		putchar((uint8_t)*p < 32 ? ' ' : *p);
	}
	putchar('"');
}

static void fail(const char *why)
{
	for (unsigned i = 0; i < S->nroles; i++)
		if (S->role[i] > 0)
			kill(S->role[i], SIGKILL);
	printf("{\"ok\":false,\"workload\":\"%s\",\"error\":", O.workload);
	print_string(atomic_load(&S->failed) && S->err[0] ? S->err : why);
	printf("}\n");
	fflush(stdout);
	_exit(1);
}

/* reap without blocking; a role that failed ends the run */
static void reap(void)
{
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		for (unsigned i = 0; i < S->nroles; i++)
			if (S->role[i] == pid)
				S->role[i] = -pid;
		if (!WIFEXITED(st) || WEXITSTATUS(st))
			fail("a role died");
	}
	if (now_ns() > g_deadline)
		fail("timeout of the whole run");
}

static void await_ready(void)
{
	struct pollfd p = { p_ready[0], POLLIN, 0 };
	char ch;

	while (poll(&p, 1, 100) <= 0 || read(p_ready[0], &ch, 1) != 1)
		reap();
}

/* the roles keep the CPUs busy; do not get in their way */
static void await_exit(unsigned role)
{
	while (S->role[role] > 0) {
		struct timespec ts = { .tv_nsec = 100000000 };
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGCHLD);
		sigtimedwait(&set, NULL, &ts);
		reap();
	}
}

static const struct workload *find_workload(void)
{
	for (size_t i = 0; i < sizeof WORKLOADS / sizeof *WORKLOADS; i++)
		if (!strcmp(O.workload, WORKLOADS[i].name))
			return &WORKLOADS[i];
	usage();
}

static void prepare(void)
{
	struct rlimit rl;
	sigset_t set;

	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	g_deadline = now_ns() + O.timeout * 1e9;
}

/* the idle connections; returns by how many KiB the bus grew */
static double hold(void)
{
	double before;

	if (!O.holders)
		return 0;
	settle();
	before = bus_memory();
	spawn("holder", role_holder);
	await_ready();
	settle();
	return bus_memory() - before;
}

static void run(const struct workload *w)
{
	unsigned n = 0;

	if (w->setup)
		w->setup();
	for (; n < 2 && w->roles[n].run; n++) {
		spawn(w->roles[n].name, w->roles[n].run);
		await_ready();
	}
	while (n--)
		if (write(p_go[1], "g", 1) != 1)
			fail("go pipe");
	await_ready();                  /* the driving role's finish() */
	close(p_stop[1]);
	for (unsigned i = 0; i < S->nroles; i++)
		await_exit(i);
	if (atomic_load(&S->failed))
		fail("a role failed");
	if ((w->roles[0].run == role_subscriber || w->roles[0].run == role_native_subscriber) &&
	    S->delivered != S->issued * O.subs)
		fail("the subscribers' total is wrong");
	if (!S->ops)
		fail("nothing was measured");
}

static void report(const struct workload *w, double grown)
{
	double seconds = (S->b.t - S->a.t) / 1e9, messages = (double)S->ops * w->messages;

	printf("{\"ok\":true,\"workload\":\"%s\",\"unit\":\"%s\",\"ops\":%lu,\"elapsed_s\":%.6f,\"rate\":%.2f", w->name,
	       w->unit, (unsigned long)S->ops, seconds, S->ops / seconds);
	if (S->p50)
		printf(",\"p50_us\":%.3f,\"p99_us\":%.3f", S->p50, S->p99);
	if (O.bus)
		printf(",\"bus_cpu_us\":%.4f", (S->b.bus - S->a.bus) / 1e3 / messages);
	if (O.bus && O.holders)
		printf(",\"grown_kib\":%.3f", grown / O.holders);
	if (S->copies)
		printf(",\"copies\":%.3f", (double)S->copies / S->issued);
	printf(",\"load_cpu_us\":%.4f}\n", (S->b.load - S->a.load) / 1e3 / messages);
}

int main(int argc, char **argv)
{
	const struct workload *w;
	double grown;

	options_read(argc, argv);
	w = find_workload();
	address_parse(O.address);
	shared_init();
	prepare();
	grown = hold();
	run(w);
	report(w, grown);
	return 0;
}
