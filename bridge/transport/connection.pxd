cimport cython

from bridge.routing.client cimport Client
from bridge.routing.hub cimport Hub
from bridge.routing.notices cimport Notices
from bridge.routing.reader cimport Reader
from bridge.routing.router cimport Router
from bridge.transport.socket cimport receive, send
from bridge.wire.frame cimport Frame, Framer
from bus1.bus cimport Bus
from bus1.fds.closing cimport crowded
from bus1.message cimport Message
from bus1.peer cimport Peer
from bus1.queue cimport Queue
from bus1.quota cimport Account

@cython.final
cdef class Connection(Reader):
    cdef readonly int fd
    cdef readonly object server
    cdef readonly Client client
    cdef readonly object credentials
    cdef readonly long long payer
    cdef readonly bint closed
    cdef readonly bint ending
    cdef readonly bint resting
    cdef Hub hub
    cdef Router router
    cdef Notices notices
    cdef Framer framer
    cdef int most_fds
    cdef Peer peer
    cdef object turns
    cdef bint named
    cdef bint blocked
    cdef bint deaf
    cdef bint collecting
    cdef long long come
    cdef bint partial
    cdef Py_ssize_t offset
    @cython.locals(count=cython.Py_ssize_t)
    cdef read(self)
    @cython.locals(frame=Frame, framer=Framer, hub=Hub, router=Router, enough=cython.longlong, claimed=cython.bint)
    cdef dispatch(self)
    cdef end(self)
    cpdef begin(self, bytes data)
    cdef attend(self, bytes data)
    @cython.locals(account=Account)
    cdef bint may_wait(self) except -1
    cdef write_all(self)
    @cython.locals(frame=Frame, frames=list, count=cython.Py_ssize_t)
    cdef bint write(self) except -1
    @cython.locals(queue=Queue, message=Message, frames=list, place=cython.Py_ssize_t, most=cython.Py_ssize_t)
    cdef list batch(self)
    cdef bint hear(self, Message notice, Py_ssize_t place) except -1

@cython.locals(ready=list, queue=Queue, reader=Reader)
cpdef flush_ready(Bus bus)
@cython.locals(queue=Queue, reader=Reader, monitors=list)
cdef flush_all(list queues)
cdef bint is_monitors(Connection connection) except -1
