cimport cython

@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Parcel:
    cdef readonly bytes data
    cdef readonly long long size
    cdef readonly bint memfd
    cdef readonly long long uid, pid

@cython.locals(parcel=Parcel)
cpdef Parcel inline(bytes data, long long uid, long long pid)

@cython.locals(parcel=Parcel)
cpdef Parcel mapped(long long size, long long uid, long long pid)

cpdef tuple of_bytes(bytes data, long long uid, long long pid)
