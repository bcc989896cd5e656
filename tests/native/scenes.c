/*
 * scenes.c - what a program in C does with client.c: `scenes SOCKET SCENE` ends with 0 if the bus did
 * as PROTOCOL.md says. Every scene has the process that connected, and children that hold only what
 * it gave them.
 */
#define _GNU_SOURCE
#include "client.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define want(truth) do { if (!(truth)) { fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #truth); exit(1); } } while (0)
#define BIG (1 << 20)

static struct bus here;                         /* of the process that connected, or of the child */

/* A request of which only the result's error and values matter. */
static int ask(uint16_t kind, uint16_t flags, const uint64_t *ids, unsigned n, uint64_t *values)
{
	struct record *r = bus_result(&here, bus_ask(&here, kind, flags, ids, n * sizeof *ids, NULL, 0));
	int error;

	want(r);
	error = as_result(r)->error;
	if (values)
		memcpy(values, as_result(r)->value, as_result(r)->values * sizeof *values);
	bus_free(r);
	return error;
}

static uint64_t one(uint16_t kind, uint64_t id)
{
	uint64_t value = 0;

	want(!ask(kind, 0, &id, id != 0, &value));
	return value;
}

static int send_parcel(const struct parcel *p)
{
	struct record *r = bus_result(&here, bus_send(&here, SEND, p));
	int error = as_result(r)->error;

	want(error || as_result(r)->stamp);
	bus_free(r);
	return error;
}

static int say(uint64_t handle, const char *text)
{
	return send_parcel(&(struct parcel){ .to = &handle, .destinations = 1, .payload = text, .size = strlen(text) });
}

static struct record *heard(uint16_t kind)
{
	struct record *r = bus_message(&here);

	want(r && r->h.kind == kind);
	return r;
}

static bool says(struct record *r, const char *text)
{
	return as_data(r)->size == strlen(text) && !memcmp(data_payload(r), text, strlen(text));
}

static void hear(const char *text)
{
	struct record *r = heard(DATA);

	want(says(r, text));
	bus_free(r);
}

/* A child with a peer of its own, whose seed is a handle to this node. */
static pid_t child(uint64_t node, void (*run)(uint64_t handle))
{
	struct transfer t = { .what = A_NODE, .id = node };
	struct record *r = bus_result(&here, bus_send(&here, PEER, &(struct parcel){ .with = &t, .transfers = 1 }));
	uint64_t handle;
	pid_t pid;

	want(!as_result(r)->error && r->h.fds == 1);
	if (!(pid = fork())) {
		close(here.fd);
		bus_open(&here, r->fds[0]);
		want(!ask(SEED, 0, NULL, 0, &handle));
		run(handle);
		exit(0);
	}
	bus_free(r);
	return pid;
}

static void join(unsigned children)
{
	int status;

	while (children--) {
		want(wait(&status) > 0);
		want(WIFEXITED(status) && !WEXITSTATUS(status));
	}
}

/* ---- create: nodes and handles come and go, and the bus counts them */

static void create(void)
{
	uint64_t ids[2], used[10];
	struct record *r;

	want(here.me.uid == getuid() && here.me.number);
	want(!ask(CREATE, WITH_HANDLE, NULL, 0, ids) && ids[0] != ids[1]);
	want(one(HANDLE, ids[0]) > ids[1]);
	want(!ask(QUERY, 0, NULL, 0, used) && used[8] == 1);
	want(!ask(DESTROY, 0, ids, 1, NULL));
	r = heard(NODE_GONE);
	want(((struct notice *)r->body)->id >= ids[1]);
	bus_free(r);
	want(ask(DESTROY, 0, ids, 1, NULL));
	want(!ask(QUERY, 0, NULL, 0, used) && used[8] == 0);
}

/* ---- inline, memfd, fds: what a message carries */

static void sends_small(uint64_t handle) { want(!say(handle, "small")); }

static void inline_(void)
{
	uint64_t node = one(CREATE, 0);
	struct record *r;

	child(node, sends_small);
	r = heard(DATA);
	want(says(r, "small") && as_data(r)->node == node && as_data(r)->uid == getuid());
	want(as_data(r)->sender != here.me.number && !as_data(r)->cookie && !(r->h.flags & (ONCE | MORE | MEMFD)));
	bus_free(r);
	join(1);
	bus_free(heard(NO_HANDLES_LEFT));
}

