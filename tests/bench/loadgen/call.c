/* call.c - call, fdpass, idle: a client keeps a window of calls in flight, a service answers each */
#include "load.h"
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING 4096                       /* above the largest window */

static struct conn g_conn;
static struct { char *iface, *member; struct tmpl t; } g_calls[MAX_METHODS];
static unsigned g_methods;
static struct tmpl g_reply;
static int g_passed = -1;               /* the fd that fdpass passes */

static bool passes_fds(void) { return !strcmp(O.workload, "fdpass"); }

/* INTERFACE.MEMBER, ... : the calls go round */
static void read_methods(void)
{
	char *text = strdup(O.methods), *one;

	while ((one = strsep(&text, ","))) {
		char *dot = strrchr(one, '.');

		if (!dot || g_methods == MAX_METHODS)
			usage();
		*dot = 0;
		g_calls[g_methods].iface = one;
		g_calls[g_methods++].member = dot + 1;
	}
}

static void build_calls(const char *sender)
{
	read_methods();
	for (unsigned i = 0; i < g_methods; i++)
		tmpl_build(&g_calls[i].t, &(struct spec){ .type = T_CALL, .path = SVC_PATH,
			.iface = g_calls[i].iface, .member = g_calls[i].member,
			.dest = O.wellknown ? O.name : S->svc_name, .payload = O.payload, .sender = sender,
			.nfds = passes_fds() });
}

static void build_reply(const char *sender)
{
	tmpl_build(&g_reply, &(struct spec){ .type = T_RETURN, .flags = FL_NO_REPLY, .dest = S->cli_name,
		.reply = true, .payload = O.payload, .sender = sender });
}

/* as both sides know them: through a relay nobody stamps the sender */
static void build_templates(void)
{
	build_calls(O.raw ? ":1.1" : NULL);
	build_reply(O.raw ? ":1.2" : NULL);
}

static void own_service_name(struct conn *c)
{
	struct msg m;

	driver_wait(c, driver_send(c, "RequestName", O.name, true, 4), &m, "RequestName");
	if (!eq(m.sig, "u") || get32(m.body) != 1)
		die("RequestName did not make us the owner");
	await_acquired(c, 2);
}

static void check_fd(struct conn *c)
{
	int fd = conn_take_fd(c);
	struct stat st;

	if (fstat(fd, &st) || st.st_ino != S->fd_ino || st.st_dev != S->fd_dev)
		die("received an fd that is not the one sent");
	close(fd);
}

static void answer(struct conn *c, const struct msg *m, uint64_t n)
{
	unsigned i = n % g_methods;

	if (m->type != T_CALL || !eq(m->sender, S->cli_name) || !eq(m->path, SVC_PATH) || !eq(m->iface, g_calls[i].iface) ||
	    !eq(m->member, g_calls[i].member) || !eq(m->dest, O.wellknown ? O.name : c->name))
		die("not the call that %s made: %s", S->cli_name, msg_str(m));
	check_body(m, &g_calls[i].t, n);
	if (m->nfds != c->fds)
		die("message announces %u fds", m->nfds);
	if (c->fds)
		check_fd(c);
	tmpl_number(&g_reply, next_serial(c), n);
	tmpl_reply_to(&g_reply, m->serial);
	conn_send(c, &g_reply, -1);
}

/* answers calls until told to stop; returns how many */
static uint64_t serve(struct conn *c)
{
	uint64_t n = 0;
	struct msg m;

	for (;;) {
		struct pollfd p[2] = {
			{ c->fd, POLLIN | (conn_pending(c) ? POLLOUT : 0), 0 },
			{ p_stop[0], POLLIN, 0 },
		};

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return n;
		if (p[0].revents & POLLOUT)
			conn_flush(c);
		if (!(p[0].revents & ~POLLOUT))
			continue;
		conn_fill(c);
		while (conn_next(c, &m))
			answer(c, &m, n++);
	}
}

void role_service(void)
{
	struct conn *c = &g_conn;
	uint64_t n;

	if (O.raw)
		conn_open_raw(c, ":1.2");
	else
		conn_open(c, 256 << 10);
	if (O.wellknown)
		own_service_name(c);
	c->fds = passes_fds();
	strcpy(S->svc_name, c->name);
	ready();
	wait_go();                      /* the client's name is known from here on */
	build_templates();
	n = serve(c);
	if (n != S->issued)
		die("answered %lu calls, the client made %lu", (unsigned long)n, (unsigned long)S->issued);
	if (c->ihead != c->itail || c->fdh != c->fdt)
		die("left-over input at the end");
}

static struct { uint32_t serial; uint64_t t; } g_ring[RING];
static uint64_t g_sent, g_answered;     /* in all phases */

/* false when it did not go out */
static bool call(struct conn *c)
{
	struct tmpl *t = &g_calls[g_sent % g_methods].t;
	uint32_t serial = c->serial + 1;

	serial += !serial;
	tmpl_number(t, serial, g_sent);
	g_ring[g_sent % RING].serial = serial;
	g_ring[g_sent % RING].t = now_ns();
	if (!conn_send(c, t, g_passed))
		return false;
	c->serial = serial;
	g_sent++;
	return true;
}

static void check_reply(struct conn *c, const struct msg *m)
{
	if (m->type != T_RETURN)
		die("want a method return, got %s %.200s", msg_str(m), eq(m->sig, "s") ? (const char *)m->body + 4 : "");
	if (g_answered == g_sent)
		die("reply without a call %s", msg_str(m));
	if (m->rserial != g_ring[g_answered % RING].serial)
		die("reply_serial: want %u, got %s", g_ring[g_answered % RING].serial, msg_str(m));
	if (!eq(m->sender, S->svc_name) || !eq(m->dest, c->name))
		die("reply not from %s to %s: %s", S->svc_name, c->name, msg_str(m));
	check_body(m, &g_reply, g_answered);
}

static uint64_t phase_call(struct phase *p)
{
	uint64_t first = g_sent;
	struct conn *c = &g_conn;
	bool stop = false;
	struct msg m;

	for (;;) {
		while (!stop && g_sent - g_answered < O.window && !conn_pending(c)) {
			stop = phase_over(p, g_sent - first);
			if (stop || !call(c))
				break;
		}
		if (stop && g_answered == g_sent)
			break;
		conn_poll(c, "replies outstanding (lost?)");
		while (conn_next(c, &m)) {
			check_reply(c, &m);
			if (p->record)
				latency_add(now_ns() - g_ring[g_answered % RING].t);
			g_answered++;
		}
	}
	S->issued = g_sent;
	return g_sent - first;
}

static void open_passed(void)
{
	struct stat st;

	g_passed = memfd_create("bench", MFD_CLOEXEC);
	if (g_passed < 0 || fstat(g_passed, &st))
		die("memfd: %s", strerror(errno));
	S->fd_ino = st.st_ino;
	S->fd_dev = st.st_dev;
}

static void become_client(void)
{
	if (O.client != getuid() && (setgroups(0, NULL) || setgid(O.client) || setuid(O.client)))
		die("becoming user %u: %s", (unsigned)O.client, strerror(errno));
}

void role_client(void)
{
	become_client();
	if (O.raw)
		conn_open_raw(&g_conn, ":1.1");
	else
		conn_open(&g_conn, 256 << 10);
	strcpy(S->cli_name, g_conn.name);
	if (passes_fds())
		open_passed();
	latency_init();
	ready();
	wait_go();
	build_templates();
	drive(phase_call);
	latency_report();
	finish(&g_conn);
}
