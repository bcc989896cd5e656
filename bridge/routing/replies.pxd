cimport cython

from bridge.routing.client cimport Client
from bus1.node cimport Handle

@cython.final
cdef class Replies:
    cdef public object deadlines
    @cython.locals(key=cython.ulonglong, once=Handle)
    cpdef Handle expect(self, Client caller, Client callee, unsigned int serial)
    cpdef abandon(self, Client callee)
    cpdef bint owe(self, Client caller, Client callee, unsigned int serial, Handle once) except -1
    @cython.locals(key=cython.ulonglong)
    cpdef Handle find(self, Client caller, Client callee, unsigned int serial)
    cpdef bint settle(self, Client caller, Client callee, unsigned int serial) except -1
    @cython.locals(key=cython.ulonglong)
    cpdef bint excuse(self, long long number, Client callee, unsigned int serial) except -1
