cimport cython

@cython.final
@cython.no_gc
cdef class Rule:
    cdef readonly str interface
    cdef readonly str member
    cdef readonly str path
    cdef readonly str sender
    cdef readonly str destination
    cdef readonly tuple places
    cdef readonly tuple values
    cdef readonly long long digest
    cdef readonly unsigned char kind
    cdef readonly bint namespace
    cdef readonly bint eavesdrop
    cdef bint same(self, Rule other)

cpdef long long mix_interface(str text) except? -1
cpdef long long mix_member(str text) except? -1
cpdef long long mix_sender(str text) except? -1
cpdef long long mix_path(str text) except? -1
cpdef long long mix_values(tuple values) except? -1
cpdef long long mix_destination(str text) except? -1
cpdef long long mix_form(long kind, bint namespace, bint eavesdrop, tuple places) except? -1
