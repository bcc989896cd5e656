/* native_fanout.c - fanout without D-Bus: multicasts in batches, or as many unicasts */
#include "native.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct bus *g_subs;
static uint64_t *g_to;                  /* what the emitter holds */
static uint64_t *g_seen;

void native_fanout_setup(void)
{
	native_payload();
	native_connect(&g_client);
	g_subs = xrealloc(NULL, O.subs * sizeof *g_subs);
	g_to = xrealloc(NULL, O.subs * sizeof *g_to);
	for (unsigned i = 0; i < O.subs; i++) {
		native_connect(&g_subs[i]);
		g_to[i] = native_introduce(&g_subs[i]);
	}
}

/* The last subscriber to have all of a batch acknowledges it. */
static void count(unsigned i)
{
	static unsigned reached[8];
	unsigned *r = &reached[g_seen[i] / O.batch % 8];

	if (g_seen[i] % O.batch || ++*r < O.subs)
		return;
	*r = 0;
	if (write(p_ack[1], "a", 1) != 1)
		die("ack pipe: %s", strerror(errno));
}

/* Whoever gets a message of this number in pages of its own adds a copy. */
static void weigh(uint64_t seq, int fd)
{
	static struct { uint64_t seq; unsigned n; ino_t inodes[1024]; } at[8];
	typeof(*at) *a = &at[seq % 8];
	struct stat st;

	if (fstat(fd, &st))
		die("fstat: %s", strerror(errno));
	if (a->seq != seq + 1)
		a->n = 0;
	a->seq = seq + 1;
	for (unsigned i = 0; i < a->n; i++)
		if (a->inodes[i] == st.st_ino)
			return;
	a->inodes[a->n++ % 1024] = st.st_ino;
	S->copies++;
}

static void on_tick(struct bus *b, const struct header *h, const int *fds)
{
	const struct data *d = native_message(h, &g_client);
	unsigned i = b - g_subs;
	void *map;

	if (h->flags & MEMFD) {
		map = mmap(NULL, d->size, PROT_READ, MAP_SHARED, fds[0], 0);
		if (map == MAP_FAILED)
			die("map: %s", strerror(errno));
		native_check(map, d->size, g_seen[i]);
		weigh(g_seen[i], fds[0]);
		munmap(map, d->size);
		close(fds[0]);
	} else {
		native_check((const void *)&d->handle[d->handles], d->size, g_seen[i]);
	}
	g_seen[i]++;
	count(i);
}

/* once told to stop, read on until nothing is left */
static void receive_all(int ep)
{
	struct epoll_event ev[64];
	int k, wait = -1;

	while ((k = epoll_wait(ep, ev, 64, wait))) {
		for (int i = 0; i < k; i++) {
			if (ev[i].data.ptr) {
				if (!bus_read(ev[i].data.ptr))
					die("the bus closed the connection");
				continue;
			}
			wait = 0;
			epoll_ctl(ep, EPOLL_CTL_DEL, p_stop[0], NULL);
		}
	}
}

void role_native_subscriber(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	g_seen = calloc(O.subs, sizeof *g_seen);
	epoll_ctl(ep, EPOLL_CTL_ADD, p_stop[0], &ev);
	for (unsigned i = 0; i < O.subs; i++) {
		g_subs[i].each = on_tick;
		ev.data.ptr = &g_subs[i];
		epoll_ctl(ep, EPOLL_CTL_ADD, g_subs[i].fd, &ev);
	}
	ready();
	wait_go();
	receive_all(ep);
	for (unsigned i = 0; i < O.subs; i++) {
		if (g_seen[i] != S->issued)
			die("peer %u got %lu messages, %lu were sent", i, (unsigned long)g_seen[i],
			    (unsigned long)S->issued);
		S->delivered += g_seen[i];
	}
}

/* A payload that must not be in the packet is in a memfd, which all destinations share. */
static void send_to(const uint64_t *to, unsigned n)
{
	struct parcel p = { to, n, 0, NULL, g_payload, O.payload, NULL, 0, QUIET };
	int fd;

	if (O.payload <= INLINE_MOST) {
		bus_send(&g_client, SEND, &p);
		return;
	}
	fd = sealed(g_payload, O.payload);
	p.fds = &fd;
	p.nfds = 1;
	p.flags |= MEMFD;
	bus_send(&g_client, SEND, &p);
	bus_flush(&g_client);
	close(fd);
}

/* a batch is one packet, as far as it has room */
static void send_batch(uint64_t *seq)
{
	for (unsigned i = 0; i < O.batch; i++) {
		put_seq(g_payload, (*seq)++);
		if (!O.unicast)
			send_to(g_to, O.subs);
		for (unsigned s = 0; O.unicast && s < O.subs; s++)
			send_to(&g_to[s], 1);
	}
	bus_flush(&g_client);
}

static unsigned await_acks(void)
{
	struct pollfd q[2] = { { p_ack[0], POLLIN, 0 }, { g_client.fd, POLLIN, 0 } };
	char b[64];
	ssize_t acks;

	if (!poll(q, 2, O.stall * 1000))
		die("no progress for %.0f s: messages were not delivered", O.stall);
	if (q[1].revents && !bus_read(&g_client))
		die("the bus closed the connection");
	acks = q[0].revents ? read(p_ack[0], b, sizeof b) : 0;
	return acks > 0 ? acks : 0;
}

static void on_answer(struct bus *b, const struct header *h, const int *fds)
{
	(void)b, (void)fds;
	native_message(h, &g_client);
	die("unexpected message to the emitter");
}

/* at most two batches on their way, as in fanout.c */
static uint64_t phase_native_emit(struct phase *p)
{
	static uint64_t batches, acked, seq;
	uint64_t first = seq;
	bool stop = false;

	for (;;) {
		stop = stop || phase_over(p, (seq - first) * O.subs);
		if (stop && acked == batches)
			break;
		if (!stop && batches - acked < 2) {
			send_batch(&seq);
			batches++;
		} else {
			acked += await_acks();
		}
	}
	S->issued = seq;
	return (seq - first) * O.subs;
}

void role_native_emitter(void)
{
	g_client.each = on_answer;
	ready();
	wait_go();
	drive(phase_native_emit);
	native_nothing_left(&g_client);
	finish(NULL);
}
