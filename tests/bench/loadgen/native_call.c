/* native_call.c - call without D-Bus: the answer comes on a one-shot handle that goes along */
#include "native.h"
#include <poll.h>

#define RING 4096                       /* above the largest window */

static struct bus g_service;
static uint64_t g_to[1];                /* what the client holds */
static uint64_t g_node;                 /* the client's own, for answers */
static uint64_t g_sent, g_answered, g_times[RING];
static bool g_record;

void native_call_setup(void)
{
	native_payload();
	native_connect(&g_service);
	native_connect(&g_client);
	*g_to = native_introduce(&g_service);
	g_node = native_value(&g_client, bus_ask(&g_client, CREATE, 0, NULL, 0, NULL, 0));
}

static void on_call(struct bus *b, const struct header *h, const int *fds)
{
	const struct data *d = native_message(h, &g_client);
	const uint8_t *payload = (const void *)&d->handle[d->handles];

	(void)fds;
	if (d->handles != 1 || d->handle[0].flags != 1)
		die("a call without a handle to answer on");
	native_check(payload, d->size, g_answered++);
	bus_send(b, SEND, &(struct parcel){ &d->handle[0].id, 1, 0, NULL, payload, d->size, NULL, 0, QUIET });
}

/* answers calls until told to stop; what comes in one packet is answered in one */
void role_native_service(void)
{
	struct pollfd p[2] = { { g_service.fd, POLLIN, 0 }, { p_stop[0], POLLIN, 0 } };

	g_service.each = on_call;
	ready();
	wait_go();
	while (poll(p, 2, -1) < 0 || !p[1].revents) {
		if (p[0].revents && !bus_read(&g_service))
			die("the bus closed the connection");
		bus_flush(&g_service);
	}
	if (g_answered != S->issued)
		die("answered %lu calls, the client made %lu", (unsigned long)g_answered, (unsigned long)S->issued);
}

static void on_reply(struct bus *b, const struct header *h, const int *fds)
{
	const struct data *d = native_message(h, &g_service);

	(void)b, (void)fds;
	if (g_answered == g_sent || !(h->flags & ONCE) || d->node != g_node || d->cookie != g_answered + 1)
		die("an answer to another call: %lu", (unsigned long)d->cookie);
	native_check((const void *)&d->handle[d->handles], d->size, g_answered);
	if (g_record)
		latency_add(now_ns() - g_times[g_answered % RING]);
	g_answered++;
}

static void call(void)
{
	struct transfer t = { .what = A_ONCE, .id = g_node, .cookie = g_sent + 1 };

	put_seq(g_payload, g_sent);
	g_times[g_sent++ % RING] = now_ns();
	bus_send(&g_client, SEND, &(struct parcel){ g_to, 1, 1, &t, g_payload, O.payload, NULL, 0, QUIET });
}

static uint64_t phase_native_call(struct phase *p)
{
	uint64_t first = g_sent;
	bool stop = false;

	g_record = p->record;
	for (;;) {
		while (!stop && g_sent - g_answered < O.window && !(stop = phase_over(p, g_sent - first)))
			call();
		bus_flush(&g_client);
		if (stop && g_answered == g_sent)
			break;
		native_await(&g_client, "answers outstanding (lost?)");
	}
	S->issued = g_sent;
	return g_sent - first;
}

void role_native_client(void)
{
	g_client.each = on_reply;
	latency_init();
	ready();
	wait_go();
	drive(phase_native_call);
	latency_report();
	native_nothing_left(&g_client);
	finish(NULL);
}
