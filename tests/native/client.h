/*
 * client.h - the native protocol for a program in C, as bus1/native/PROTOCOL.md tells it
 *
 * Numbers are in the machine's order and aligned, so the structs below lie on the records as they
 * are. Requests are gathered into a packet and go with bus_flush(), or when something is awaited.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MOST 131072
#define FDS_MOST 253
#define INLINE_MOST 65536

enum kind {
	CREATE = 1, HANDLE, TRANSFER, RELEASE, DESTROY, SEND, SEED, SET_SEED, QUERY, RESET, PEER, DISCONNECT,
	WELCOME = 64, RESULT, DATA, NODE_GONE, NO_HANDLES_LEFT, ONCE_DROPPED,
};

enum {
	QUIET = 0x8000,
	WITH_HANDLE = 1,                        /* CREATE */
	CONTINUE = 1, MEMFD = 2,                /* SEND, SET_SEED, PEER; DATA and RESULT have MEMFD, too */
	FLUSH = 1, FLUSH_SEED = 2,              /* RESET */
	MORE = 1, ONCE = 4,                     /* DATA */
};

struct header {
	uint32_t size;
	uint16_t kind, flags;
	uint32_t cookie, fds;
};

struct transfer {
	uint32_t what, zero;
	uint64_t id, cookie;
};

enum { A_HANDLE, A_NODE, A_ONCE };              /* struct transfer.what */

/* What comes. */

struct welcome {
	uint32_t version, uid;
	uint64_t number;
	uint8_t bus[16];
};

struct result {
	int32_t error;
	uint32_t values;
	uint64_t stamp, size;
	uint64_t value[];                       /* then `size` bytes */
};

struct data {
	uint64_t stamp, sender, node, cookie;
	uint32_t uid, pid, handles, zero;
	uint64_t size;
	struct { uint64_t id; uint32_t flags, zero; } handle[];         /* then the payload */
};

struct notice {
	uint64_t stamp, sender, id, cookie;
};

/* One record that has come, with its descriptors. */
struct record {
	struct record *next;
	struct header h;
	int fds[FDS_MOST];
	size_t mapped;
	void *map;
	uint64_t body[];
};

struct bus;
typedef void bus_each(struct bus *b, const struct header *h, const int *fds);

struct bus {
	int fd;
	uint32_t cookie;                        /* of the last request */
	bus_each *each;                         /* who gets what comes; else it is kept below */
	struct welcome me;
	struct record *first, **last;           /* what has come and has not been asked for */
	size_t filled;                          /* the packet that is being made */
	unsigned nfds;
	int fds[FDS_MOST];
	uint8_t packet[PACKET_MOST] __attribute__((aligned(8)));
};

/* What a SEND, SET_SEED or PEER says. With MEMFD in flags, fds[0] holds the payload. */
struct parcel {
	const uint64_t *to;
	uint32_t destinations, transfers;
	const struct transfer *with;
	const void *payload;
	uint64_t size;
	const int *fds;
	unsigned nfds;
	uint16_t flags;
};

int bus_connect(const char *path);              /* a socket; -1 and errno */
void bus_open(struct bus *b, int fd);           /* reads the WELCOME */
void bus_close(struct bus *b);

/* Requests; each returns its cookie. */
uint32_t bus_ask(struct bus *b, uint16_t kind, uint16_t flags, const void *body, size_t size, const int *fds,
		 unsigned nfds);
uint32_t bus_send(struct bus *b, uint16_t kind, const struct parcel *p);
void bus_flush(struct bus *b);

/* One packet, waited for: each record, where it lies, for b->each. False: the end. */
bool bus_read(struct bus *b);

/* What comes, if it is kept; to be freed with bus_free(), which also closes the descriptors that are not -1. */
struct record *bus_result(struct bus *b, uint32_t cookie);
struct record *bus_message(struct bus *b);      /* the next that is no RESULT; NULL: the end */
const struct result *as_result(const struct record *r);
const struct data *as_data(const struct record *r);
const void *data_payload(struct record *r);
void bus_free(struct record *r);

int sealed(const void *payload, size_t size);   /* a memfd for MEMFD */
