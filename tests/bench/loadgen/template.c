/* template.c - messages to send, marshalled once and patched for every use */
#include "load.h"
#include <stdlib.h>
#include <string.h>

static void put_raw(struct buf *b, const void *p, size_t n)
{
	if (b->n + n > b->cap)
		b->d = xrealloc(b->d, b->cap = (b->n + n) * 2 + 256);
	if (p)
		memcpy(b->d + b->n, p, n);
	else
		memset(b->d + b->n, 0, n);
	b->n += n;
}

static void put_pad(struct buf *b, size_t a) { put_raw(b, NULL, -b->n & (a - 1)); }
static void put_u8(struct buf *b, uint8_t v) { put_raw(b, &v, 1); }
static void put_u32(struct buf *b, uint32_t v) { put_pad(b, 4); put_raw(b, &v, 4); }

static void put_str(struct buf *b, const char *s)
{
	put_u32(b, strlen(s));
	put_raw(b, s, strlen(s) + 1);
}

static void put_sig(struct buf *b, const char *s)
{
	put_u8(b, strlen(s));
	put_raw(b, s, strlen(s) + 1);
}

static void put_field(struct buf *b, uint8_t code, const char *type, const char *v)
{
	if (!v || !*v)
		return;
	put_pad(b, 8);
	put_u8(b, code);
	put_sig(b, type);
	if (*type == 'g')
		put_sig(b, v);
	else
		put_str(b, v);
}

static void put_payload(struct tmpl *t, struct buf *body, const struct spec *s)
{
	char *q = t->sig;

	if (s->nfds) {
		*q++ = 'h';
		put_u32(body, 0);
	}
	if (s->arg0) {
		*q++ = 's';
		put_str(body, s->arg0);
	}
	strcpy(q, O.body_s ? "s" : "ay");
	put_u32(body, s->payload);
	t->off_seq = body->n;
	for (unsigned i = 0; i < s->payload; i++)
		put_u8(body, 'a' + (i * 7 + i / 26) % 26);
	if (O.body_s)
		put_u8(body, 0);
}

static void put_args(struct tmpl *t, struct buf *body, const struct spec *s)
{
	if (s->args)
		put_str(body, s->args);
	if (s->has_u)
		put_u32(body, s->argu);
	strcpy(t->sig, s->args ? s->has_u ? "su" : "s" : s->has_u ? "u" : "");
}

static void put_field_u32(struct buf *b, uint8_t code, uint32_t v)
{
	put_pad(b, 8);
	put_u8(b, code);
	put_sig(b, "u");
	put_u32(b, v);
}

static void put_fields(struct tmpl *t, struct buf *b, const struct spec *s)
{
	put_field(b, F_PATH, "o", s->path);
	put_field(b, F_IFACE, "s", s->iface);
	put_field(b, F_MEMBER, "s", s->member);
	if (s->reply) {
		put_field_u32(b, F_RSERIAL, 0);
		t->off_rserial = b->n - 4;
	}
	put_field(b, F_DEST, "s", s->dest);
	put_field(b, F_SENDER, "s", s->sender);
	put_field(b, F_SIG, "g", t->sig);
	if (s->nfds)
		put_field_u32(b, F_FDS, s->nfds);
}

void tmpl_build(struct tmpl *t, const struct spec *s)
{
	struct buf *b = &t->m, body = {};
	uint32_t length;

	t->off_seq = t->off_rserial = 0;
	(s->payload ? put_payload : put_args)(t, &body, s);
	b->n = 0;
	put_u8(b, WIRE_ENDIAN);
	put_u8(b, s->type);
	put_u8(b, s->flags);
	put_u8(b, 1);
	put_u32(b, body.n);
	put_u32(b, 0);                  /* serial, patched */
	put_u32(b, 0);                  /* length of the fields, patched */
	put_fields(t, b, s);
	length = b->n - 16;
	memcpy(b->d + 12, &length, 4);
	put_pad(b, 8);
	t->body = b->n;
	t->body_len = body.n;
	put_raw(b, body.d, body.n);
	free(body.d);
}

void put_seq(uint8_t *p, uint32_t seq)
{
	for (int i = 0; i < 8; i++)
		p[i] = "0123456789abcdef"[seq >> (28 - 4 * i) & 15];
}

void tmpl_number(struct tmpl *t, uint32_t serial, uint32_t seq)
{
	memcpy(t->m.d + 8, &serial, 4);
	put_seq(t->m.d + t->body + t->off_seq, seq);
}

void tmpl_reply_to(struct tmpl *t, uint32_t serial)
{
	memcpy(t->m.d + t->off_rserial, &serial, 4);
}