static void sends_big(uint64_t handle)
{
	char *big = malloc(BIG);
	int fd;

	memset(big, 'x', BIG);
	fd = sealed(big, BIG);
	want(!send_parcel(&(struct parcel){ &handle, 1, 0, NULL, NULL, BIG, &fd, 1, MEMFD }));
}

static void memfd(void)
{
	struct record *r;

	child(one(CREATE, 0), sends_big);
	r = heard(DATA);
	want((r->h.flags & MEMFD) && as_data(r)->size == BIG && r->h.fds == 1);
	want(((const char *)data_payload(r))[0] == 'x' && ((const char *)data_payload(r))[BIG - 1] == 'x');
	bus_free(r);
	join(1);
}

static void sends_a_pipe(uint64_t handle)
{
	int ends[2];

	want(!pipe(ends) && write(ends[1], "through", 7) == 7);
	want(!send_parcel(&(struct parcel){ .to = &handle, .destinations = 1, .fds = ends, .nfds = 1 }));
}

static void fds(void)
{
	struct record *r;
	char text[7];

	child(one(CREATE, 0), sends_a_pipe);
	r = heard(DATA);
	want(r->h.fds == 1 && as_data(r)->size == 0);
	want(read(r->fds[0], text, sizeof text) == 7 && !memcmp(text, "through", 7));
	bus_free(r);
	join(1);
}

/* ---- call: a question with a one-shot handle to answer on */

static int call(uint64_t handle, const char *question, uint64_t cookie)
{
	struct transfer t = { .what = A_ONCE, .id = one(CREATE, 0), .cookie = cookie };

	return send_parcel(&(struct parcel){ &handle, 1, 1, &t, question, strlen(question), NULL, 0, 0 });
}

static void calls(uint64_t handle)
{
	struct record *r;

	want(!call(handle, "answer", 41));
	r = heard(DATA);
	want(says(r, "yes") && (r->h.flags & ONCE) && as_data(r)->cookie == 41);
	bus_free(r);
	want(!call(handle, "drop", 42));
	r = heard(ONCE_DROPPED);
	want(((struct notice *)r->body)->cookie == 42);
	bus_free(r);
}

static uint64_t asked(const char *question)
{
	struct record *r = heard(DATA);
	uint64_t reply;

	want(says(r, question) && as_data(r)->handles == 1 && as_data(r)->handle[0].flags == 1);
	reply = as_data(r)->handle[0].id;
	bus_free(r);
	return reply;
}

static void answers(void)
{
	uint64_t reply;

	child(one(CREATE, 0), calls);
	reply = asked("answer");
	want(!say(reply, "yes"));
	want(say(reply, "again") == ENXIO);
	reply = asked("drop");
	want(!ask(RELEASE, 0, &reply, 1, NULL));
	join(1);
}

/* ---- multicast: one stamp for all; who is gone is left out and named */

static void listens(uint64_t handle)
{
	struct transfer t = { .what = A_NODE, .id = one(CREATE, 0) };

	want(!send_parcel(&(struct parcel){ .to = &handle, .destinations = 1, .with = &t, .transfers = 1 }));
	hear("all of you");
}

static void leaves(uint64_t handle)
{
	struct transfer t = { .what = A_NODE, .id = one(CREATE, 0) };

	want(!send_parcel(&(struct parcel){ .to = &handle, .destinations = 1, .with = &t, .transfers = 1 }));
}

static uint64_t comes(void)
{
	struct record *r = heard(DATA);
	uint64_t id = as_data(r)->handle[0].id;

	want(as_data(r)->handles == 1 && id);
	bus_free(r);
	return id;
}

