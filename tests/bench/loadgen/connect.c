/* connect.c - connect: connections made up to NameAcquired and closed again, some at a time */
#include "load.h"
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAMES (1u << 21)

struct slot {
	struct conn c;
	enum { WANT_OK, WANT_AGREE, WANT_MESSAGES } state;
	bool hello;
};

static struct slot *g_slots;
static uint64_t *g_names;               /* hashes of all unique names seen */
static int g_ep;

static void check_new(const char *name)
{
	static unsigned used;
	uint64_t h = 1469598103934665603ull;
	unsigned i;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 1099511628211ull;
	h |= 1;
	if (++used > NAMES / 2)
		return;
	for (i = h >> 32 & (NAMES - 1); g_names[i]; i = (i + 1) & (NAMES - 1))
		if (g_names[i] == h)
			die("a unique name was handed out twice");
	g_names[i] = h;
}

static void say(struct conn *c, const char *line, size_t n)
{
	conn_queue(c, line, n);
	if (!conn_flush(c))
		die("socket full while authenticating");
}

static void slot_start(struct slot *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
	struct conn *c = &s->c;
	char buf[128];

	c->ihead = c->itail = c->ohead = c->otail = 0;
	c->serial = c->acquired = 0;
	c->name[0] = 0;
	s->hello = false;
	s->state = WANT_OK;
	conn_connect(c);
	epoll_ctl(g_ep, EPOLL_CTL_ADD, c->fd, &ev);
	say(c, buf, auth_line(buf, sizeof buf));
}

static void on_line(struct slot *s, const char *l)
{
	struct conn *c = &s->c;

	if (s->state == WANT_OK) {
		if (strncmp(l, "OK ", 3) || strlen(l + 3) != 32)
			die("authentication: want OK, got '%s'", l);
		say(c, "NEGOTIATE_UNIX_FD\r\n", 19);
		s->state = WANT_AGREE;
		return;
	}
	if (strcmp(l, "AGREE_UNIX_FD"))
		die("authentication: want AGREE_UNIX_FD, got '%s'", l);
	conn_queue(c, "BEGIN\r\n", 7);
	driver_send(c, "Hello", NULL, false, 0);
	say(c, "", 0);
	s->state = WANT_MESSAGES;
}

static void on_message(struct slot *s, const struct msg *m)
{
	struct conn *c = &s->c;

	if (!eq(m->sender, DRV_NAME))
		die("message from %s during connect %s", nz(m->sender), msg_str(m));
	if (m->type == T_RETURN && m->rserial == 1 && !s->hello) {
		set_name(c, m);
		check_new(c->name);
		s->hello = true;
	} else if (m->type == T_SIGNAL && eq(m->member, "NameAcquired") && !c->acquired) {
		c->acquired++;
	} else {
		die("unexpected message during connect %s", msg_str(m));
	}
}

/* true when this connection is complete and closed again */
static bool slot_step(struct slot *s)
{
	struct conn *c = &s->c;
	struct msg m;
	char *l;

	conn_fill(c);
	while (s->state != WANT_MESSAGES && (l = conn_line(c)))
		on_line(s, l);
	while (s->state == WANT_MESSAGES && conn_next(c, &m))
		on_message(s, &m);
	if (!s->hello || !c->acquired)
		return false;
	close(c->fd);
	return true;
}

static uint64_t phase_connect(struct phase *p)
{
	uint64_t begun = 0, done = 0;

	for (; begun < O.conc; begun++)
		slot_start(&g_slots[begun]);
	while (done < begun) {
		struct epoll_event ev[64];
		int k = epoll_wait(g_ep, ev, 64, O.stall * 1000);

		if (!k)
			die("no progress for %.0f s: connections do not complete", O.stall);
		for (int i = 0; i < k; i++) {
			if (!slot_step(ev[i].data.ptr))
				continue;
			done++;
			if (!phase_over(p, begun)) {
				slot_start(ev[i].data.ptr);
				begun++;
			}
		}
	}
	return done;
}

void role_connector(void)
{
	g_ep = epoll_create1(EPOLL_CLOEXEC);
	g_slots = calloc(O.conc, sizeof *g_slots);
	g_names = xmap(NAMES * sizeof *g_names, MAP_PRIVATE);
	for (unsigned i = 0; i < O.conc; i++)
		conn_init(&g_slots[i].c, 4096);
	ready();
	wait_go();
	drive(phase_connect);
	finish(NULL);
}
