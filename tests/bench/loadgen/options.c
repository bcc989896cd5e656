/* options.c - the command line */
#include "load.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options O = {
	.rule_kind = "mixed", .duration = 1.0, .warmup = -1, .stall = 5, .timeout = 60,
	.window = 1, .payload = 8, .batch = 32, .subs = 1, .conc = 1,
	.name = SVC_NAME, .methods = SVC_METHOD,
};

void usage(void)
{
	fprintf(stderr,
		"usage: loadgen --address ADDR --workload W [options]\n"
		"  W: call fdpass fanout filtered connect idle names native-call native-fanout\n"
		"  --duration S | --count N   length of the measured phase\n"
		"  --warmup S                 before it (default: a fifth)\n"
		"  --window N                 calls in flight (call, fdpass, idle, names)\n"
		"  --payload B  --body ay|s   size and type of the payload\n"
		"  --dest unique|wellknown    how the service is addressed\n"
		"  --name N                   the service's name (wellknown)\n"
		"  --methods I.M[,I.M...]     what it is called for, in turn\n"
		"  --client UID               who the client is (call), if not this user\n"
		"  --subs N                   subscribers (fanout, filtered)\n"
		"  --batch K                  signals per acknowledged batch\n"
		"  --unicast                  one message for each subscriber (native-fanout)\n"
		"  --holders N  --rules M     extra connections with M rules each that never match\n"
		"  --rule-kind mixed|iface|path|arg0|sender|noc|object\n"
		"  --conc N                   connections being made at a time (connect)\n"
		"  --raw                      no D-Bus semantics, for the relay (call only)\n"
		"  --bus-pid PID              the process to account CPU and memory to\n"
		"  --stall S  --timeout S     give up: without progress, in total\n");
	exit(2);
}

static void set(int o, const char *v)
{
	switch (o) {
	case 'a': O.address = v; break;
	case 'w': O.workload = v; break;
	case 'd': O.duration = atof(v); break;
	case 'c': O.count = strtoull(v, NULL, 10); break;
	case 'u': O.warmup = atof(v); break;
	case 'W': O.window = atoi(v); break;
	case 'p': O.payload = atoi(v); break;
	case 'b': O.body_s = !strcmp(v, "s"); break;
	case 'D': O.wellknown = !strcmp(v, "wellknown"); break;
	case 'n': O.name = v; break;
	case 'm': O.methods = v; break;
	case 'U': O.client = atoi(v); break;
	case 's': O.subs = atoi(v); break;
	case 'K': O.batch = atoi(v); break;
	case 'N': O.holders = atoi(v); break;
	case 'M': O.rules = atoi(v); break;
	case 'k': O.rule_kind = v; break;
	case 'C': O.conc = atoi(v); break;
	case 'r': O.raw = true; break;
	case 'o': O.unicast = true; break;
	case 'B': O.bus = atoi(v); break;
	case 'S': O.stall = atof(v); break;
	case 'T': O.timeout = atof(v); break;
	default: usage();
	}
}

void options_read(int argc, char **argv)
{
	static const struct option lo[] = {
		{ "address", 1, 0, 'a' }, { "workload", 1, 0, 'w' }, { "duration", 1, 0, 'd' },
		{ "count", 1, 0, 'c' }, { "warmup", 1, 0, 'u' }, { "window", 1, 0, 'W' },
		{ "payload", 1, 0, 'p' }, { "body", 1, 0, 'b' }, { "dest", 1, 0, 'D' },
		{ "subs", 1, 0, 's' }, { "batch", 1, 0, 'K' }, { "holders", 1, 0, 'N' },
		{ "rules", 1, 0, 'M' }, { "rule-kind", 1, 0, 'k' }, { "conc", 1, 0, 'C' },
		{ "raw", 0, 0, 'r' }, { "bus-pid", 1, 0, 'B' }, { "stall", 1, 0, 'S' },
		{ "timeout", 1, 0, 'T' }, { "name", 1, 0, 'n' }, { "methods", 1, 0, 'm' },
		{ "client", 1, 0, 'U' }, { "unicast", 0, 0, 'o' }, {},
	};
	int o;

	O.client = getuid();
	while ((o = getopt_long(argc, argv, "", lo, NULL)) >= 0)
		set(o, optarg);
	if (optind != argc || !O.address || !O.workload)
		usage();
	if (O.warmup < 0)
		O.warmup = O.duration / 5;
	if (O.payload < 8 || O.window < 1 || O.window > 2048 || O.batch < 1 || !O.subs || !O.conc ||
	    (O.raw && strcmp(O.workload, "call")))
		usage();
}
