# cython: language_level=3, boundscheck=False, wraparound=False
"""The kernel's side of one native peer: one recvmsg in, one sendmsg out. It knows no records."""

from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memcpy, memset

from bus1.fds.closing cimport let_go
from bus1.native.packet cimport PACKET, Packet, arrived, vacant


cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    enum: MSG_DONTWAIT, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_TRUNC
    enum: SOL_SOCKET, SCM_RIGHTS
    cmsghdr *CMSG_FIRSTHDR(msghdr *)
    cmsghdr *CMSG_NXTHDR(msghdr *, cmsghdr *)
    unsigned char *CMSG_DATA(cmsghdr *)
    size_t CMSG_SPACE(size_t)
    size_t CMSG_LEN(size_t)
    Py_ssize_t recvmsg(int, msghdr *, int)
    Py_ssize_t send_bytes "send"(int, const void *, size_t, int)
    Py_ssize_t sendmsg(int, msghdr *, int)

cdef enum:
    CONTROL = 130  # words: CMSG_SPACE(253 * sizeof(int)), rounded up; words, so that it is aligned


cpdef Packet receive(int fd, long long payer=0):
    cdef size_t[CONTROL] control
    cdef iovec vector
    cdef msghdr header
    cdef Py_ssize_t count
    cdef Packet packet
    memset(&header, 0, sizeof(header))
    vector.iov_base = vacant()
    vector.iov_len = PACKET
    header.msg_iov = &vector
    header.msg_iovlen = 1
    header.msg_control = control
    header.msg_controllen = sizeof(control)
    count = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    if count < 0:
        if errno == EAGAIN or errno == EINTR:
            return None
        PyErr_SetFromErrno(OSError)
    # At EMFILE the kernel may leave out all descriptors, and says no more than that.
    packet = arrived(count, header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) != 0)
    packet.payer = payer
    if header.msg_controllen:
        adopt(&header, packet)
    return packet


cdef void adopt(msghdr *header, Packet packet) noexcept:
    """The descriptors that came are the packet's."""
    cdef cmsghdr *part = CMSG_FIRSTHDR(header)
    cdef size_t place, count
    cdef int number
    while part != NULL:
        if part.cmsg_level == SOL_SOCKET and part.cmsg_type == SCM_RIGHTS:
            count = (part.cmsg_len - CMSG_LEN(0)) // sizeof(int)
            for place in range(count):
                memcpy(&number, CMSG_DATA(part) + place * sizeof(int), sizeof(int))
                if not packet.gain(number):  # the kernel has no more in one packet
                    let_go(number, packet.payer)
                    packet.cut = True
        part = CMSG_NXTHDR(header, part)


cpdef bint send(int fd, Packet packet) except -1:
    cdef Py_ssize_t count
    if packet.size == 0:
        return True
    if packet.fd_count:
        count = send_all(fd, packet)
    else:  # the kernel has less to read, which is much of what a small packet costs
        count = send_bytes(fd, packet.data, packet.size, MSG_DONTWAIT | MSG_NOSIGNAL)
    if count < 0:
        if errno == EAGAIN or errno == EINTR:
            packet.own()
            return False
        PyErr_SetFromErrno(OSError)
    packet.drop()
    return True


cdef Py_ssize_t send_all(int fd, Packet packet) noexcept:
    """With its descriptors."""
    cdef size_t[CONTROL] control
    cdef iovec vector
    cdef msghdr header
    memset(&header, 0, sizeof(header))
    vector.iov_base = packet.data
    vector.iov_len = packet.size
    header.msg_iov = &vector
    header.msg_iovlen = 1
    enclose(&header, control, packet)
    return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL)


cdef void enclose(msghdr *header, size_t *control, Packet packet) noexcept:
    """The packet's descriptors into the control part of what is sent."""
    cdef size_t size = packet.fd_count * sizeof(int)
    cdef cmsghdr *part
    memset(control, 0, CMSG_SPACE(size))
    header.msg_control = control
    header.msg_controllen = CMSG_SPACE(size)
    part = CMSG_FIRSTHDR(header)
    part.cmsg_level = SOL_SOCKET
    part.cmsg_type = SCM_RIGHTS
    part.cmsg_len = CMSG_LEN(size)
    memcpy(CMSG_DATA(part), packet.numbers, size)
