cimport cython

from bridge.routing.client cimport Client
from bridge.routing.match cimport Index
from bridge.wire.frame cimport Frame

@cython.final
cdef class Monitors:
    cdef readonly bint watching
    cdef readonly bint picky
    cdef readonly bint verbose
    cdef readonly list unlimited
    cdef readonly Index index
    cpdef list find(self, Frame frame, Client sender, Client receiver)
