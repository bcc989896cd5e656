/* client.c - the native protocol for a program in C: packets out, records in. See client.h. */
#define _GNU_SOURCE
#include "client.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void broken(const char *what)
{
	fprintf(stderr, "the bus: %s: %s\n", what, strerror(errno));
	exit(1);
}

int bus_connect(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	if (fd < 0 || connect(fd, (void *)&a, sizeof a))
		return -1;
	return fd;
}

/* ---- what comes */

/* A copy of one record, with the descriptors that are its own. */
static void keep(struct bus *b, const struct header *h, const int *fds)
{
	struct record *r = malloc(sizeof *r + h->size);

	if (!r)
		broken("memory");
	*r = (struct record){ .h = *h };
	memcpy(r->fds, fds, h->fds * sizeof *fds);
	memcpy(r->body, h + 1, h->size - sizeof *h);
	*b->last = r;
	b->last = &r->next;
}

static unsigned descriptors(struct msghdr *m, int *fds)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			n = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
			memcpy(fds, CMSG_DATA(c), n * sizeof *fds);
		}
	return n;
}

static void split(struct bus *b, const uint8_t *packet, size_t size, const int *fds, unsigned nfds)
{
	for (size_t at = 0; at < size;) {
		const struct header *h = (const void *)(packet + at);

		if (size - at < sizeof *h || h->size < sizeof *h || h->size > size - at || h->fds > nfds)
			broken("no record");
		b->each(b, h, fds);
		fds += h->fds;
		nfds -= h->fds;
		at += (h->size + 7) & ~7ul;
	}
}

bool bus_read(struct bus *b)
{
	uint8_t packet[PACKET_MOST] __attribute__((aligned(8)));
	union { char room[CMSG_SPACE(FDS_MOST * sizeof(int))]; struct cmsghdr align; } control;
	struct iovec v = { packet, sizeof packet };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	int fds[FDS_MOST];
	ssize_t size;

	while ((size = recvmsg(b->fd, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	if (size < 0 && errno != ECONNRESET)
		broken("receive");
	if (size <= 0)
		return false;
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		broken("a packet that is too large");
	split(b, packet, size, fds, descriptors(&m, fds));
	return true;
}

static struct record *take(struct bus *b, struct record **place)
{
	struct record *r = *place;

	*place = r->next;
	if (b->last == &r->next)
		b->last = place;
	return r;
}

/* RESULTs come in the order of the requests, but messages may come before, and wait here. */
struct record *bus_result(struct bus *b, uint32_t cookie)
{
	struct record **r = &b->first;

	bus_flush(b);
	for (;;) {
		for (; *r; r = &(*r)->next)
			if ((*r)->h.kind == RESULT && (*r)->h.cookie == cookie)
				return take(b, r);
		if (!bus_read(b))
			return NULL;
	}
}

struct record *bus_message(struct bus *b)
{
	struct record **r = &b->first;

	bus_flush(b);
	for (;;) {
		for (; *r; r = &(*r)->next)
			if ((*r)->h.kind != RESULT)
				return take(b, r);
		if (!bus_read(b))
			return NULL;
	}
}

const struct result *as_result(const struct record *r) { return (const void *)r->body; }
const struct data *as_data(const struct record *r) { return (const void *)r->body; }

const void *data_payload(struct record *r)
{
	const struct data *d = as_data(r);

	if (!(r->h.flags & MEMFD))
		return &d->handle[d->handles];
	if (!r->map) {
		r->mapped = d->size;
		r->map = mmap(NULL, d->size, PROT_READ, MAP_SHARED, r->fds[0], 0);
		if (r->map == MAP_FAILED)
			broken("map");
	}
	return r->map;
}

void bus_free(struct record *r)
{
	if (r->map)
		munmap(r->map, r->mapped);
	for (unsigned i = 0; i < r->h.fds; i++)
		if (r->fds[i] >= 0)
			close(r->fds[i]);
	free(r);
}

/* ---- what goes */

static void put(struct bus *b, const void *part, size_t size)
{
	if (size)
		memcpy(b->packet + b->filled, part, size);
	b->filled += size;
}

/* The header of a record of this size; the packet goes first if it has no room for it. */
static uint32_t begin(struct bus *b, uint16_t kind, uint16_t flags, size_t size, const int *fds, unsigned nfds)
{
	struct header h = { sizeof h + size, kind, flags, ++b->cookie, nfds };

	if (b->filled + 8 + h.size > PACKET_MOST || b->nfds + nfds > FDS_MOST)
		bus_flush(b);
	if (h.size > PACKET_MOST || nfds > FDS_MOST) {
		errno = EMSGSIZE;
		broken("a request");
	}
	while (b->filled % 8)
		b->packet[b->filled++] = 0;
	put(b, &h, sizeof h);
	if (nfds)
		memcpy(b->fds + b->nfds, fds, nfds * sizeof *fds);
	b->nfds += nfds;
	return h.cookie;
}

uint32_t bus_ask(struct bus *b, uint16_t kind, uint16_t flags, const void *body, size_t size, const int *fds,
		 unsigned nfds)
{
	uint32_t cookie = begin(b, kind, flags, size, fds, nfds);

	put(b, body, size);
	return cookie;
}

uint32_t bus_send(struct bus *b, uint16_t kind, const struct parcel *p)
{
	size_t bytes = p->flags & MEMFD ? 0 : p->size;
	size_t to = p->destinations * sizeof *p->to, with = p->transfers * sizeof *p->with;
	uint32_t cookie = begin(b, kind, p->flags, 16 + to + with + bytes, p->fds, p->nfds);

	put(b, &p->destinations, 4);
	put(b, &p->transfers, 4);
	put(b, &p->size, 8);
	put(b, p->to, to);
	put(b, p->with, with);
	put(b, p->payload, bytes);
	return cookie;
}

static bool written(struct bus *b)
{
	union { char room[CMSG_SPACE(FDS_MOST * sizeof(int))]; struct cmsghdr h; } control = {};
	struct iovec v = { b->packet, b->filled };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (b->nfds) {
		control.h = (struct cmsghdr){ CMSG_LEN(b->nfds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.h), b->fds, b->nfds * sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(b->nfds * sizeof(int));
	}
	if (sendmsg(b->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EPIPE || errno == ECONNRESET)
		return true;                    /* the end is seen when reading */
	if (errno != EAGAIN && errno != EINTR)
		broken("send");
	return false;
}

/* The bus takes no more from one who does not read: so read meanwhile. */
void bus_flush(struct bus *b)
{
	while (b->filled && !written(b)) {
		struct pollfd p = { b->fd, POLLIN | POLLOUT, 0 };

		if (poll(&p, 1, -1) > 0 && (p.revents & POLLIN))
			bus_read(b);
	}
	b->filled = b->nfds = 0;
}

/* ---- beginning and end */

void bus_open(struct bus *b, int fd)
{
	struct record *r;

	*b = (struct bus){ .fd = fd, .each = keep };
	b->last = &b->first;
	r = bus_message(b);
	if (!r || r->h.kind != WELCOME)
		broken("no WELCOME");
	memcpy(&b->me, r->body, sizeof b->me);
	if (b->me.version != 1)
		broken("another version");
	bus_free(r);
}

void bus_close(struct bus *b)
{
	while (b->first)
		bus_free(take(b, &b->first));
	close(b->fd);
}

int sealed(const void *payload, size_t size)
{
	int fd = memfd_create("payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, payload, size) != (ssize_t)size ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW))
		broken("memfd");
	return fd;
}
