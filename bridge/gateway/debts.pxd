cimport cython

from bus1.node cimport Handle

@cython.final
cdef class Debt:
    cdef readonly object face
    cdef readonly long long number
    cdef readonly unsigned int serial
    cdef readonly Handle once

@cython.final
cdef class Debts:
    cdef readonly dict table
    cdef unsigned long long last
    cpdef unsigned long long add(self, Debt debt) except 0
    @cython.locals(debt=Debt)
    cpdef Debt pop(self, unsigned long long cookie)
    cpdef forget(self, object face)
