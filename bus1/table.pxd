cimport cython
from bus1.message cimport Message
from bus1.node cimport Handle, Node, mint
from bus1.queue cimport Queue
from bus1.quota cimport Account, Share
from bus1.release cimport release

@cython.final
cdef class Table:
    cdef readonly Queue queue
    cdef readonly dict nodes
    cdef readonly dict handles
    cdef unsigned long long last
    cdef int own(self, Node node) except -1
    @cython.locals(account=Account)
    cdef int afford(self, long long count) except -1
    @cython.locals(node=Node)
    cdef Node create(self, object tag)
    cdef Handle copy(self, Node node)
    cdef Handle hold(self, Handle handle)
    @cython.locals(handle=Handle, handles=list, count=Py_ssize_t, share=Share)
    cdef int accept(self, Message message) except -1
    @cython.locals(account=Account, node=Node)
    cdef unsigned long long discard(self, list nodes, list handles) except 0
