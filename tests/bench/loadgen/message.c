/* message.c - messages received: parsed with every length checked, compared with what was sent */
#include "load.h"
#include <stdio.h>
#include <string.h>

const char *nz(const char *s) { return s ? s : "(none)"; }
bool eq(const char *a, const char *b) { return a && b && !strcmp(a, b); }
uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

/* where a field's string belongs, NULL if nowhere */
static const char **string_of(struct msg *m, uint8_t code)
{
	switch (code) {
	case F_PATH: return &m->path;
	case F_IFACE: return &m->iface;
	case F_MEMBER: return &m->member;
	case F_ERROR: return &m->error;
	case F_DEST: return &m->dest;
	case F_SENDER: return &m->sender;
	case F_SIG: return &m->sig;
	}
	return NULL;
}

/* the value of one header field at p; returns where it ends */
static size_t parse_value(const uint8_t *d, size_t p, size_t end, uint8_t code, uint8_t type, struct msg *m)
{
	const char **to = string_of(m, code);
	uint32_t l;

	if (type != 'g' && p + 4 > end)
		die("header field %u overruns the header", code);
	if (type == 'u') {
		if (code == F_RSERIAL)
			m->rserial = get32(d + p);
		else if (code == F_FDS)
			m->nfds = get32(d + p);
		return p + 4;
	}
	if (type == 'g') {
		l = d[p];
		p += 1;
	} else if (type == 's' || type == 'o') {
		l = get32(d + p);
		p += 4;
	} else {
		die("header field %u has unexpected type '%c'", code, type);
	}
	if (l > end - p || p + l + 1 > end || d[p + l])
		die("header field %u overruns the header", code);
	if (to)
		*to = (const char *)d + p;
	return p + l + 1;
}

static void parse_fields(const uint8_t *d, size_t end, struct msg *m)
{
	uint32_t seen = 0;

	for (size_t p = 16; p < end; ) {
		uint8_t code;

		p = (p + 7) & ~7ul;
		if (p + 6 > end)
			die("truncated header field");
		code = d[p];
		if (d[p + 1] != 1 || d[p + 3] != 0)
			die("header field %u has a bad signature", code);
		if (code < 32 && seen >> code & 1)
			die("header field %u occurs twice", code);
		seen |= code < 32 ? 1u << code : 0;
		p = parse_value(d, p + 4, end, code, d[p + 2], m);
	}
}

/* false: not complete yet */
bool msg_parse(const uint8_t *d, size_t n, struct msg *m)
{
	uint32_t fields;
	size_t header;

	if (n < 16)
		return false;
	if (d[0] != WIRE_ENDIAN)
		die("bad or foreign endianness mark 0x%02x", d[0]);
	if (d[1] < 1 || d[1] > 4 || d[3] != 1)
		die("bad message type %u or version %u", d[1], d[3]);
	*m = (struct msg){ .type = d[1], .flags = d[2], .blen = get32(d + 4), .serial = get32(d + 8) };
	fields = get32(d + 12);
	if (fields > 65536 || m->blen > (128u << 20))
		die("implausible lengths: fields %u, body %u", fields, m->blen);
	if (!m->serial)
		die("message with serial 0");
	header = (16 + fields + 7) & ~7ul;
	m->total = header + m->blen;
	if (n < m->total)
		return false;
	m->body = d + header;
	parse_fields(d, 16 + fields, m);
	return true;
}

const char *msg_str(const struct msg *m)
{
	static char buf[400];

	snprintf(buf, sizeof buf,
		 "[type %u serial %u reply_serial %u sender %.40s dest %.40s %.60s.%.40s error %.60s len %u]", m->type,
		 m->serial, m->rserial, nz(m->sender), nz(m->dest), nz(m->iface), nz(m->member), nz(m->error), m->blen);
	return buf;
}

/* the body's n strings, when it holds just these */
bool msg_strings(const struct msg *m, const char **a, unsigned n)
{
	size_t p = 0;

	if (!m->sig || strlen(m->sig) != n || strspn(m->sig, "s") != n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		uint32_t l;

		p = (p + 3) & ~3ul;
		if (p + 5 > m->blen)
			return false;
		l = get32(m->body + p);
		if (l > m->blen - p - 5 || m->body[p + 4 + l])
			return false;
		a[i] = (const char *)m->body + p + 4;
		p += 5 + l;
	}
	return p == m->blen;
}

/* The body must be exactly the template's body with this sequence number. Up
 * to 4 KiB all of it is compared; above that both ends always, all of it on
 * every 16th message. */
void check_body(const struct msg *m, const struct tmpl *t, uint32_t seq)
{
	const uint8_t *want = t->m.d + t->body;
	uint8_t s[8];
	size_t o = t->off_seq, after = o + 8, rest = t->body_len - after;

	if (m->blen != t->body_len)
		die("payload length: got a body of %u bytes, want %zu %s", m->blen, t->body_len, msg_str(m));
	if (!eq(m->sig, t->sig))
		die("signature: got '%s', want '%s'", nz(m->sig), t->sig);
	put_seq(s, seq);
	if (memcmp(m->body + o, s, 8))
		die("sequence: got %.8s, want %.8s (lost, duplicated or reordered) %s",
		    (const char *)m->body + o, (const char *)s, msg_str(m));
	if (memcmp(m->body, want, o))
		die("payload damaged at the front %s", msg_str(m));
	if (rest <= 4096 || !(seq & 15)) {
		if (memcmp(m->body + after, want + after, rest))
			die("payload damaged %s", msg_str(m));
	} else if (memcmp(m->body + after, want + after, 64) ||
		   memcmp(m->body + m->blen - 64, want + t->body_len - 64, 64)) {
		die("payload damaged at an end %s", msg_str(m));
	}
}
