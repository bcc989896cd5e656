cimport cython
from bus1.fds.descriptors cimport Descriptors
from bus1.native.packet cimport Packet
from bus1.native.parcel cimport Parcel, inline, mapped
from bus1.node cimport Handle, Node
from bus1.peer cimport Peer

@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Letter:
    cdef readonly Peer peer
    cdef readonly list targets, handles
    cdef readonly Parcel parcel
    cdef readonly long long cost
    cdef readonly Descriptors fds
    cdef readonly Py_ssize_t fd_count
    @cython.locals(destinations=cython.longlong, transfers=cython.longlong, size=cython.longlong, inside=cython.longlong)
    cpdef int read(self, Packet packet, bint memfd, long long uid, long long pid) except -1
    @cython.locals(handle=Handle)
    cdef int aim(self, unsigned long long id) except -1
    cdef int load(self, Packet packet, Py_ssize_t count) except -1
    @cython.locals(what=cython.uint, zero=cython.uint, id=cython.ulonglong, cookie=cython.ulonglong, held=Handle, node=Node)
    cdef Handle transfer(self, Packet packet)
    @cython.locals(there=cython.longlong)
    cdef int map(self, Packet packet, long long size, long long uid, long long pid) except -1

@cython.locals(node=Node, handle=Handle)
cpdef Node own(Peer peer, unsigned long long id)
