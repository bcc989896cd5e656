cimport cython

from bridge.gateway.bounds cimport Bounds
from bridge.gateway.crossing cimport letter
from bridge.gateway.debts cimport Debt, Debts
from bridge.gateway.face cimport Face
from bridge.routing.client cimport Client
from bridge.routing.hub cimport Hub
from bridge.routing.notices cimport Notices
from bridge.routing.reader cimport Reader
from bridge.routing.router cimport Router
from bridge.wire.frame cimport Frame
from bus1.message cimport Message
from bus1.node cimport Handle, Node
from bus1.peer cimport Peer
from bus1.queue cimport Queue
from bus1.quota cimport Limits, User
from bus1.sending cimport unicast

@cython.final
cdef class Gateway(Reader):
    cdef readonly Hub hub
    cdef readonly Router router
    cdef readonly Notices notices
    cdef readonly Peer peer
    cdef Limits limits
    cdef readonly Debts debts
    cdef readonly Node bridge
    cdef readonly Handle entrance
    cdef readonly Node desk
    cdef readonly dict natives
    cdef readonly dict faces
    cdef readonly Bounds bounds
    cdef readonly dict ends
    cdef readonly object rights
    cdef readonly object own
    @cython.locals(face=Face)
    cpdef Face face(self, unsigned long long number)
    cpdef Face face_of(self, Client client)
    @cython.locals(each=Face, face=Face)
    cpdef leave(self, Peer peer)
    @cython.locals(queue=Queue, message=Message)
    cpdef settle(self)
    @cython.locals(ready=list, queue=Queue, reader=Face)
    cdef flush_faces(self, Py_ssize_t start)
    @cython.locals(node=Node, handles=list, face=Face, frame=Frame)
    cdef take(self, Message message)
    @cython.locals(frame=Frame)
    cdef tuple read(self, Message message, object right)
    @cython.locals(face=Face, caller=Client)
    cdef settle_debt(self, Debt debt, Message message)
    @cython.locals(frame=Frame, face=Face)
    cdef give(self, Client caller, Debt debt, Message message)
    @cython.locals(face=Face)
    cpdef unanswered(self, Client client, unsigned int serial)
    cpdef post(self, Handle handle, Frame frame, User payer, list handles)
    @cython.locals(client=Client)
    cdef tuple process(self, Frame frame, User payer)
    cpdef drop(self, list handles)
