cimport cython
from bus1.native.packet cimport Packet

@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Result:
    cdef public unsigned int cookie
    cdef public unsigned int error
    cdef public unsigned long long stamp
    cdef public list values
    cdef public bytes payload
    cdef public long long size
    cdef public bint memfd
    cdef public object fds
    cdef public Py_ssize_t fd_count
    cpdef Py_ssize_t body(self) except -1
    cpdef int write(self, Packet packet) except -1

@cython.locals(result=Result)
cpdef Result success(unsigned int cookie)

@cython.locals(result=Result)
cpdef Result sent(unsigned int cookie, unsigned long long stamp, list refused)

@cython.locals(result=Result)
cpdef Result failure(unsigned int cookie, unsigned int error, str text)
