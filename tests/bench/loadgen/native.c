/*
 * native.c - what the native roles have in common: peers of the native protocol, by the client of
 * tests/native, connected and native_introduced to each other before the roles are forked
 */
#include "native.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct bus g_client;
uint8_t *g_payload;

/* ---- set-up */

void native_connect(struct bus *b)
{
	if (strncmp(O.address, "unix:path=", 10))
		die("only unix:path= is supported");
	int fd = bus_connect(O.address + 10);

	if (fd < 0)
		die("connect: %s", strerror(errno));
	bus_open(b, fd);
}

uint64_t native_value(struct bus *b, uint32_t cookie)
{
	struct record *r = bus_result(b, cookie);
	uint64_t value;

	if (!r || as_result(r)->error || !as_result(r)->values)
		die("set-up: %s", r ? strerror(as_result(r)->error) : "the bus closed the connection");
	value = as_result(r)->value[as_result(r)->values - 1];
	bus_free(r);
	return value;
}

/* the client gets a handle to a new node of this peer */
uint64_t native_introduce(struct bus *b)
{
	uint64_t handle = native_value(b, bus_ask(b, CREATE, WITH_HANDLE, NULL, 0, NULL, 0));

	return native_value(b, bus_ask(b, TRANSFER, 0, &handle, sizeof handle, &g_client.fd, 1));
}

void native_payload(void)
{
	g_payload = xrealloc(NULL, O.payload);
	for (unsigned i = 0; i < O.payload; i++)
		g_payload[i] = 'a' + (i * 7 + i / 26) % 26;
}

/* ---- what all roles check */

void native_check(const uint8_t *p, uint64_t size, uint32_t seq)
{
	uint8_t s[8];
	size_t rest = O.payload - 8;

	if (size != O.payload)
		die("payload length: got %lu, want %u", (unsigned long)size, O.payload);
	put_seq(s, seq);
	if (memcmp(p, s, 8))
		die("sequence: got %.8s, want %.8s (lost, duplicated or reordered)", p, s);
	if (rest > 4096 && (seq & 15)) {
		p += rest - 64;
		rest = 64;
	}
	if (memcmp(p + 8, g_payload + O.payload - rest, rest))
		die("payload damaged");
}

const struct data *native_message(const struct header *h, const struct bus *from)
{
	const struct data *d = (const void *)(h + 1);

	if (h->kind == RESULT)
		die("refused: %s", strerror(((const struct result *)d)->error));
	if (h->kind != DATA || d->sender != from->me.number)
		die("not the message that peer %lu sent: kind %u", (unsigned long)from->me.number, h->kind);
	return d;
}

void native_await(struct bus *b, const char *what)
{
	struct pollfd p = { b->fd, POLLIN, 0 };

	if (!poll(&p, 1, O.stall * 1000))
		die("no progress for %.0f s: %s", O.stall, what);
	if (!bus_read(b))
		die("the bus closed the connection");
}

static void no_more(struct bus *b, const struct header *h, const int *fds)
{
	(void)b, (void)fds;
	die("unexpected message after the last one: kind %u", h->kind);
}

void native_nothing_left(struct bus *b)
{
	struct pollfd p = { b->fd, POLLIN, 0 };

	b->each = no_more;
	if (poll(&p, 1, 0))
		bus_read(b);
}
