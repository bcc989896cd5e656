cimport cython
from bus1.message cimport Message, notice
from bus1.quota cimport Account

@cython.final
cdef class Queue:
    cdef readonly Account account
    cdef readonly object peer
    cdef readonly unsigned long long number
    cdef public object reader
    cdef public unsigned long long clock
    cdef readonly bint closed
    cdef public bint woken
    cdef readonly list ready
    cdef readonly list staging
    cdef list entries
    cdef Py_ssize_t head, staged, voids, rolls, rolled
    @cython.locals(last=Message)
    cpdef bint append(self, Message message, unsigned long long stamp, unsigned long long tie) except -1
    cpdef bint enrol(self, Message roll, unsigned long long stamp, unsigned long long tie) except -1
    @cython.locals(stamp=cython.ulonglong)
    cpdef unsigned long long stage(self, Message message)
    cpdef bint commit(self, Message message, unsigned long long stamp, unsigned long long tie) except -1
    cpdef bint withdraw(self, Message message) except -1
    cpdef recall(self, Message message)
    @cython.locals(index=Py_ssize_t, message=Message)
    cpdef Message peek(self, Py_ssize_t place)
    @cython.locals(message=Message)
    cpdef Message take(self)
    cpdef bint wake(self) except -1
    cpdef Py_ssize_t held(self)
    @cython.locals(message=Message)
    cpdef list drain(self)
    cpdef list seal(self)
    @cython.locals(message=Message)
    cdef int settle(self) except -1
    @cython.locals(roll=Message, handles=list, first=Message)
    cdef unroll(self)
    @cython.locals(message=Message)
    cdef int purge(self) except -1
    @cython.locals(low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t, message=Message)
    cdef Py_ssize_t place(self, unsigned long long stamp) except -1
    @cython.locals(place=Py_ssize_t, entry=Message)
    cdef bint remove(self, Message message) except -1

cpdef unsigned long long after(unsigned long long clock) noexcept
