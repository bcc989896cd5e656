cimport cython
from bus1.native.delivery cimport deliver
from bus1.native.letter cimport Letter
from bus1.native.packet cimport Packet
from bus1.native.result cimport Result, failure, sent, success
from bus1.peer cimport Peer
from bus1.queue cimport Queue
from bus1.quota cimport Limits

@cython.final
cdef class Session:
    cdef readonly Peer peer
    cdef readonly long long uid, pid
    cdef readonly object house
    cdef readonly Queue bridge
    cdef public Limits most  # another configuration may allow more, or less
    cdef readonly long long owes
    cdef public long long work
    cdef public bint ended
    cdef readonly bint greeted
    cdef readonly list results
    cdef readonly Py_ssize_t given, gifts
    @cython.locals(enough=cython.longlong)
    cpdef bint go_on(self, Packet packet, long long most) except -1
    @cython.locals(flags=cython.uint, result=Result)
    cdef int serve(self, Packet packet) except -1
    cdef int owe(self, Result result) except -1
    @cython.locals(result=Result)
    cdef Result other(self, Packet packet, unsigned int flags)
    @cython.locals(letter=Letter, refused=list, stamp=cython.ulonglong)
    cdef Result send(self, Packet packet, unsigned int flags)
    @cython.locals(targets=list)
    cdef unsigned long long cast(self, Letter letter, list refused) except 0
    cpdef bint fill(self, Packet packet) except -1
    cpdef bint has_more(self) except -1
    cdef int greet(self, Packet packet) except -1
    @cython.locals(result=Result)
    cpdef int answer(self, Packet packet) except -1
