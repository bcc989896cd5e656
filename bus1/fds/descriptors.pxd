cimport cython


@cython.final
@cython.no_gc
cdef class Descriptors:
    cdef readonly list numbers
    cdef object owner
    cdef public long long payer
    cdef object __weakref__


cdef void close_all(list numbers, long long payer) noexcept
