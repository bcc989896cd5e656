/*
 * load.h - what the files of the load generator know of each other
 *
 * loadgen speaks the wire protocol over raw sockets (no D-Bus library), runs one
 * workload against a bus and prints one line of JSON. Everything received is
 * checked (type, sender, destination, serials, order, signature, contents,
 * attached fds, totals); any deviation is fatal: {"ok":false,...} and exit
 * status 1. Nothing here retries or forgives.
 */
#pragma once
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- options.c: what to do */

struct options {
	const char *address, *workload, *rule_kind;
	const char *name, *methods;             /* of the service, and what it is called for */
	double duration, warmup, stall, timeout;
	uint64_t count;                         /* operations; 0: by time */
	unsigned window, payload, batch, subs, holders, rules, conc;
	bool body_s, wellknown, raw;
	bool unicast;                           /* one message for each subscriber */
	uid_t client;                           /* who the client is */
	pid_t bus;
};

extern struct options O;
void options_read(int argc, char **argv);
void usage(void) __attribute__((noreturn));

/* ---- role.c: one process per role, what they share, how they start and end together */

#define MAX_ROLES 8

struct sample {
	uint64_t t, bus, load;                  /* ns: clock, CPU of the bus, CPU of the roles */
};

struct shared {
	_Atomic int failed;
	char err[600];
	char svc_name[256], cli_name[256];      /* unique names */
	pid_t role[MAX_ROLES];                  /* negative: has ended */
	unsigned nroles;
	_Atomic uint64_t delivered;             /* signals verified by subscribers */
	uint64_t issued;                        /* in all phases, by the driving role */
	uint64_t copies;                        /* of payloads in memfds, as subscribers got them */
	uint64_t fd_ino, fd_dev;                /* the file whose fd is passed */
	struct sample a, b;                     /* the borders of the measured phase */
	uint64_t ops;
	double p50, p99;
};

/* When a phase is over: by time, or by the number of operations. */
struct phase {
	uint64_t end, max;
	bool record;                            /* measured, not warm-up */
};

extern struct shared *S;
extern int p_ready[2], p_go[2], p_stop[2], p_ack[2];

struct conn;
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ns(void);
void *xrealloc(void *p, size_t n);
void *xmap(size_t n, int flags);
void shared_init(void);
void spawn(const char *role, void (*fn)(void));
void ready(void);
void wait_go(void);
void drive(uint64_t (*fn)(struct phase *));
bool phase_over(const struct phase *p, uint64_t begun);
void finish(struct conn *c);
void latency_init(void);
void latency_add(uint64_t ns);
void latency_report(void);

/* ---- account.c: the CPU time and memory of the bus */

void settle(void);
void measure_begin(void);
void measure_end(uint64_t ops);
uint64_t bus_memory(void);

/* ---- template.c: messages to send */

enum { T_CALL = 1, T_RETURN = 2, T_ERROR = 3, T_SIGNAL = 4 };
enum { F_PATH = 1, F_IFACE, F_MEMBER, F_ERROR, F_RSERIAL, F_DEST, F_SENDER, F_SIG, F_FDS };
#define FL_NO_REPLY 1
#define WIRE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B')

#define DRV_NAME  "org.freedesktop.DBus"
#define DRV_PATH  "/org/freedesktop/DBus"
#define SVC_NAME  "org.bench.Service"
#define SVC_PATH  "/org/bench/Service"
#define SVC_IFACE "org.bench.Service"
#define SVC_METHOD SVC_IFACE ".Echo"
#define MAX_METHODS 8
#define SIG_PATH  "/org/bench/Emitter"
#define SIG_IFACE "org.bench.Sig"
#define CYC_NAME  "org.bench.Cycle.n"

struct buf {
	uint8_t *d;
	size_t n, cap;
};

/* A prebuilt message; serial, reply serial and the sequence number in the
 * payload are patched in place, so the hot path does no marshalling. */
struct tmpl {
	struct buf m;
	size_t body, body_len;
	size_t off_rserial;                     /* 0: none */
	size_t off_seq;                         /* relative to the body */
	char sig[8];
};

struct spec {
	uint8_t type, flags;
	const char *path, *iface, *member, *dest, *sender, *arg0;
	bool reply;
	unsigned nfds;
	unsigned payload;                       /* 0: the body is args and argu */
	const char *args;
	bool has_u;
	uint32_t argu;
};

void tmpl_build(struct tmpl *t, const struct spec *s);
void tmpl_number(struct tmpl *t, uint32_t serial, uint32_t seq);
void tmpl_reply_to(struct tmpl *t, uint32_t serial);
void put_seq(uint8_t *p, uint32_t seq);

/* ---- message.c: messages received */

struct msg {
	uint8_t type, flags;
	uint32_t serial, rserial, nfds, blen;
	const char *path, *iface, *member, *error, *dest, *sender, *sig;
	const uint8_t *body;
	size_t total;
};

bool eq(const char *a, const char *b);
const char *nz(const char *s);
uint32_t get32(const uint8_t *p);
bool msg_parse(const uint8_t *d, size_t n, struct msg *m);
const char *msg_str(const struct msg *m);
bool msg_strings(const struct msg *m, const char **a, unsigned n);
void check_body(const struct msg *m, const struct tmpl *t, uint32_t seq);

/* ---- conn.c: one connection's bytes */

#define FDQ 256

struct conn {
	int fd;
	bool fds;                               /* receive fds, too */
	uint32_t serial;
	uint8_t *in, *out;
	size_t icap, ihead, itail, ocap, ohead, otail;
	char name[256];
	unsigned acquired;                      /* NameAcquired signals seen */
	int fdq[FDQ];
	unsigned fdh, fdt;
	uint64_t seen;
};

void address_parse(const char *a);
void conn_init(struct conn *c, size_t insize);
void conn_connect(struct conn *c);
bool conn_pending(struct conn *c);
bool conn_flush(struct conn *c);
void conn_queue(struct conn *c, const void *d, size_t n);
bool conn_send(struct conn *c, const struct tmpl *t, int fd);
size_t conn_fill(struct conn *c);
bool conn_next(struct conn *c, struct msg *m);
void conn_poll(struct conn *c, const char *what);
int conn_take_fd(struct conn *c);
uint32_t next_serial(struct conn *c);

/* ---- hello.c: authentication, Hello, calls to the driver */

char *conn_line(struct conn *c);
size_t auth_line(char *buf, size_t n);
void conn_open(struct conn *c, size_t insize);
void conn_open_raw(struct conn *c, const char *name);
void set_name(struct conn *c, const struct msg *m);
uint32_t driver_send(struct conn *c, const char *member, const char *s, bool has_u, uint32_t u);
void driver_wait(struct conn *c, uint32_t ser, struct msg *m, const char *what);
void await_acquired(struct conn *c, unsigned n);
void add_match(struct conn *c, const char *rule);

/* ---- the roles */

void role_service(void);                        /* call.c */
void role_client(void);
void role_subscriber(void);                     /* fanout.c */
void role_emitter(void);
void role_holder(void);                         /* holder.c */
void role_connector(void);                      /* connect.c */
void role_watcher(void);                        /* names.c */
void role_namer(void);

/* ---- native_call.c, native_fanout.c: the same without D-Bus (native.h) */

void native_call_setup(void);
void native_fanout_setup(void);
void role_native_service(void);
void role_native_client(void);
void role_native_subscriber(void);
void role_native_emitter(void);
