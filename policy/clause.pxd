cimport cython

@cython.final
cdef class Question:
    cdef public int kind
    cdef public str path
    cdef public str interface
    cdef public str member
    cdef public str error
    cdef public bint broadcast
    cdef public bint reply
    cdef public bint requested
    cdef public bint eavesdropping
    cdef public Py_ssize_t fds
    cdef public list texts

@cython.final
cdef class Clause:
    cdef readonly object rule
    cdef readonly bint send
    cdef readonly bint allow
    cdef readonly str mark
    cdef readonly int kind
    cdef readonly str path
    cdef readonly str interface
    cdef readonly str member
    cdef readonly str error
    cdef readonly int broadcast
    cdef readonly bint requested
    cdef readonly bint eavesdrop
    cdef readonly Py_ssize_t min_fds
    cdef readonly Py_ssize_t max_fds
    cdef readonly tuple arguments
    cdef readonly bint plain
    cdef readonly bint fields
    cdef readonly bint beyond
    cdef readonly bint further
    cdef readonly bint silent
    cpdef int certainty(self, int slot, str interface, str member) except -1
    cpdef bint matches(self, Question question) except -1
    cdef bint in_sight(self, Question question)
    cdef bint in_turn(self, Question question)
    cdef bint fits(self, Question question) except -1
    cdef bint says(self, Question question) except -1

cdef bint differs(str wanted, str found) except -1
