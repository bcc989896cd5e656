cimport cython

from bridge.routing.client cimport Client
from bridge.routing.hub cimport Hub
from bridge.wire.frame cimport Frame
from bus1.message cimport Message
from bus1.node cimport Handle

@cython.final
cdef class Notices:
    cdef readonly Hub hub
    @cython.locals(frame=Frame)
    cpdef Frame no_reply(self, Client client, Message notice)
    cpdef bint is_late(self, Client client, Message notice)
    cpdef forget(self, Client client, Message notice)
