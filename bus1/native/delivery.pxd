cimport cython
from bus1.message cimport Message
from bus1.native.packet cimport Packet
from bus1.native.parcel cimport Parcel
from bus1.node cimport Handle, Node
from bus1.peer cimport Peer
from bus1.queue cimport Queue

@cython.locals(queue=Queue, message=Message)
cpdef int deliver(Peer peer, Packet packet) except -1

@cython.locals(parcel=Parcel, size=Py_ssize_t, handles=list)
cdef Py_ssize_t body(Message message) except -1

@cython.locals(parcel=Parcel, node=Node, handles=list, handle=Handle, flags=int, count=Py_ssize_t)
cdef int data(Message message, Packet packet) except -1

@cython.locals(handle=Handle, node=Node, about=cython.ulonglong)
cdef int notice(Message message, Packet packet) except -1
