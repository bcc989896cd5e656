cimport cython

from bus1.node cimport Handle, Node
from bus1.peer cimport Peer
from policy.verdict cimport Access, Standing, Verdict

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
    cdef public dict rules
    cdef public long long subscriptions
    cdef public dict routes
    cdef public dict owed
    cdef public dict late
    cdef public object stale
    cdef public Client recent
    cdef public Handle right
    cdef readonly object limits
    cdef readonly long long most_awaited
    cdef public Access access
    cdef public Standing standing
    cdef public Standing judged
    cdef public Verdict verdict
    cdef public long long awaited
    cdef public long long mark
    cdef public int most_names
    cdef public int most_rules
    cdef public long long dropped
    cdef public long long denied
    cdef public bint observing
    cdef public long long missed
    cdef str known
    @cython.locals(own=Handle)
    cpdef begin(self, Peer driver)
    cpdef bint active(self)
    cpdef str who(self)
    cpdef bint gone(self)
    cpdef unsettle(self)
    cpdef allot(self, object limits)
