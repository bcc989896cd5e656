cimport cython

@cython.final
cdef class Tally:
    cdef public long long calls
    cdef public long long replies
    cdef public long long signals
    cdef public long long broadcasts
    cdef public long long copies
    cdef public long long bus
    cdef public long long bytes
    cdef public long long sent
    cdef public long long dropped
    cdef public long long missed
    cdef readonly object refused
    cdef readonly object exceeded
    cdef readonly dict starts
    cdef readonly object asked
