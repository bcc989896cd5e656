# cython: language_level=3
"""The kernel's side of one connection: one recvmsg in, one sendmsg out."""

from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memcpy, memset
from posix.unistd cimport close

from bridge.wire.frame cimport Frame, Framer


cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    enum: MSG_DONTWAIT, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC, MSG_CTRUNC, SOL_SOCKET, SCM_RIGHTS
    cmsghdr *CMSG_FIRSTHDR(msghdr *)
    cmsghdr *CMSG_NXTHDR(msghdr *, cmsghdr *)
    unsigned char *CMSG_DATA(cmsghdr *)
    size_t CMSG_SPACE(size_t)
    size_t CMSG_LEN(size_t)
    Py_ssize_t recvmsg(int, msghdr *, int)
    Py_ssize_t sendmsg(int, msghdr *, int)


# What one sendmsg takes at the most: enough to spread the cost of the call over many small
# messages, little enough for the stack. The kernel takes 1024 (UIO_MAXIOV).
cdef enum:
    VECTORS = 256
    # The kernel allows 253 descriptors in one message (SCM_MAX_FD).
    MOST_FDS = 253
    CONTROL = 130  # words: CMSG_SPACE(253 * sizeof(int)), rounded up; words, so that it is aligned

BATCH = VECTORS


class Truncated(Exception):
    """The kernel had more file descriptors than fit; those received are closed already."""


cpdef Py_ssize_t receive(int fd, Framer framer, bint takes_fds) except -2:
    cdef size_t control[CONTROL]
    cdef iovec vector
    cdef msghdr header
    cdef Py_ssize_t count
    memset(&header, 0, sizeof(header))
    vector.iov_base = framer.space(<Py_ssize_t *>&vector.iov_len)
    header.msg_iov = &vector
    header.msg_iovlen = 1
    if takes_fds:  # else the kernel drops what is sent along
        header.msg_control = control
        header.msg_controllen = sizeof(control)
    count = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    if count < 0:
        if errno == EAGAIN or errno == EINTR:
            return -1
        PyErr_SetFromErrno(OSError)
    if header.msg_controllen:
        adopt(&header, framer)
    if count > 0:
        framer.filled(count)
    return count


cdef int adopt(msghdr *header, Framer framer) except -1:
    """Hand the received descriptors to the framer, or close them all if some were lost.

    The first that come with a message are its own; sd-bus repeats them with every further
    part it writes, so what comes with later parts is closed.
    """
    cdef cmsghdr *part = CMSG_FIRSTHDR(header)
    cdef size_t place, count
    cdef int number
    cdef bint lost = header.msg_flags & MSG_CTRUNC
    cdef bint unwanted = lost or (framer.begun() and len(framer.fds) > 0)
    while part != NULL:
        if part.cmsg_level == SOL_SOCKET and part.cmsg_type == SCM_RIGHTS:
            count = (part.cmsg_len - CMSG_LEN(0)) // sizeof(int)
            for place in range(count):
                memcpy(&number, CMSG_DATA(part) + place * sizeof(int), sizeof(int))
                if unwanted:
                    close(number)
                else:
                    framer.fds.append(number)
        part = CMSG_NXTHDR(header, part)
    if lost:
        raise Truncated("file descriptors were lost on the way (too many, or none to spare here)")
    return 0


cpdef Py_ssize_t send(int fd, list frames, Py_ssize_t offset) except -2:
    cdef size_t control[CONTROL]
    cdef iovec vectors[VECTORS]
    cdef msghdr header
    cdef Frame frame
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t written
    memset(&header, 0, sizeof(header))
    for frame in frames:
        if count == VECTORS or (count and frame.fd_count):
            break
        vectors[count].iov_base = frame.data
        vectors[count].iov_len = frame.size
        count += 1
        if frame.fd_count:
            break
    if count == 0:
        return 0
    vectors[0].iov_base = <unsigned char *>vectors[0].iov_base + offset
    vectors[0].iov_len -= offset
    frame = <Frame>frames[0]
    if frame.fd_count and offset == 0:
        attach(&header, control, frame.fds.numbers)
    header.msg_iov = vectors
    header.msg_iovlen = count
    written = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL)
    if written < 0:
        if errno == EAGAIN or errno == EINTR:
            return -1
        PyErr_SetFromErrno(OSError)
    return written


cdef int attach(msghdr *header, size_t *control, list numbers) except -1:
    """Put descriptors (at most 253) into the control part of a message."""
    cdef Py_ssize_t count = len(numbers)
    cdef Py_ssize_t place
    cdef int number
    cdef cmsghdr *part
    if count > MOST_FDS:
        raise ValueError("more file descriptors than one message takes")
    memset(control, 0, CMSG_SPACE(count * sizeof(int)))
    header.msg_control = control
    header.msg_controllen = CMSG_SPACE(count * sizeof(int))
    part = CMSG_FIRSTHDR(header)
    part.cmsg_level = SOL_SOCKET
    part.cmsg_type = SCM_RIGHTS
    part.cmsg_len = CMSG_LEN(count * sizeof(int))
    for place in range(count):
        number = numbers[place]
        memcpy(CMSG_DATA(part) + place * sizeof(int), &number, sizeof(int))
    return 0
