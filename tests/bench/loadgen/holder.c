/* holder.c - idle connections whose match rules never match; any message to one is a failure */
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define TICK "interface='" SIG_IFACE "',member='Tick'"

/* printed with the numbers of connection, rule, connection */
static const struct { const char *kind, *format; } RULES[] = {
	{ "iface", "type='signal',interface='org.bench.Other.c%u.r%u',member='Tick'" },
	{ "path", "type='signal',path='/org/bench/other/c%u/r%u'," TICK },
	{ "arg0", "type='signal'," TICK ",arg0='org.bench.other.c%u.r%u'" },
	{ "sender", "type='signal',sender='org.bench.nobody.c%u.r%u'," TICK },
	{ "noc", "type='signal',sender='" DRV_NAME "',path='" DRV_PATH "',interface='" DRV_NAME
		 "',member='NameOwnerChanged',arg0='org.bench.other.c%u.r%u'" },
	{ "object", "type='signal',path='/org/bench/idle/c%u/r%u',interface='org.bench.Idle.c%u',member='Changed'" },
};

/* mixed is the first three in turn */
static const char *rule_format(unsigned rule)
{
	if (!strcmp(O.rule_kind, "mixed"))
		return RULES[rule % 3].format;
	for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
		if (!strcmp(O.rule_kind, RULES[i].kind))
			return RULES[i].format;
	die("unknown --rule-kind %s", O.rule_kind);
}

static void add_rules(struct conn *c, unsigned number)
{
	struct msg m;

	for (unsigned r = 0; r < O.rules; ) {
		uint32_t serial[64];
		unsigned b = 0;

		for (; b < 64 && r < O.rules; b++, r++) {
			char rule[512];

			snprintf(rule, sizeof rule, rule_format(r), number, r, number);
			serial[b] = driver_send(c, "AddMatch", rule, false, 0);
		}
		for (unsigned j = 0; j < b; j++)
			driver_wait(c, serial[j], &m, "AddMatch");
	}
}

void role_holder(void)
{
	struct conn *c = calloc(O.holders, sizeof *c), *q;
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct msg m;

	epoll_ctl(ep, EPOLL_CTL_ADD, p_stop[0], &ev);
	for (unsigned i = 0; i < O.holders; i++) {
		conn_open(&c[i], 8 << 10);
		add_rules(&c[i], i);
		ev.data.ptr = &c[i];
		epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
	}
	ready();
	for (;;) {
		if (epoll_wait(ep, &ev, 1, -1) < 1)
			continue;
		if (!(q = ev.data.ptr))
			return;
		conn_fill(q);
		if (conn_next(q, &m))
			die("%s has no matching rule but received %s", q->name, msg_str(&m));
	}
}
