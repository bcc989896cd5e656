/* account.c - the CPU time and memory of the bus, at rest before and after the measured phase */
#include "load.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* user and system time of a whole process, threads that have ended included */
static uint64_t cpu_ns(pid_t pid)
{
	struct timespec ts;
	clockid_t id;

	if (!pid || clock_getcpuclockid(pid, &id) || clock_gettime(id, &ts))
		return 0;
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t load_ns(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < S->nroles; i++)
		sum += cpu_ns(S->role[i]);
	return sum;
}

/* wait until the bus has stopped burning CPU */
void settle(void)
{
	uint64_t prev = 0, cur;

	for (int i = 0; O.bus && i < 200; i++, prev = cur) {
		cur = cpu_ns(O.bus);
		if (i && cur - prev < 20000)
			break;
		usleep(3000);
	}
}

void measure_begin(void)
{
	settle();
	S->a = (struct sample){ .bus = cpu_ns(O.bus), .load = load_ns(), .t = now_ns() };
}

void measure_end(uint64_t ops)
{
	S->b.t = now_ns();
	S->b.load = load_ns();
	settle();
	S->b.bus = cpu_ns(O.bus);
	S->ops = ops;
}

/* resident memory in KiB */
uint64_t bus_memory(void)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", O.bus);
	if (!O.bus || !(f = fopen(path, "re")))
		return 0;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "Rss: %lu", &kib) == 1)
			break;
	fclose(f);
	return kib;
}
