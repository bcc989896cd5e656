/* fanout.c - fanout, filtered: an emitter sends batches of a signal, all subscribers get all of it */
#include "load.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct conn g_conn;
static struct tmpl g_signal;

static void build_signal(void)
{
	tmpl_build(&g_signal, &(struct spec){ .type = T_SIGNAL, .flags = FL_NO_REPLY, .path = SIG_PATH,
		.iface = SIG_IFACE, .member = "Tick", .payload = O.payload, .arg0 = "org.bench.arg0" });
}

/* The last subscriber to have all of a batch acknowledges it. */
static void count(struct conn *c)
{
	static unsigned reached[8];
	unsigned *r = &reached[c->seen / O.batch % 8];

	if (c->seen % O.batch || ++*r < O.subs)
		return;
	*r = 0;
	if (write(p_ack[1], "a", 1) != 1)
		die("ack pipe: %s", strerror(errno));
}

static void receive(struct conn *c)
{
	struct msg m;

	conn_fill(c);
	while (conn_next(c, &m)) {
		if (m.type != T_SIGNAL || !eq(m.sender, S->cli_name) || !eq(m.path, SIG_PATH) ||
		    !eq(m.iface, SIG_IFACE) || !eq(m.member, "Tick") || m.dest)
			die("not the signal that %s sent: %s", S->cli_name, msg_str(&m));
		check_body(&m, &g_signal, c->seen++);
		count(c);
	}
}

/* once told to stop, read on until nothing is left */
static void receive_all(int ep)
{
	struct epoll_event ev[64];
	int k, wait = -1;

	while ((k = epoll_wait(ep, ev, 64, wait))) {
		for (int i = 0; i < k; i++) {
			if (ev[i].data.ptr) {
				receive(ev[i].data.ptr);
				continue;
			}
			wait = 0;
			epoll_ctl(ep, EPOLL_CTL_DEL, p_stop[0], NULL);
		}
	}
}

void role_subscriber(void)
{
	struct conn *c = calloc(O.subs, sizeof *c);
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, p_stop[0], &ev);
	for (unsigned i = 0; i < O.subs; i++) {
		conn_open(&c[i], 32 << 10);
		add_match(&c[i], "type='signal',path='" SIG_PATH "',interface='" SIG_IFACE "',member='Tick'");
		ev.data.ptr = &c[i];
		epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
	}
	ready();
	wait_go();
	build_signal();
	receive_all(ep);
	for (unsigned i = 0; i < O.subs; i++) {
		if (c[i].seen != S->issued || c[i].ihead != c[i].itail)
			die("%s got %lu signals, %lu were sent", c[i].name, (unsigned long)c[i].seen,
			    (unsigned long)S->issued);
		S->delivered += c[i].seen;
	}
}

static void send_batch(struct conn *c, uint64_t *seq)
{
	for (unsigned i = 0; i < O.batch; i++, ++*seq) {
		tmpl_number(&g_signal, next_serial(c), *seq);
		conn_send(c, &g_signal, -1);
		while (conn_pending(c) && !conn_flush(c)) {
			struct pollfd q = { c->fd, POLLOUT, 0 };

			if (!poll(&q, 1, O.stall * 1000))
				die("no progress for %.0f s: the bus does not read", O.stall);
		}
	}
}

static unsigned await_acks(struct conn *c)
{
	struct pollfd q[2] = { { p_ack[0], POLLIN, 0 }, { c->fd, POLLIN, 0 } };
	int r = poll(q, 2, O.stall * 1000);
	ssize_t acks = 0;
	struct msg m;
	char b[64];

	if (!r)
		die("no progress for %.0f s: signals were not delivered", O.stall);
	if (r > 0 && q[1].revents) {
		conn_fill(c);
		if (conn_next(c, &m))
			die("unexpected message to the emitter %s", msg_str(&m));
	}
	if (r > 0 && q[0].revents)
		acks = read(p_ack[0], b, sizeof b);
	return acks > 0 ? acks : 0;
}

/* At most two batches are on their way at any time: queues in the bus stay
 * bounded, but it is never left without work. */
static uint64_t phase_emit(struct phase *p)
{
	static uint64_t batches, acked, seq;
	uint64_t first = seq;
	bool stop = false;

	for (;;) {
		stop = stop || phase_over(p, (seq - first) * O.subs);
		if (stop && acked == batches)
			break;
		if (!stop && batches - acked < 2) {
			send_batch(&g_conn, &seq);
			batches++;
		} else {
			acked += await_acks(&g_conn);
		}
	}
	S->issued = seq;
	return (seq - first) * O.subs;
}

void role_emitter(void)
{
	conn_open(&g_conn, 32 << 10);
	strcpy(S->cli_name, g_conn.name);
	ready();
	wait_go();
	build_signal();
	drive(phase_emit);
	finish(&g_conn);
}
