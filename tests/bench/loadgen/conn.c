/* conn.c - one connection's bytes: where to connect, what goes out, what comes in */
#include "load.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un g_sa;
static socklen_t g_salen;

/* the %-encoded value of path= or abstract= into sun_path */
static void decode_path(const char *v, size_t off)
{
	size_t n = off;

	for (; *v && *v != ',' && *v != ';'; v++) {
		char c = *v;

		if (c == '%' && v[1] && v[2]) {
			c = strtol((char[]){ v[1], v[2], 0 }, NULL, 16);
			v += 2;
		}
		if (n + 1 >= sizeof g_sa.sun_path)
			die("address too long");
		g_sa.sun_path[n++] = c;
	}
	g_salen = offsetof(struct sockaddr_un, sun_path) + n + !off;
}

/* the first address, unix:path=... or unix:abstract=..., other keys before it skipped */
void address_parse(const char *a)
{
	if (strncmp(a, "unix:", 5))
		die("only unix: addresses are supported");
	g_sa.sun_family = AF_UNIX;
	for (const char *v = a + 5; ; v++) {
		if (!strncmp(v, "path=", 5))
			return decode_path(v + 5, 0);
		if (!strncmp(v, "abstract=", 9))
			return decode_path(v + 9, 1);
		v += strcspn(v, ",;");
		if (*v != ',')
			die("no path= or abstract= in the address");
	}
}

void conn_init(struct conn *c, size_t insize)
{
	memset(c, 0, sizeof *c);
	c->fd = -1;
	c->in = xrealloc(NULL, c->icap = insize);
}

void conn_connect(struct conn *c)
{
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	if (connect(c->fd, (void *)&g_sa, g_salen) < 0)
		die("connect: %s", strerror(errno));
}

uint32_t next_serial(struct conn *c)
{
	if (!++c->serial)
		++c->serial;
	return c->serial;
}

bool conn_pending(struct conn *c) { return c->ohead < c->otail; }

/* write out what is queued; true when nothing is left */
bool conn_flush(struct conn *c)
{
	while (c->ohead < c->otail) {
		ssize_t r = send(c->fd, c->out + c->ohead, c->otail - c->ohead, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				return false;
			die("send: %s", strerror(errno));
		}
		c->ohead += r;
	}
	c->ohead = c->otail = 0;
	return true;
}

void conn_queue(struct conn *c, const void *d, size_t n)
{
	if (c->otail + n > c->ocap)
		c->out = xrealloc(c->out, c->ocap = (c->otail + n) * 2);
	memcpy(c->out + c->otail, d, n);
	c->otail += n;
}

/* false when it cannot be started now */
static bool send_with_fd(struct conn *c, const struct tmpl *t, int fd, ssize_t *sent)
{
	union { char b[CMSG_SPACE(sizeof(int))]; struct cmsghdr h; } u = {};
	struct iovec iov = { t->m.d, t->m.n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = sizeof u.b };

	u.h.cmsg_level = SOL_SOCKET;
	u.h.cmsg_type = SCM_RIGHTS;
	u.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.h), &fd, sizeof fd);
	if (conn_pending(c))
		return false;
	*sent = sendmsg(c->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (*sent < 0 && errno == ETOOMANYREFS)
		die("too many fds in flight (kernel limit)");
	return *sent >= 0 || (errno != EAGAIN && errno != EINTR);
}

/* One send() per message, like real clients. False only for a message with an
 * fd (fd >= 0) that could not be started. */
bool conn_send(struct conn *c, const struct tmpl *t, int fd)
{
	ssize_t r = 0;

	if (fd >= 0) {
		if (!send_with_fd(c, t, fd, &r))
			return false;
	} else if (!conn_pending(c)) {
		r = send(c->fd, t->m.d, t->m.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			r = 0;
	}
	if (r < 0)
		die("send: %s", strerror(errno));
	if ((size_t)r < t->m.n)
		conn_queue(c, t->m.d + r, t->m.n - r);
	return true;
}

/* at least a quarter of the input buffer free */
static void make_room(struct conn *c)
{
	if (c->ihead == c->itail)
		c->ihead = c->itail = 0;
	if (c->icap - c->itail >= c->icap / 4)
		return;
	memmove(c->in, c->in + c->ihead, c->itail - c->ihead);
	c->itail -= c->ihead;
	c->ihead = 0;
	if (c->icap - c->itail < c->icap / 4)
		c->in = xrealloc(c->in, c->icap *= 2);
}

static void keep_fds(struct conn *c, struct msghdr *mh)
{
	if (mh->msg_flags & MSG_CTRUNC)
		die("control data truncated");
	for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h; h = CMSG_NXTHDR(mh, h)) {
		unsigned k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (unsigned i = 0; i < k; i++) {
			if (c->fdt - c->fdh >= FDQ)
				die("more fds than messages announce");
			memcpy(&c->fdq[c->fdt++ % FDQ], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
		}
	}
}

static ssize_t receive_with_fds(struct conn *c)
{
	union { char b[CMSG_SPACE(sizeof(int) * 64)]; struct cmsghdr h; } u;
	struct iovec iov = { c->in + c->itail, c->icap - c->itail };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = sizeof u.b };
	ssize_t r = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (r >= 0)
		keep_fds(c, &mh);
	return r;
}

/* one read; 0 when there was nothing */
size_t conn_fill(struct conn *c)
{
	ssize_t r;

	make_room(c);
	do
		r = c->fds ? receive_with_fds(c) : recv(c->fd, c->in + c->itail, c->icap - c->itail, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		return 0;
	if (r < 0)
		die("recv: %s", strerror(errno));
	if (!r)
		die("the bus closed the connection of %s", *c->name ? c->name : "(no name yet)");
	c->itail += r;
	return r;
}

int conn_take_fd(struct conn *c)
{
	if (c->fdh == c->fdt)
		die("the message arrived without its fd");
	return c->fdq[c->fdh++ % FDQ];
}

/* the next complete message; its pointers stay valid until conn_fill() */
bool conn_next(struct conn *c, struct msg *m)
{
	if (!msg_parse(c->in + c->ihead, c->itail - c->ihead, m))
		return false;
	c->ihead += m->total;
	return true;
}

void conn_poll(struct conn *c, const char *what)
{
	struct pollfd p = { c->fd, POLLIN | (conn_pending(c) ? POLLOUT : 0), 0 };
	int r;

	while ((r = poll(&p, 1, O.stall * 1000)) < 0 && errno == EINTR)
		;
	if (!r)
		die("no progress for %.0f s: %s", O.stall, what);
	if (p.revents & POLLOUT)
		conn_flush(c);
	if (p.revents & ~POLLOUT)
		conn_fill(c);
}
