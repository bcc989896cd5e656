cimport cython

from bridge.routing.client cimport Client
from bridge.routing.gate cimport Gate
from bridge.routing.hub cimport Hub
from bridge.routing.match cimport Index
from bridge.routing.monitors cimport Monitors
from bridge.routing.names cimport Names
from bridge.routing.replies cimport Replies
from bridge.routing.tally cimport Tally
from bridge.wire.frame cimport Frame
from bus1.node cimport Handle

@cython.final
cdef class Router:
    cdef readonly Hub hub
    cdef readonly Gate gate
    cdef readonly Names names
    cdef readonly Index matches
    cdef readonly Replies replies
    cdef readonly Monitors monitors
    cdef readonly Tally tally
    cpdef route(self, Client sender, Frame frame)
    cpdef resume(self, Client sender, Client receiver, Frame frame)
    cdef refuse(self, Client sender, Frame frame, object refused)
    @cython.locals(receiver=Client)
    cdef dispatch(self, Client sender, Frame frame)
    cdef ask(self, Client sender, Frame frame)
    cdef start(self, Client sender, Frame frame)
    cdef deliver(self, Client sender, Client receiver, Frame frame)
    cdef bint is_shown_now(self, Client sender, Frame frame) except -1
    @cython.locals(destination=str)
    cdef Client addressee(self, Client sender, Frame frame)
    @cython.locals(receiver=Client)
    cdef show(self, Client sender, Frame frame)
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
