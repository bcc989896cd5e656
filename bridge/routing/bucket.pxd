cimport cython

from bridge.routing.client cimport Client
from bridge.routing.rule cimport Rule

@cython.final
cdef class Bucket:
    cdef readonly Rule rule
    cdef readonly list clients
    cdef readonly bint lent
    cdef list lend(self)
    cdef add(self, Client client)
    cdef remove(self, Client client)
    cdef own(self)

@cython.locals(bucket=Bucket)
cpdef Rule file(dict table, Rule rule, Client client)
@cython.locals(bucket=Bucket)
cpdef bint unfile(dict table, Rule rule, Client client) except -1
