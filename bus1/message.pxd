cimport cython
from bus1.quota cimport Share

# Not for the garbage collector, which would visit every message that waits: a queue's closing
# ends the only cycles that messages are in.
@cython.final
@cython.no_gc
@cython.freelist(512)
cdef class Message:
    cdef readonly int kind
    cdef public bint more
    cdef readonly bint once
    cdef public unsigned long long stamp
    cdef public unsigned long long tie
    cdef readonly unsigned long long cookie
    cdef readonly object target
    cdef public object payload
    cdef readonly long long size
    cdef readonly object fds
    cdef readonly long long fd_count
    cdef readonly list handles
    cdef public Share share

@cython.locals(message=Message)
cpdef Message data(object target, object payload, long long size, object fds, long long fd_count, list handles, Share share)

@cython.locals(message=Message)
cpdef Message notice(int kind, object target, unsigned long long cookie)

@cython.locals(message=Message)
cpdef Message roll(list handles)
