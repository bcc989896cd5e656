cimport cython

from bridge.routing.rule cimport Rule
from bridge.wire.frame cimport Frame

@cython.final
cdef class Question:
    cdef readonly Frame frame
    cdef readonly str interface
    cdef readonly str member
    cdef readonly str path
    cdef readonly list senders
    cdef readonly list arguments
    cdef readonly Py_ssize_t depth
    cdef public long long asked
    cpdef open(self, Frame frame, list senders, Py_ssize_t depth)
    cpdef close(self)
    @cython.locals(number=cython.Py_ssize_t, argument=tuple)
    cdef str argument(self, long place)
    @cython.locals(at=cython.Py_ssize_t, place=long, text=str, wanted=str)
    cpdef bint fits(self, Rule rule) except -1

cpdef bint fits(long mode, str wanted, str text) except -1
cpdef bint within(str path, str namespace) except -1
