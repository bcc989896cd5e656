cimport cython

from policy.clause cimport Clause, Question

@cython.final
cdef class Access:
    cdef readonly list send
    cdef readonly list receive
    cdef readonly list own
    cdef readonly list delegate

@cython.final
cdef class Standing:
    cdef readonly Access access
    cdef readonly frozenset held
    cdef readonly dict verdicts

@cython.final
cdef class Case:
    cdef readonly list sends
    cdef readonly list receives
    cdef readonly int outcome
    cdef int slot
    cdef str interface
    cdef set named
    cdef dict members
    cpdef int with_member(self, str member) except -1
    cpdef int judge(self, Question question) except -1

@cython.final
cdef class Verdict:
    cdef readonly list sends
    cdef readonly list receives
    cdef readonly set interfaces
    cdef list cases
    cdef readonly int settled
    cdef readonly int allowed
    @cython.locals(case=Case, cases=dict)
    cpdef Case case(self, int slot, str interface)
    cpdef int judge(self, Question question) except -1

cdef int both(list sends, list receives, Question question) except -1
@cython.locals(clause=Clause)
cdef int decide(list clauses, Question question) except -1
