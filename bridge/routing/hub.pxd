cimport cython

from bridge.routing.client cimport Client
from bridge.routing.gate cimport Gate
from bridge.routing.match cimport Index
from bridge.routing.monitors cimport Monitors
from bridge.routing.names cimport Names
from bridge.routing.replies cimport Replies
from bridge.routing.tally cimport Tally
from bridge.wire.frame cimport Frame
from bus1.bus cimport Bus
from bus1.peer cimport Peer
from bus1.sending cimport multicast, unicast
from policy.verdict cimport Standing

@cython.final
cdef class Hub:
    cdef readonly Bus bus
    cdef readonly object configuration
    cdef readonly object limits
    cdef readonly Gate gate
    cdef readonly object credentials
    cdef readonly str guid
    cdef readonly Peer peer
    cdef readonly Names names
    cdef readonly Index matches
    cdef readonly Replies replies
    cdef readonly Monitors monitors
    cdef readonly object grants
    cdef readonly Tally tally
    cdef readonly dict users
    cdef readonly dict natives
    cdef public object driver
    cdef public object activation
    cdef public object reloader
    cdef public object cut_off
    cdef public object later
    cdef public object process
    cdef public object unanswered
    cdef public long long active
    cdef readonly long long native
    cdef public long long work
    cdef unsigned int last_serial
    cdef bint is_back(self, Client monitor, Frame frame) except -1
    cpdef bint catch_up(self, Client monitor) except -1
    cpdef note_drop(self, Client client, Client sender)
    @cython.locals(found=list, client=Client, each=Client)
    cpdef show(self, Client sender, Client receiver, Frame frame)
    cpdef refuse(self, Client client, Frame frame, object refused)
    @cython.locals(receivers=list)
    cpdef broadcast(self, Client sender, Frame frame)
    @cython.locals(
        last=Standing, passes=cython.bint, reached=list, asked=Py_ssize_t, client=Client
    )
    cdef cast(self, Client sender, list receivers, Frame frame)
    @cython.locals(peer=Peer, nodes=list, client=Client)
    cpdef send(self, Client sender, list receivers, Frame frame)
