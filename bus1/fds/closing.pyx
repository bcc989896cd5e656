# cython: language_level=3, boundscheck=False, wraparound=False
"""Where descriptors are closed for which somebody might make us wait: in threads. It knows numbers,
and for whom they are closed.

Nothing is ever refused here, since a descriptor must go somewhere; so what comes in is bounded where
it is read (`crowded`). There are two kinds of waiting. Most ends when a signal comes, as that for a
connection that lingers: the kernel then goes on without us, and what was sent is still delivered.
Who waits for a file system that does not answer cannot be interrupted, and is lost until it does:
so a user has only as many threads as are left for others, and the bus's own connections have a
thread of their own.
"""

from libc.string cimport memset
from posix.types cimport pid_t
from posix.unistd cimport close

from bus1.fds.harmless cimport harmless


cdef extern from *:
    """
    #include <pthread.h>
    #include <signal.h>
    #include <sys/resource.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef sigev_notify_thread_id
    #define sigev_notify_thread_id _sigev_un._tid
    #endif
    """
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_attr_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    ctypedef struct sigset_t:
        pass
    ctypedef struct timer_t:
        pass
    ctypedef void (*Handler)(int) noexcept nogil
    struct timespec:
        long tv_sec, tv_nsec
    struct itimerspec:
        timespec it_interval, it_value
    struct sigevent:
        int sigev_notify, sigev_signo
        pid_t sigev_notify_thread_id
    struct sigaction_t "sigaction":
        Handler sa_handler
        int sa_flags
    enum: PTHREAD_CREATE_DETACHED, SIGURG, SIG_SETMASK, SA_RESTART, SIGEV_THREAD_ID
    struct rlimit:
        unsigned long long rlim_cur
    enum: CLOCK_MONOTONIC, SYS_gettid, SHUT_RDWR, RLIMIT_NOFILE
    int getrlimit(int, rlimit *)
    int pthread_attr_init(pthread_attr_t *) nogil
    int pthread_attr_destroy(pthread_attr_t *) nogil
    int pthread_attr_setdetachstate(pthread_attr_t *, int) nogil
    int pthread_attr_setstacksize(pthread_attr_t *, size_t) nogil
    int pthread_create(
        pthread_t *, const pthread_attr_t *, void *(*)(void *) noexcept nogil, void *
    ) nogil
    int pthread_atfork(void (*)(), void (*)(), void (*)() noexcept nogil)
    int pthread_mutex_init(pthread_mutex_t *, void *) nogil
    int pthread_mutex_lock(pthread_mutex_t *) nogil
    int pthread_mutex_unlock(pthread_mutex_t *) nogil
    int pthread_cond_init(pthread_cond_t *, void *)
    int pthread_cond_signal(pthread_cond_t *) nogil
    int pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *) nogil
    int pthread_sigmask(int, const sigset_t *, sigset_t *) nogil
    int sigfillset(sigset_t *) nogil
    int sigdelset(sigset_t *, int) nogil
    int sigaction(int, const sigaction_t *, sigaction_t *)
    int timer_create(int, sigevent *, timer_t *) nogil
    int timer_settime(timer_t, int, const itimerspec *, itimerspec *) nogil
    int shutdown(int, int) nogil
    long syscall(long, ...) nogil


cdef enum:
    FEW = 8  # are always taken
    ENOUGH = 256  # of one user
    PART = 4  # of all descriptors that this process may have, for all users
    THREADS = 8  # for what programs sent
    USERS = 64  # are told apart: more of them share a line
    NUMBERS = 1 << 20  # descriptors there may be (fs.nr_open, unless somebody changed it)
    STACK = 64 * 1024
    # Nanoseconds until a closing is told to go on, again and again. What a program sent may have an
    # honest reason to take a while; what lies unread in a connection of ours has none.
    PATIENCE = 10_000_000
    IMPATIENCE = 50_000

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


cdef void heed():
    """The signal that ends the waiting does nothing else."""
    cdef sigaction_t action
    memset(&action, 0, sizeof(action))
    action.sa_handler = nothing
    action.sa_flags = SA_RESTART
    sigaction(SIGURG, &action, NULL)


cdef void nothing(int number) noexcept nogil:
    pass


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
    if not opened or harmless(fd):
        close(fd)
    else:
        enter(fd, &users[payer & (USERS - 1)], &sent)


cpdef void hang_up(int fd) noexcept:
    if not opened:
        close(fd)
    else:
        shutdown(fd, SHUT_RDWR)
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
    that are there will look when it is done."""
    if crew.called:
        return
    if crew.asleep:
        crew.called = True
        pthread_cond_signal(&crew.wanted)
    elif crew.here < crew.most and begin(crew):
        crew.called = True
        crew.here += 1


cdef bint begin(Crew *crew) noexcept nogil:
    """A new thread, which takes no signals from us. False if there can be none."""
    cdef pthread_attr_t attributes
    cdef pthread_t thread
    cdef sigset_t every, before
    cdef bint done
    sigfillset(&every)
    pthread_sigmask(SIG_SETMASK, &every, &before)
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED)
    pthread_attr_setstacksize(&attributes, STACK)
    done = pthread_create(&thread, &attributes, work, crew) == 0
    pthread_attr_destroy(&attributes)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    return done


# ------------------------------------------------------------------------- in a thread


cdef void *work(void *place) noexcept nogil:
    cdef Crew *crew = <Crew *>place
    cdef Line *line
    cdef timer_t alarm
    cdef bint has_alarm = set_up(&alarm)
    cdef int fd
    pthread_mutex_lock(&lock)
    crew.called = False
    while True:
        line = next_line(crew)
        if line == NULL:
            crew.asleep += 1
            pthread_cond_wait(&crew.wanted, &lock)
            crew.asleep -= 1
            crew.called = False
            continue
        fd = take(line, crew)
        if next_line(crew) != NULL:
            call(crew)
        pthread_mutex_unlock(&lock)
        if has_alarm:
            set_alarm(alarm, crew.patience)
        close(fd)
        if has_alarm:
            set_alarm(alarm, 0)
        pthread_mutex_lock(&lock)
        done(line, crew)
    return NULL


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


cdef bint set_up(timer_t *alarm) noexcept nogil:
    """This thread can be told to go on, by a clock of its own."""
    cdef sigset_t others
    cdef sigevent event
    sigfillset(&others)
    sigdelset(&others, SIGURG)
    pthread_sigmask(SIG_SETMASK, &others, NULL)
    memset(&event, 0, sizeof(event))
    event.sigev_notify = SIGEV_THREAD_ID
    event.sigev_signo = SIGURG
    event.sigev_notify_thread_id = <pid_t>syscall(SYS_gettid)
    return timer_create(CLOCK_MONOTONIC, &event, alarm) == 0


cdef void set_alarm(timer_t alarm, long patience) noexcept nogil:
    cdef itimerspec when
    when.it_value.tv_sec = when.it_interval.tv_sec = 0
    when.it_value.tv_nsec = when.it_interval.tv_nsec = patience
    timer_settime(alarm, 0, &when, NULL)
