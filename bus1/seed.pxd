cimport cython
from bus1.cargo cimport at_hand, copy
from bus1.node cimport Handle, Node
from bus1.queue cimport Queue
from bus1.quota cimport Account
from bus1.release cimport release

@cython.final
cdef class Seed:
    cdef readonly Queue queue
    cdef readonly object payload
    cdef readonly long long size
    cdef readonly object fds
    cdef readonly long long fd_count
    cdef readonly list copies
    @cython.locals(copy=Handle)
    cpdef list nodes(self)
    @cython.locals(account=Account, copies=list)
    cpdef drop(self)
