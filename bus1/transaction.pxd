cimport cython
from bus1.cargo cimport land, may_carry, promise, spend
from bus1.message cimport Message, data
from bus1.node cimport Handle, Node, mint
from bus1.queue cimport Queue, after
from bus1.quota cimport Share
from bus1.release cimport drop, release
from bus1.sending cimport charge, reach

@cython.final
cdef class Transaction:
    cdef readonly Queue sender
    cdef readonly bint open
    cdef list targets, messages, grips
    cdef set nodes
    @cython.locals(node=Node, carried=Py_ssize_t, share=Share, message=Message)
    cpdef stage(self, Handle handle, object payload, long long size=*, object fds=*, long long fd_count=*, list handles=*)
    @cython.locals(handle=Handle, message=Message, refused=list, place=Py_ssize_t, stamp=cython.ulonglong)
    cpdef list commit(self, bint proceed=*)
    @cython.locals(handle=Handle, message=Message)
    cpdef abort(self)
    @cython.locals(handle=Handle, clock=cython.ulonglong)
    cdef unsigned long long order(self) except 0
    cdef deliver(self, Handle handle, Message message, unsigned long long stamp)
    @cython.locals(handle=Handle, node=Node)
    cdef withdraw(self, Message message)
    @cython.locals(grips=list)
    cdef end(self)
