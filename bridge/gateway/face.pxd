cimport cython

from bridge.gateway.crossing cimport contents, enclosed
from bridge.gateway.debts cimport Debt
from bridge.routing.client cimport Client
from bridge.routing.hub cimport Hub
from bridge.routing.reader cimport Reader
from bridge.routing.router cimport Router
from bridge.wire.frame cimport Frame
from bus1.message cimport Message
from bus1.node cimport Handle
from bus1.peer cimport Peer
from bus1.queue cimport Queue
from bus1.quota cimport Share, User

@cython.final
cdef class Face(Reader):
    cdef readonly object gateway
    cdef readonly Hub hub
    cdef readonly Router router
    cdef readonly Peer native
    cdef readonly Client client
    cdef readonly Peer peer
    cdef readonly Handle node
    cdef readonly dict calls
    cdef readonly dict gifts
    cdef readonly dict offers
    cdef readonly list carried
    cdef readonly set debts
    cdef readonly unsigned int serial
    cpdef unsigned int next_serial(self) except 0
    cpdef Frame frame(self, Message message, str destination, unsigned int reply_serial)
    cpdef send(self, Frame frame, list handles)
    cdef hear(self, Message notice)
    @cython.locals(frame=Frame, share=Share)
    cdef take(self, Message message)
    cdef bint is_for_it(self, Frame frame) except -1
    cpdef give_up(self, unsigned int serial)
    @cython.locals(handle=Handle)
    cdef answer(self, Frame frame, User payer)
    @cython.locals(node=Handle)
    cdef object bring(self, Message message, Frame frame, User payer)
    @cython.locals(handle=Handle)
    cdef lend(self, Handle node, Frame frame, User payer, Handle once)
    @cython.locals(once=Handle)
    cdef refuse(self, Message message, Frame frame, object refused)
    cdef Client sender(self, Frame frame)

cpdef unsigned int following(unsigned int serial, dict waiting) except 0
