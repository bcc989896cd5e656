# cython: language_level=3, boundscheck=False, wraparound=False
"""Where descriptors are closed for which somebody might make us wait: in threads. It knows numbers,
and for whom they are closed.

Nothing is ever refused here, since a descriptor must go somewhere; so what comes in is bounded where
it is read (`crowded`). There are two kinds of waiting. Most can be cut short, as that for a connection that
lingers (alarm.pyx). Who waits for a file system that does not answer cannot be interrupted, and is
lost until it does: so a user has only as many threads as are left for others, and the bus's own
connections have a thread of their own.
"""

from posix.unistd cimport close, usleep

from bus1.fds.alarm cimport Alarm, begin, heed, ring_every, set_up
from bus1.fds.harmless cimport harmless


cdef extern from *:
    """
    #include <pthread.h>
    #include <sys/resource.h>
    #include <sys/socket.h>
    """
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    struct rlimit:
        unsigned long long rlim_cur
    enum: SHUT_RDWR, RLIMIT_NOFILE
    int getrlimit(int, rlimit *)
    int shutdown(int, int) nogil
    int pthread_atfork(void (*)(), void (*)(), void (*)() noexcept nogil)
    int pthread_mutex_init(pthread_mutex_t *, void *) nogil
    int pthread_mutex_lock(pthread_mutex_t *) nogil
    int pthread_mutex_unlock(pthread_mutex_t *) nogil
    int pthread_cond_init(pthread_cond_t *, void *)
    int pthread_cond_signal(pthread_cond_t *) nogil
    int pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *) nogil


cdef enum:
    FEW = 8  # are always taken
    ENOUGH = 256  # of one user
    PART = 4  # of all descriptors that this process may have, for all users
    THREADS = 8  # for what programs sent
    USERS = 64  # are told apart: more of them share a line
    NUMBERS = 1 << 20  # descriptors there may be (fs.nr_open, unless somebody changed it)
    # Nanoseconds until a closing is told to go on, again and again. What a program sent may have an
    # honest reason to take a while; what lies unread in a connection of ours has none.
    PATIENCE = 10_000_000
    IMPATIENCE = 50_000
    NAP = 1000  # microseconds

cdef struct Line:  # of those who wait: the first, the last; each knows the one behind it
    int first, last
    int held  # with those that are being closed
    int in_work

cdef struct Crew:  # of threads
    pthread_cond_t wanted
    int most, here, asleep, in_work
    bint called  # one of them is about to look
    long patience

cdef bint opened = False
cdef pthread_mutex_t lock
cdef Crew sent, own
cdef Line[USERS] users
cdef Line ours
cdef int[NUMBERS] behind  # memory that nobody touches costs nothing
cdef int turn = 0
cdef int total = 0


def open():
    global opened
    if not opened:
        opened = True
        pthread_mutex_init(&lock, NULL)
        found(&sent, THREADS, PATIENCE)
        found(&own, 1, IMPATIENCE)
        for place in range(USERS):
            users[place].first = -1
        ours.first = -1
        heed()
        pthread_atfork(NULL, NULL, forked)


cdef void found(Crew *crew, int most, long patience):
    pthread_cond_init(&crew.wanted, NULL)
    crew.most = most
    crew.patience = patience


cdef void forked() noexcept nogil:
    """The threads are not here."""
    global opened
    opened = False


def held():
    return total


cpdef bint crowded(long long payer) noexcept:
    cdef int count = users[payer & (USERS - 1)].held
    cdef rlimit most
    if count < FEW:
        return False
    return (
        count >= ENOUGH
        or getrlimit(RLIMIT_NOFILE, &most) == 0
        and <unsigned long long>count + <unsigned long long>total >= most.rlim_cur // PART
    )


cpdef void let_go(int fd, long long payer) noexcept:
    if fd < 0:  # the place of one that is somebody else's (bridge/wire/relay.pyx)
        return
    if not opened or harmless(fd):
        close(fd)
    else:
        enter(fd, &users[payer & (USERS - 1)], &sent)


cpdef void hang_up(int fd) noexcept:
    if fd >= 0 and opened:
        shutdown(fd, SHUT_RDWR)
    put_away(fd)


cpdef void put_away(int fd) noexcept:
    if fd < 0:  # it was closed before
        return
    if not opened:
        close(fd)
    else:
        enter(fd, &ours, &own)


cdef void enter(int fd, Line *line, Crew *crew) noexcept nogil:
    global total
    if fd >= NUMBERS:
        close(fd)
        return
    pthread_mutex_lock(&lock)
    behind[fd] = -1
    if line.first < 0:
        line.first = fd
    else:
        behind[line.last] = fd
    line.last = fd
    line.held += 1
    total += 1
    call(crew)
    pthread_mutex_unlock(&lock)


cdef void call(Crew *crew) noexcept nogil:
    """One more thread is to look, unless one is about to. If there can be none now, one of those
    that are there will look when it is done, or whoever comes next calls again."""
    if crew.called:
        return
    if crew.asleep:
        crew.called = True
        pthread_cond_signal(&crew.wanted)
    elif crew.here < crew.most and begin(work, crew):
        crew.called = True
        crew.here += 1


# ------------------------------------------------------------------------- in a thread


cdef void *work(void *place) noexcept nogil:
    cdef Crew *crew = <Crew *>place
    cdef Line *line
    cdef Alarm alarm
    cdef bint tired = False
    cdef int fd
    set_up(&alarm)
    pthread_mutex_lock(&lock)
    crew.called = False
    while True:
        line = next_line(crew)
        if line == NULL:
            ring_every(&alarm, 0)
            rest(crew, tired)
            tired = False
            continue
        fd = take(line, crew)
        tired = True
        ring_every(&alarm, crew.patience)
        if next_line(crew) != NULL:
            call(crew)
        pthread_mutex_unlock(&lock)
        close(fd)
        pthread_mutex_lock(&lock)
        done(line, crew)
    return NULL


cdef void rest(Crew *crew, bint tired) noexcept nogil:
    """Wait until there is more. After work that is likely to be soon: then to look again after a
    nap costs less than to be woken for each."""
    if tired and not crew.called:
        crew.called = True
        pthread_mutex_unlock(&lock)
        usleep(NAP)
        pthread_mutex_lock(&lock)
    else:
        crew.asleep += 1
        pthread_cond_wait(&crew.wanted, &lock)
        crew.asleep -= 1
    crew.called = False


cdef Line *next_line(Crew *crew) noexcept nogil:
    """Whose turn it is: users one after the other, and of one no more than there are threads left."""
    cdef int idle = crew.most - crew.in_work
    cdef int step
    cdef Line *line
    if crew == &own:
        return NULL if ours.first < 0 else &ours
    for step in range(USERS):
        line = &users[(turn + step) & (USERS - 1)]
        if line.first >= 0 and line.in_work < idle:
            return line
    return NULL


cdef int take(Line *line, Crew *crew) noexcept nogil:
    global turn
    cdef int fd = line.first
    line.first = behind[fd]
    line.in_work += 1
    crew.in_work += 1
    if crew == &sent:
        turn = <int>(line - users) + 1
    return fd


cdef void done(Line *line, Crew *crew) noexcept nogil:
    global total
    line.in_work -= 1
    crew.in_work -= 1
    line.held -= 1
    total -= 1