static void multicast(void)
{
	uint64_t node = one(CREATE, 0), to[3];
	struct parcel p = { .to = to, .destinations = 3, .payload = "all of you", .size = 10 };
	struct record *r;

	child(node, leaves);
	to[1] = comes();
	join(1);
	bus_free(heard(NODE_GONE));             /* of the child's node, then of its handle to ours */
	bus_free(heard(NO_HANDLES_LEFT));
	child(node, listens);
	to[0] = comes();
	child(node, listens);
	to[2] = comes();
	want(send_parcel(&p) == ESTALE);
	p.flags = CONTINUE;
	r = bus_result(&here, bus_send(&here, SEND, &p));
	want(!as_result(r)->error && as_result(r)->values == 2);
	want(as_result(r)->value[0] == 1 && as_result(r)->value[1] == ESTALE);
	bus_free(r);
	join(2);
}

/* ---- quiet: no answer, unless it fails */

static void sends_many(uint64_t handle)
{
	uint64_t none = 1 << 20;
	struct parcel good = { .to = &handle, .destinations = 1, .payload = "tick", .size = 4, .flags = QUIET };
	struct parcel bad = good;
	struct record *r;
	uint32_t failed;

	bad.to = &none;
	for (unsigned i = 0; i < 500; i++)
		bus_send(&here, SEND, &good);
	failed = bus_send(&here, SEND, &bad);
	for (unsigned i = 0; i < 500; i++)
		bus_send(&here, SEND, &good);
	want(!ask(QUERY, 0, NULL, 0, NULL) || true);
	r = here.first;                         /* all that came before the answer to QUERY */
	want(r && !r->next && r->h.kind == RESULT && r->h.cookie == failed && as_result(r)->error == ENXIO);
}

static void quiet(void)
{
	child(one(CREATE, 0), sends_many);
	for (unsigned i = 0; i < 1000; i++)
		hear("tick");
	bus_free(heard(NO_HANDLES_LEFT));
	join(1);
}

/* ---- errors: each is said, and nothing has changed */

static int odd(uint64_t to, uint64_t id, uint32_t what, unsigned times)
{
	uint64_t twice[2] = { to, to };
	struct transfer t = { .what = what, .id = id };

	return send_parcel(&(struct parcel){ .to = twice, .destinations = times, .with = &t, .transfers = id != 0 });
}

static void errors(void)
{
	uint64_t ids[2], before[10], after[10], nobody = 1 << 20;

	want(!ask(CREATE, WITH_HANDLE, NULL, 0, ids));
	want(!ask(QUERY, 0, NULL, 0, before));
	want(ask(99, 0, NULL, 0, NULL) == EOPNOTSUPP);
	want(ask(CREATE, 0x40, NULL, 0, NULL) == EINVAL);
	want(ask(HANDLE, 0, &nobody, 1, NULL) == ENXIO);
	want(ask(RELEASE, 0, &nobody, 1, NULL) == ENXIO);
	want(say(nobody, "") == ENXIO);
	want(odd(ids[1], 0, 0, 2) == ENOTUNIQ);
	want(odd(ids[1], ids[0], 7, 1) == EINVAL);
	want(odd(ids[1], nobody, A_HANDLE, 1) == ENXIO);
	want(odd(ids[1], ids[1], A_NODE, 1) == ENXIO || odd(ids[1], ids[1], A_NODE, 1) == EREMOTE);
	want(!ask(QUERY, 0, NULL, 0, after) && !memcmp(before, after, sizeof before));
}

/* ---- end: DISCONNECT is answered, then nothing comes any more */

static void end(void)
{
	struct pollfd p = { .fd = here.fd };

	want(!ask(DISCONNECT, 0, NULL, 0, NULL));
	want(!bus_message(&here));
	want(poll(&p, 1, 5000) == 1 && (p.revents & POLLHUP));
}

static const struct { const char *name; void (*run)(void); } SCENES[] = {
	{ "create", create }, { "inline", inline_ }, { "memfd", memfd }, { "fds", fds }, { "call", answers },
	{ "multicast", multicast }, { "quiet", quiet }, { "errors", errors }, { "end", end },
};

int main(int argc, char **argv)
{
	alarm(20);
	for (size_t i = 0; argc == 3 && i < sizeof SCENES / sizeof *SCENES; i++)
		if (!strcmp(argv[2], SCENES[i].name)) {
			int fd = bus_connect(argv[1]);

			want(fd >= 0);
			bus_open(&here, fd);
			SCENES[i].run();
			bus_close(&here);
			return 0;
		}
	fprintf(stderr, "usage: scenes SOCKET SCENE\n");
	return 2;
}
