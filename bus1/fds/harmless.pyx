# cython: language_level=3
"""Which descriptors may be closed at once: those whose closing cannot wait for anybody. It closes
nothing.

Closing can wait for the other end of a connection (SO_LINGER), for whoever serves a file system
(FUSE and NFS are asked at each close), for a disk or a serial line. A Unix socket looks innocent,
and takes along what lies in it unread: such a connection, perhaps. So nothing is trusted but what
lives in the kernel's memory alone, and in file systems that are the kernel's own: nobody else can
mount these, and their device numbers are nobody else's as long as the machine runs. (Files without
a name, as an eventfd or an io_uring, all have one; to tell them apart costs more than a thread.)
"""

from posix.unistd cimport close, getpid, pipe


cdef extern from *:
    """
    #include <fcntl.h>
    #include <sys/mman.h>
    #include <sys/stat.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    """
    struct statx_t "statx":
        unsigned int stx_mask
        unsigned long long stx_blocks
        unsigned int stx_dev_major, stx_dev_minor
    int statx(int, const char *, int, unsigned int, statx_t *) nogil
    int memfd_create(const char *, unsigned int)
    long syscall(long, ...)
    enum: AT_EMPTY_PATH, AT_STATX_DONT_SYNC, STATX_TYPE, STATX_BLOCKS
    enum: MFD_CLOEXEC, SYS_pidfd_open, SYS_eventfd2

cdef enum:
    LARGE = 8192  # blocks of 512 bytes: to free 4 MiB takes part of a millisecond

# Their file systems, by device. 0 is none.
cdef unsigned long long pipes, memory, processes


cdef bint harmless(int fd) noexcept nogil:
    cdef statx_t found
    cdef unsigned long long device = look(fd, &found)
    if device == 0:
        return False
    if device == memory:
        return found.stx_mask & STATX_BLOCKS and found.stx_blocks <= LARGE
    return device == pipes or device == processes


cdef unsigned long long look(int fd, statx_t *found) noexcept nogil:
    """Its device; 0 if that cannot be told. What the kernel knows is enough: a file system that
    somebody serves is not to be asked, which could take as long as the closing."""
    if statx(fd, b"", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, found) < 0:
        return 0
    return (<unsigned long long>found.stx_dev_major << 32) | found.stx_dev_minor


cdef unsigned long long device_of(int fd):
    """Where a new one of ours lives. The kernel may have none of its kind."""
    cdef statx_t found
    cdef unsigned long long device
    if fd < 0:
        return 0
    device = look(fd, &found)
    close(fd)
    return device


cdef unsigned long long device_of_pipes():
    cdef int[2] ends
    if pipe(ends) < 0:
        return 0
    close(ends[1])
    return device_of(ends[0])


pipes = device_of_pipes()
memory = device_of(memfd_create(b"", MFD_CLOEXEC))
processes = device_of(<int>syscall(SYS_pidfd_open, getpid(), 0))
if processes == device_of(<int>syscall(SYS_eventfd2, 0, 0)):  # before Linux 6.9 it had no name
    processes = 0
