cimport cython
from bus1.message cimport Message
from bus1.message cimport Message
from bus1.queue cimport Queue
from bus1.quota cimport Account

cdef class Handle

@cython.final
cdef class Node:
    cdef readonly Queue queue
    cdef readonly unsigned long long id
    cdef public object tag
    cdef readonly unsigned long long gone
    cdef readonly Message notice
    cdef readonly long long count
    cdef readonly Handle first
    @cython.locals(message=Message)
    cpdef hush(self)

@cython.final
@cython.freelist(512)
cdef class Handle:
    cdef readonly Node node
    cdef readonly Queue holder
    cdef readonly unsigned long long id
    cdef readonly unsigned long long cookie
    cdef readonly unsigned char once, busy, hand  # one byte each: there are very many handles
    cdef readonly dict table
    cdef Handle previous, following
    cdef readonly Message notice
    cpdef install(self, Queue holder, dict table, unsigned long long id)
    @cython.locals(table=dict, account=Account)
    cpdef remove(self)
    @cython.locals(first=Handle)
    cpdef link(self)
    @cython.locals(node=Node, previous=Handle, following=Handle)
    cpdef unlink(self)
    cpdef notify(self, Message message)
    @cython.locals(message=Message, holder=Queue)
    cpdef hush(self)

@cython.locals(handle=Handle, node=Node)
cpdef int heard(Message message) except -1

@cython.locals(handle=Handle)
cpdef Handle mint(Node node, bint once, unsigned long long cookie)
