cimport cython

from bridge.routing.hub cimport Hub
from bridge.routing.reader cimport Reader
from bridge.transport.connection cimport flush_ready
from bus1.fds.closing cimport crowded
from bus1.native.packet cimport Packet
from bus1.native.session cimport Session
from bus1.native.socket cimport receive, send
from bus1.peer cimport Peer

cdef long long TURN, EACH
cdef int READS, PROBE

@cython.final
cdef class NativeConnection(Reader):
    cdef readonly int fd
    cdef readonly object natives
    cdef readonly object server
    cdef readonly Session session
    cdef readonly Peer peer
    cdef readonly object credentials
    cdef readonly unsigned long long inode
    cdef readonly unsigned long long given
    cdef readonly bint closed
    cdef readonly bint ending
    cdef readonly bint blocked
    cdef readonly bint full
    cdef readonly int held
    cdef Hub hub
    cdef object turns
    cdef Packet kept
    cdef Packet rest
    cdef readonly bint resting
    cdef bint deaf
    cdef unsigned int alone
    cdef attend(self)
    @cython.locals(packet=Packet, session=Session, hub=Hub, enough=cython.longlong, count=cython.int, done=cython.longlong, more=cython.bint)
    cdef read(self)
    cdef wait_for_turn(self)
    cdef bint make_room(self) except -1
    cdef end(self)
    @cython.locals(packet=Packet, size=cython.Py_ssize_t, taken=cython.bint)
    cdef bint write(self) except -1
    cdef deafen(self)

cpdef long long in_requests(long long work) noexcept
cpdef Packet stripped(Packet packet)
