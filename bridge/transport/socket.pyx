# cython: language_level=3
"""The kernel's side of one connection: one recvmsg in, one sendmsg out."""

from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memcpy, memset

from bridge.wire.frame cimport Frame, Framer
from bus1.fds.descriptors cimport close_all

from bridge.wire.frame import BadMessage


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
    VECTORS = 256  # as many as frames: each may need one
    # The kernel allows 253 descriptors in one message (SCM_MAX_FD).
    MOST_FDS = 253
    LINES = 4096  # bytes of text at a time: more than an honest handshake has
    CONTROL = 130  # words: CMSG_SPACE(253 * sizeof(int)), rounded up; words, so that it is aligned

BATCH = 256

# Where small frames are put together: as much as one sendmsg of them needs.
cdef enum:
    SMALL = 512
    TOGETHER = 128 * 1024
cdef unsigned char[TOGETHER] together


class Truncated(Exception):
    """The kernel had more file descriptors than fit; those received are closed already."""


cpdef Py_ssize_t receive(int fd, Framer framer, bint takes_fds) except -2:
    cdef size_t control[CONTROL]
    cdef iovec vector
    cdef msghdr header
    cdef Py_ssize_t count
    cdef bint owed = framer.begun() and len(framer.fds) > 0
    vector.iov_base = framer.space(<Py_ssize_t *>&vector.iov_len)
    count = receive_into(fd, &vector, &header, control)
    if count < 0:
        if errno == EAGAIN or errno == EINTR:
            return -1
        PyErr_SetFromErrno(OSError)
    if count > 0:
        framer.filled(count)
    if not takes_fds:
        refuse(&header, framer.payer)
    # At EMFILE the kernel may leave out all descriptors, and says no more than that.
    elif header.msg_controllen or header.msg_flags & MSG_CTRUNC:
        adopt(&header, framer, owed and not beyond(framer))
    return count


cdef inline Py_ssize_t receive_into(
    int fd, iovec *room, msghdr *header, size_t *control
) noexcept nogil:
    """One recvmsg, with the descriptors that come along: `control` has CONTROL words for them."""
    memset(header, 0, sizeof(header[0]))
    header.msg_iov = room
    header.msg_iovlen = 1
    header.msg_control = control
    header.msg_controllen = CONTROL * sizeof(size_t)
    return recvmsg(fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)


cdef bint beyond(Framer framer):
    """Has more come than one message? One that is broken is the framer's to find."""
    cdef Py_ssize_t length
    try:
        length = framer.length()
    except BadMessage:
        return True
    return 0 < length < framer.intake.end - framer.intake.at


cdef int adopt(msghdr *header, Framer framer, bint repeated) except -1:
    """Hand the received descriptors to the framer, or close them all if some were lost.

    The first that come with a message are its own; sd-bus repeats them with every further
    part it writes, so what comes with later parts is closed. The kernel gives descriptors with
    the last bytes that it gives: if these are beyond the message, so are the descriptors.
    """
    cdef list came
    if repeated or header.msg_flags & MSG_CTRUNC:
        refuse(header, framer.payer)
    else:
        came = descriptors(header)
        framer.fds.extend(came)
    if header.msg_flags & MSG_CTRUNC:
        raise Truncated("file descriptors were lost on the way (too many, or none to spare here)")
    return 0


cdef int refuse(msghdr *header, long long payer) except -1:
    """Close what came. To leave it no room would have the kernel close it, and us wait for that."""
    if header.msg_controllen:
        close_all(descriptors(header), payer)
    return 0


cdef list descriptors(msghdr *header):
    """What came."""
    cdef cmsghdr *part = CMSG_FIRSTHDR(header)
    cdef size_t place, count
    cdef int number
    cdef list found = []
    while part != NULL:
        if part.cmsg_level == SOL_SOCKET and part.cmsg_type == SCM_RIGHTS:
            count = (part.cmsg_len - CMSG_LEN(0)) // sizeof(int)
            for place in range(count):
                memcpy(&number, CMSG_DATA(part) + place * sizeof(int), sizeof(int))
                found.append(number)
        part = CMSG_NXTHDR(header, part)
    return found


cpdef bytes receive_text(int fd, long long payer):
    cdef size_t control[CONTROL]
    cdef unsigned char text[LINES]
    cdef iovec vector
    cdef msghdr header
    cdef Py_ssize_t count
    vector.iov_base = text
    vector.iov_len = sizeof(text)
    count = receive_into(fd, &vector, &header, control)
    if count < 0:
        PyErr_SetFromErrno(OSError)
    refuse(&header, payer)
    return text[:count]


cpdef Py_ssize_t send(int fd, list frames, Py_ssize_t offset) except -2:
    cdef size_t control[CONTROL]
    cdef iovec vectors[VECTORS]
    cdef msghdr header
    cdef Frame frame
    cdef Py_ssize_t written
    if not frames:
        return 0
    memset(&header, 0, sizeof(header))
    header.msg_iov = vectors
    header.msg_iovlen = gather(frames, vectors)
    vectors[0].iov_base = <unsigned char *>vectors[0].iov_base + offset
    vectors[0].iov_len -= offset
    frame = <Frame>frames[0]
    if frame.fd_count and offset == 0:
        attach(&header, control, frame.fds.numbers)
    written = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL)
    if written < 0:
        if errno == EAGAIN or errno == EINTR:
            return -1
        PyErr_SetFromErrno(OSError)
    return written


cdef size_t gather(list frames, iovec *vectors) except 0:
    """Point at the frames that go in one sendmsg; how many vectors that took.

    A vector costs the kernel more than copying a small frame costs us, so small neighbours
    are put together first.
    """
    cdef unsigned char *tail = together
    cdef size_t count = 0
    cdef bint joined = False
    cdef Frame frame
    for frame in frames:
        if count and frame.fd_count:
            break
        if frame.size <= SMALL and not frame.fd_count and tail + SMALL <= together + TOGETHER:
            memcpy(tail, frame.data, frame.size)
            if joined:
                vectors[count - 1].iov_len += frame.size
            else:
                vectors[count].iov_base = tail
                vectors[count].iov_len = frame.size
                count += 1
            tail += frame.size
            joined = True
            continue
        if count == VECTORS:
            break
        vectors[count].iov_base = frame.data
        vectors[count].iov_len = frame.size
        count += 1
        joined = False
        if frame.fd_count:
            break
    return count


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
