cimport cython

from bus1.node cimport Handle, Node
from bus1.peer cimport Peer

@cython.final
cdef class Client:
    cdef readonly Peer peer
    cdef readonly Node node
    cdef readonly Handle handle
    cdef readonly object credentials
    cdef readonly bint takes_fds
    cdef public long long number
    cdef public str unique
    cdef public list names
    cdef public list rules
    cdef public dict routes
    cdef public dict owed
    cdef public Client recent
    cdef public Handle right
    cdef public long long awaited
    cdef public long long mark
    cdef public long long dropped
    cdef public long long denied
    cpdef bint active(self)
