# cython: language_level=3
"""Threads that close, and what tells them not to wait. It knows no queues.

A signal ends most kinds of waiting in close(2): it does less then, and the kernel does the rest by
itself. What was sent by a connection is still delivered. The signal may come a moment before the
waiting begins, so it comes again and again.
"""

from libc.string cimport memset
from posix.types cimport pid_t


cdef extern from *:
    """
    #include <pthread.h>
    #include <signal.h>
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
    ctypedef struct sigset_t:
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
    enum: CLOCK_MONOTONIC, SYS_gettid
    int pthread_attr_init(pthread_attr_t *) nogil
    int pthread_attr_destroy(pthread_attr_t *) nogil
    int pthread_attr_setdetachstate(pthread_attr_t *, int) nogil
    int pthread_attr_setstacksize(pthread_attr_t *, size_t) nogil
    int pthread_create(
        pthread_t *, const pthread_attr_t *, void *(*)(void *) noexcept nogil, void *
    ) nogil
    int pthread_sigmask(int, const sigset_t *, sigset_t *) nogil
    int sigfillset(sigset_t *) nogil
    int sigdelset(sigset_t *, int) nogil
    int sigaction(int, const sigaction_t *, sigaction_t *)
    int timer_create(int, sigevent *, timer_t *) nogil
    int timer_settime(timer_t, int, const itimerspec *, itimerspec *) nogil
    long syscall(long, ...) nogil

cdef enum:
    STACK = 64 * 1024


cdef void heed() noexcept:
    """The signal shall end the waiting and nothing else. It is one that otherwise nobody minds."""
    cdef sigaction_t action
    memset(&action, 0, sizeof(action))
    action.sa_handler = nothing
    action.sa_flags = SA_RESTART
    sigaction(SIGURG, &action, NULL)


cdef void nothing(int number) noexcept nogil:
    pass


cdef bint begin(void *(*work)(void *) noexcept nogil, void *argument) noexcept nogil:
    """A new thread, which gets no signals that are for others. False if there can be none."""
    cdef pthread_attr_t attributes
    cdef pthread_t thread
    cdef sigset_t every, before
    cdef bint done
    sigfillset(&every)
    pthread_sigmask(SIG_SETMASK, &every, &before)
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED)
    pthread_attr_setstacksize(&attributes, STACK)
    done = pthread_create(&thread, &attributes, work, argument) == 0
    pthread_attr_destroy(&attributes)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    return done


# ------------------------------------------------------------------------- in that thread


cdef void set_up(Alarm *alarm) noexcept nogil:
    """A clock for this thread alone."""
    cdef sigset_t others
    cdef sigevent event
    sigfillset(&others)
    sigdelset(&others, SIGURG)
    pthread_sigmask(SIG_SETMASK, &others, NULL)
    memset(&event, 0, sizeof(event))
    event.sigev_notify = SIGEV_THREAD_ID
    event.sigev_signo = SIGURG
    event.sigev_notify_thread_id = <pid_t>syscall(SYS_gettid)
    alarm.rings = False
    alarm.works = timer_create(CLOCK_MONOTONIC, &event, &alarm.clock) == 0


cdef void ring_every(Alarm *alarm, long nanoseconds) noexcept nogil:
    """From now on close(2) waits no longer than this, if a signal can help it. 0: no more."""
    cdef itimerspec when
    if alarm.works and alarm.rings != (nanoseconds != 0):
        alarm.rings = nanoseconds != 0
        when.it_value.tv_sec = when.it_interval.tv_sec = 0
        when.it_value.tv_nsec = when.it_interval.tv_nsec = nanoseconds
        timer_settime(alarm.clock, 0, &when, NULL)
