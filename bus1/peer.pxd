cimport cython
from bus1.cargo cimport held
from bus1.message cimport Message, data
from bus1.node cimport Handle, Node, heard, mint
from bus1.queue cimport Queue
from bus1.quota cimport Account, Limits, Share, User
from bus1.release cimport drop, release
from bus1.seed cimport Seed
from bus1.table cimport Table
from bus1.sending cimport cast, check, unicast
from bus1.transaction cimport Transaction

@cython.final
cdef class Peer:
    cdef readonly User user
    cdef readonly Queue queue
    cdef readonly unsigned long long number
    cdef readonly dict nodes
    cdef readonly dict handles
    cdef Table table
    cdef Seed kept
    cpdef Node create(self, object tag=*)
    cpdef Handle handle(self, Node node)
    @cython.locals(handle=Handle)
    cpdef Handle once(self, Node node, Peer holder, unsigned long long cookie)
    @cython.locals(handle=Handle)
    cpdef Handle offer(self, Node node)
    cpdef Handle transfer(self, Handle handle, Peer to)
    cpdef unsigned long long release(self, list things) except 0
    cpdef unsigned long long destroy(self, list nodes) except 0
    cpdef unsigned long long send(self, Handle handle, object payload, long long size=*, object fds=*, long long fd_count=*, list handles=*) except 0
    cpdef list multicast(self, list targets, object payload, long long size=*, object fds=*, long long fd_count=*, list handles=*, bint proceed=*)
    @cython.locals(handle=Handle)
    cpdef unsigned long long cast(self, list targets, object payload, long long size, object fds, long long fd_count, list handles, list refused) except 0
    cpdef Transaction transaction(self)
    @cython.locals(queue=Queue, message=Message, share=Share)
    cpdef Message receive(self, long long room=*)
    cpdef set_seed(self, object payload, long long size=*, object fds=*, long long fd_count=*, list handles=*, Peer giver=*)
    @cython.locals(seed=Seed, nodes=list, node=Node)
    cpdef Message seed(self)
    cpdef reset(self, Limits limits=*, bint flush=*, bint flush_seed=*)
    cpdef close(self)
    cdef int meet(self, Peer other) except -1
    cdef int may_release(self, Handle handle) except -1
    @cython.locals(message=Message)
    cdef int may_receive(self, long long room) except -1
    @cython.locals(transaction=Transaction)
    cdef abort(self)
    @cython.locals(seed=Seed)
    cdef drop_seed(self)
