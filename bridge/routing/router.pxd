cimport cython

from bridge.routing.client cimport Client
from bridge.routing.gate cimport Gate
from bridge.routing.hub cimport Hub
from bridge.routing.match cimport Index
from bridge.routing.names cimport Names
from bridge.routing.replies cimport Replies
from bridge.wire.frame cimport Frame
from bus1.node cimport Handle

@cython.final
cdef class Router:
    cdef readonly Hub hub
    cdef readonly Gate gate
    cdef readonly Names names
    cdef readonly Index matches
    cdef readonly Replies replies
    cpdef route(self, Client sender, Frame frame)
    @cython.locals(receiver=Client)
    cdef dispatch(self, Client sender, Frame frame)
    @cython.locals(right=Handle, once=Handle)
    cdef call(self, Client sender, Client receiver, Frame frame)
    @cython.locals(right=Handle)
    cdef signal(self, Client sender, Client receiver, Frame frame)
    cdef broadcast(self, Client sender, Frame frame)
    @cython.locals(once=Handle)
    cdef answer(self, Client sender, Client receiver, Frame frame)
    @cython.locals(recent=Client)
    cdef Client receiver(self, Client sender, long long number)
    cdef undirected(self, Client sender, Frame frame)
    cdef bint is_awaited(self, Client sender, Client receiver, Frame frame) except -1
    cdef overhear(self, Client sender, Client receiver, Frame frame)
    @cython.locals(handle=Handle)
    cdef Handle right(self, Client sender, Client receiver)
