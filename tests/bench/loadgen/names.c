/* names.c - names: RequestName and ReleaseName in cycles, NameOwnerChanged watched by another */
#include "load.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING 4096                       /* above two requests per cycle of the window */
#define ACK_EVERY 128                   /* owner changes: 64 cycles */
#define MAX_LAG 256                     /* cycles the watcher may be behind */

static struct conn g_conn;

/* ---- the watcher */

static void on_owner_changed(const struct msg *m)
{
	static bool owned[4096];
	const char *a[3];
	unsigned i;

	if (m->type != T_SIGNAL || !eq(m->sender, DRV_NAME) || !eq(m->member, "NameOwnerChanged") ||
	    !msg_strings(m, a, 3))
		die("want NameOwnerChanged, got %s", msg_str(m));
	if (a[0][0] == ':')
		return;                 /* peers coming and going */
	if (strncmp(a[0], CYC_NAME, strlen(CYC_NAME)) || (i = atoi(a[0] + strlen(CYC_NAME))) >= 4096)
		die("NameOwnerChanged for an unknown name %.100s", a[0]);
	if (strcmp(a[owned[i] ? 1 : 2], S->cli_name) || *a[owned[i] ? 2 : 1])
		die("NameOwnerChanged(%s, '%s', '%s') out of order", a[0], a[1], a[2]);
	owned[i] = !owned[i];
	S->delivered++;
	if (!(S->delivered % ACK_EVERY) && write(p_ack[1], "a", 1) != 1)
		die("ack pipe: %s", strerror(errno));
}

void role_watcher(void)
{
	struct conn *c = &g_conn;
	struct msg m;

	conn_open(c, 64 << 10);
	add_match(c, "type='signal',sender='" DRV_NAME "',path='" DRV_PATH "',interface='" DRV_NAME
		  "',member='NameOwnerChanged'");
	ready();
	wait_go();
	for (;;) {
		struct pollfd p[2] = { { c->fd, POLLIN, 0 }, { p_stop[0], POLLIN, 0 } };

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			conn_fill(c);
		else if (p[1].revents)
			break;
		while (conn_next(c, &m))
			on_owner_changed(&m);
	}
	if (S->delivered != S->issued * 2)
		die("saw %lu owner changes for %lu cycles", (unsigned long)S->delivered, (unsigned long)S->issued);
}

/* ---- the one who requests and releases */

struct request {
	uint32_t serial;
	unsigned name;
	bool release;
	uint64_t t;                     /* when its cycle began */
};

static struct request g_ring[RING];     /* requests in flight are [g_head, g_tail) */
static uint64_t g_head, g_tail;
static unsigned g_idle[RING], g_nidle;  /* names not in use */
static uint64_t g_begun, g_done, g_acquired, g_lost, g_acks; /* in all phases */

static void request(struct conn *c, unsigned name, bool release, uint64_t t)
{
	char s[64];

	snprintf(s, sizeof s, CYC_NAME "%u", name);
	g_ring[g_tail++ % RING] = (struct request){
		.serial = driver_send(c, release ? "ReleaseName" : "RequestName", s, !release, release ? 0 : 4),
		.name = name, .release = release, .t = t,
	};
	conn_flush(c);
}

static void on_name_signal(const struct msg *m)
{
	const char *name;

	if (!msg_strings(m, &name, 1) || strncmp(name, CYC_NAME, strlen(CYC_NAME)))
		die("name signal for the wrong name %s", msg_str(m));
	++*(eq(m->member, "NameAcquired") ? &g_acquired : &g_lost);
}

static void on_reply(struct conn *c, const struct msg *m, bool record)
{
	struct request *q = &g_ring[g_head % RING];

	if (m->type != T_RETURN || g_head == g_tail || m->rserial != q->serial)
		die("want a reply to %u, got %s", q->serial, msg_str(m));
	if (!eq(m->sig, "u") || get32(m->body) != 1)
		die("%sName: not 1 %s", q->release ? "Release" : "Request", msg_str(m));
	g_head++;
	if (!q->release) {
		request(c, q->name, true, q->t);
		return;
	}
	if (record)
		latency_add(now_ns() - q->t);
	g_done++;
	g_idle[g_nidle++] = q->name;
}

static void on_message(struct conn *c, const struct msg *m, bool record)
{
	if (!eq(m->sender, DRV_NAME))
		die("message from %s %s", nz(m->sender), msg_str(m));
	if (m->type == T_SIGNAL && (eq(m->member, "NameAcquired") || eq(m->member, "NameLost")))
		on_name_signal(m);
	else
		on_reply(c, m, record);
}

static void wait_for_either(struct conn *c)
{
	struct pollfd p[2] = { { c->fd, POLLIN | (conn_pending(c) ? POLLOUT : 0), 0 }, { p_ack[0], POLLIN, 0 } };
	int r = poll(p, 2, O.stall * 1000);
	char b[64];
	ssize_t k;

	if (!r)
		die("no progress for %.0f s: replies or name signals are missing", O.stall);
	if (r > 0 && p[1].revents && (k = read(p_ack[0], b, sizeof b)) > 0)
		g_acks += k;
	if (r > 0 && p[0].revents & POLLOUT)
		conn_flush(c);
	if (r > 0 && p[0].revents & ~POLLOUT)
		conn_fill(c);
}

/* the phase is over when the watcher has seen everything, too */
static void await_watcher(void)
{
	for (uint64_t until = now_ns() + O.stall * 1e9; S->delivered < 2 * g_done; usleep(50))
		if (now_ns() > until)
			die("the watcher saw %lu of %lu owner changes", (unsigned long)S->delivered,
			    (unsigned long)(2 * g_done));
}

static uint64_t phase_names(struct phase *p)
{
	uint64_t first = g_begun;
	struct conn *c = &g_conn;
	bool stop = false;
	struct msg m;

	for (;;) {
		stop = stop || phase_over(p, g_begun - first);
		if (stop && g_done == g_begun && g_acquired == g_done && g_lost == g_done)
			break;
		if (!stop && g_nidle && g_begun - g_acks * (ACK_EVERY / 2) < MAX_LAG) {
			g_begun++;
			request(c, g_idle[--g_nidle], false, now_ns());
			continue;
		}
		wait_for_either(c);
		while (conn_next(c, &m))
			on_message(c, &m, p->record);
	}
	await_watcher();
	S->issued = g_done;
	return g_begun - first;
}

void role_namer(void)
{
	conn_open(&g_conn, 64 << 10);
	strcpy(S->cli_name, g_conn.name);
	for (; g_nidle < O.window; g_nidle++)
		g_idle[g_nidle] = g_nidle;
	latency_init();
	ready();
	wait_go();
	drive(phase_names);
	latency_report();
	finish(&g_conn);
}
