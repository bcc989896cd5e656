cimport cython

from bridge.routing.client cimport Client

@cython.final
cdef class Place:
    cdef readonly Client client
    cdef public unsigned int flags

@cython.final
cdef class Name:
    cdef readonly str text
    cdef public Client owner
    cdef public unsigned int flags
    cdef public list waiting
    @cython.locals(place=Place)
    cpdef list queue(self)
    @cython.locals(waiting=list, place=Place)
    cdef Place place(self, Client client)
    cdef insert(self, Place place, bint first)
    cdef remove(self, Place place)
    cdef promote(self, Place place)

@cython.locals(name=Name)
cpdef list owned(Client client)
cpdef bint owns(Client client, str text) except -1
