cimport cython
from bus1.message cimport Message, notice
from bus1.node cimport Handle, Node, heard
from bus1.queue cimport Queue, after
from bus1.quota cimport Share

@cython.locals(clock=cython.ulonglong, stamp=cython.ulonglong, handle=Handle, node=Node)
cpdef unsigned long long release(Queue sender, list nodes, list handles) except 0

@cython.locals(left=list, inside=list, message=Message, share=Share, node=Node, handle=Handle)
cpdef list drop(list messages)

@cython.locals(handle=Handle, holder=Queue)
cdef unsigned long long latest(Node node, unsigned long long clock) noexcept

@cython.locals(node=Node)
cdef int let_go(Handle handle, unsigned long long stamp, unsigned long long tie) except -1

@cython.locals(handle=Handle, holder=Queue)
cdef int announce(Node node, unsigned long long stamp, unsigned long long tie) except -1
