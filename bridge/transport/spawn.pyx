# cython: language_level=3
"""The kernel's side of starting a program: vfork, what is set in the child, exec."""

from cpython.bytes cimport PyBytes_AsStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EINTR, errno
from posix.fcntl cimport O_CLOEXEC, O_RDONLY, O_RDWR, O_WRONLY, open
from posix.types cimport pid_t
from posix.unistd cimport _exit, close, dup2, execve, read, write

from os import strerror


cdef extern from "<unistd.h>" nogil:
    pid_t vfork()
    long syscall(long, ...)

cdef extern from "<sys/syscall.h>" nogil:
    long SYS_close_range

cdef extern from "<sys/wait.h>" nogil:
    pid_t waitpid(pid_t, int *, int)

cdef extern from "<sys/resource.h>" nogil:
    struct rlimit:
        unsigned long long rlim_cur
        unsigned long long rlim_max
    enum: RLIMIT_NOFILE
    int getrlimit(int, rlimit *)
    int setrlimit(int, const rlimit *)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    ctypedef void (*Handler)(int) noexcept
    struct sigaction_t "sigaction":
        Handler sa_handler
        int sa_flags
    Handler SIG_DFL, SIG_IGN
    enum: SIGCHLD, SIGPIPE, SIGXFSZ, SIG_BLOCK, SIG_SETMASK, SA_NOCLDWAIT, NSIG
    int sigaction(int, const sigaction_t *, sigaction_t *)
    int sigfillset(sigset_t *)
    int pthread_sigmask(int, const sigset_t *, sigset_t *)


cdef enum:
    NOT_EXECUTED = 127  # what shells say, too
    FIRST = 3  # above the standard descriptors


class CannotFork(OSError):
    """There is no child: the system has no room for one more process."""


cdef struct Program:
    char **words
    char **environment
    int output
    int errors
    int reason  # errno, where it could not be executed: the child's memory is ours
    rlimit fds
    sigset_t mask


cpdef int spawn(
    list words, list environment, int output, int errors, unsigned long long soft,
    unsigned long long hard
) except -1:
    cdef Program program
    cdef pid_t child
    program.output, program.errors = output, errors
    program.fds.rlim_cur, program.fds.rlim_max = soft, hard
    program.words = program.environment = NULL
    try:
        program.words = pointers(words)
        program.environment = pointers(environment)
        with nogil:
            child = start(&program)
    finally:
        PyMem_Free(program.words)
        PyMem_Free(program.environment)
    if child < 0:
        raise CannotFork(program.reason, strerror(program.reason))
    if program.reason:
        raise OSError(program.reason, strerror(program.reason))
    return child


cdef char **pointers(list texts) except NULL:
    """What exec takes: they are valid as long as the list is."""
    cdef char **found = <char **>PyMem_Malloc((len(texts) + 1) * sizeof(char *))
    cdef Py_ssize_t place
    if found == NULL:
        raise MemoryError
    try:
        for place in range(len(texts)):
            PyBytes_AsStringAndSize(texts[place], &found[place], NULL)
    except BaseException:
        PyMem_Free(found)
        raise
    found[len(texts)] = NULL
    return found


cdef pid_t start(Program *program) noexcept nogil:
    """The new process, if there is one: its thread waits here until it has become the program.

    A fork would copy the tables of all our memory, which takes long where there is much.
    """
    cdef sigset_t every
    cdef pid_t child
    keep_statuses()
    program.reason = 0
    # No handler of ours may run in the child, where there is no interpreter to tell.
    sigfillset(&every)
    pthread_sigmask(SIG_BLOCK, &every, &program.mask)
    child = vfork()
    if child == 0:
        execute(program)
    if child < 0:
        program.reason = errno
    elif program.reason:
        while waitpid(child, NULL, 0) < 0 and errno == EINTR:
            pass
    pthread_sigmask(SIG_SETMASK, &program.mask, NULL)
    return child


cdef void keep_statuses() noexcept nogil:
    """Whoever started us may have had the kernel forget how children end."""
    cdef sigaction_t action
    if sigaction(SIGCHLD, NULL, &action) < 0:
        return
    if action.sa_handler == SIG_IGN or action.sa_flags & SA_NOCLDWAIT:
        action.sa_handler = SIG_DFL
        action.sa_flags = 0
        sigaction(SIGCHLD, &action, NULL)


# ------------------------------------------------------------------------------ the child
#
# Only what signal-safety(7) allows, and nothing that would be seen in our memory: it is shared.


cdef void execute(Program *program) noexcept nogil:
    """Become the program, as dbus-daemon's services find the world. It does not return."""
    if dup2(program.output, 1) < 0 or dup2(program.errors, 2) < 0:
        fail(program)
    close_others()
    close(0)  # so that there is a number left, and it is this one
    if open("/dev/null", O_RDWR) < 0:
        fail(program)
    reset_signals()
    be_killable()
    setrlimit(RLIMIT_NOFILE, &program.fds)
    pthread_sigmask(SIG_SETMASK, &program.mask, NULL)
    execve(program.words[0], program.words, program.environment)
    fail(program)


cdef void fail(Program *program) noexcept nogil:
    program.reason = errno
    _exit(NOT_EXECUTED)


cdef void close_others() noexcept nogil:
    """All but the standard ones; kernels before 5.9 close them one by one."""
    cdef rlimit most
    cdef int fd
    if syscall(SYS_close_range, <unsigned int>FIRST, ~(<unsigned int>0), 0) == 0:
        return
    if getrlimit(RLIMIT_NOFILE, &most) == 0:
        for fd in range(FIRST, <int>most.rlim_cur):
            close(fd)


cdef void reset_signals() noexcept nogil:
    """What was ignored when the bus began stays so, and SIGPIPE is ignored: both as dbus-daemon
    has it. SIGXFSZ is ignored by the interpreter alone."""
    cdef sigaction_t action
    cdef int number
    for number in range(1, NSIG):
        if sigaction(number, NULL, &action) < 0:
            continue
        if number == SIGPIPE:
            action.sa_handler = SIG_IGN
        elif action.sa_handler != SIG_IGN or number == SIGXFSZ:
            action.sa_handler = SIG_DFL
        else:
            continue
        action.sa_flags = 0
        sigaction(number, &action, NULL)


cdef void be_killable() noexcept nogil:
    """The system bus is the last to be killed when memory runs out; that is not for services.
    Who is not root may be unable to say so: then it stays."""
    cdef char sign = 0
    cdef int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC)
    if fd < 0:
        return
    read(fd, &sign, 1)
    close(fd)
    if sign == c"-":
        fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
        if fd >= 0:
            write(fd, "0", 1)
            close(fd)
