/* hello.c - authentication, Hello, and calls to the driver */
#include "load.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* one SASL line out of the input buffer, or NULL */
char *conn_line(struct conn *c)
{
	uint8_t *s = c->in + c->ihead, *e;

	e = memmem(s, c->itail - c->ihead, "\r\n", 2);
	if (!e)
		return NULL;
	*e = 0;
	c->ihead = e + 2 - c->in;
	return (char *)s;
}

static void expect_line(struct conn *c, const char *word, bool guid)
{
	size_t n = strlen(word);
	char *l;

	while (!(l = conn_line(c)))
		conn_poll(c, word);
	if (strncmp(l, word, n) || (guid && (l[n] != ' ' || strlen(l + n + 1) != 32)))
		die("authentication: want %s, got '%s'", word, l);
}

size_t auth_line(char *buf, size_t n)
{
	char uid[16];
	size_t o;

	snprintf(uid, sizeof uid, "%u", (unsigned)getuid());
	buf[0] = 0;
	o = 1 + snprintf(buf + 1, n - 1, "AUTH EXTERNAL ");
	for (char *p = uid; *p; p++)
		o += snprintf(buf + o, n - o, "%02x", *p);
	return o + snprintf(buf + o, n - o, "\r\n");
}

void set_name(struct conn *c, const struct msg *m)
{
	if (!eq(m->sig, "s") || m->blen < 6 || get32(m->body) + 5 != m->blen || m->body[4] != ':' ||
	    m->body[m->blen - 1] || m->blen > 200)
		die("Hello: the reply does not hold a unique name %s", msg_str(m));
	strcpy(c->name, (const char *)m->body + 4);
	if (m->dest && !eq(m->dest, c->name))
		die("Hello: reply addressed to %s, not %s", m->dest, c->name);
}


uint32_t driver_send(struct conn *c, const char *member, const char *s, bool has_u, uint32_t u)
{
	static struct tmpl t;
	uint32_t ser = next_serial(c);

	tmpl_build(&t, &(struct spec){ .type = T_CALL, .path = DRV_PATH, .iface = DRV_NAME, .member = member,
		.dest = DRV_NAME, .args = s, .has_u = has_u, .argu = u });
	memcpy(t.m.d + 8, &ser, 4);
	conn_queue(c, t.m.d, t.m.n);
	return ser;
}

/* wait for the driver's reply to one call; counts NameAcquired on the way */
void driver_wait(struct conn *c, uint32_t ser, struct msg *m, const char *what)
{
	conn_flush(c);
	for (;;) {
		while (!conn_next(c, m))
			conn_poll(c, what);
		if (!eq(m->sender, DRV_NAME))
			die("%s: message from %s while talking to the driver %s", what, nz(m->sender), msg_str(m));
		if (m->type == T_SIGNAL && eq(m->member, "NameAcquired")) {
			c->acquired++;
			if (!ser)
				return;
			continue;
		}
		if (!ser)
			die("%s: unexpected message %s", what, msg_str(m));
		if (m->type == T_ERROR)
			die("%s: error %s: %.200s", what, nz(m->error),
			    eq(m->sig, "s") ? (const char *)m->body + 4 : "");
		if (m->type != T_RETURN || m->rserial != ser)
			die("%s: unexpected message (want a reply to %u) %s", what, ser, msg_str(m));
		return;
	}
}

/* until the nth name is ours */
void await_acquired(struct conn *c, unsigned n)
{
	struct msg m;

	while (c->acquired < n)
		driver_wait(c, 0, &m, "NameAcquired");
}

/* connect, authenticate, Hello, NameAcquired */
void conn_open(struct conn *c, size_t insize)
{
	char buf[128];
	struct msg m;

	conn_init(c, insize);
	conn_connect(c);
	conn_queue(c, buf, auth_line(buf, sizeof buf));
	conn_flush(c);
	expect_line(c, "OK", true);
	conn_queue(c, "NEGOTIATE_UNIX_FD\r\n", 19);
	conn_flush(c);
	expect_line(c, "AGREE_UNIX_FD", false);
	conn_queue(c, "BEGIN\r\n", 7);
	driver_wait(c, driver_send(c, "Hello", NULL, false, 0), &m, "Hello");
	set_name(c, &m);
	await_acquired(c, 1);
}

void conn_open_raw(struct conn *c, const char *name)
{
	conn_init(c, 256 << 10);
	conn_connect(c);
	strcpy(c->name, name);
}

void add_match(struct conn *c, const char *rule)
{
	struct msg m;

	driver_wait(c, driver_send(c, "AddMatch", rule, false, 0), &m, "AddMatch");
}
