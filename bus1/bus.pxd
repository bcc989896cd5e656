cimport cython
from bus1.peer cimport Peer
from bus1.queue cimport Queue
from bus1.quota cimport Limits, User

@cython.final
cdef class Bus:
    cdef readonly dict users
    cdef readonly list ready
    cdef public Limits limits, peer_limits
    cdef readonly unsigned long long count
    @cython.locals(user=User)
    cpdef Peer connect(self, long long uid)
    @cython.locals(queue=Queue, queues=list)
    cpdef list take_ready(self)
