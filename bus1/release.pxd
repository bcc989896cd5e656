cimport cython
from bus1.message cimport Message, notice, roll
from bus1.node cimport Handle, Node, heard
from bus1.queue cimport Queue, after
from bus1.quota cimport Share

@cython.locals(told=dict, gone=list, holder=Queue, clock=cython.ulonglong, stamp=cython.ulonglong, handle=Handle, node=Node)
cpdef unsigned long long release(Queue sender, list nodes, list handles) except 0

@cython.locals(left=list, inside=list, message=Message, share=Share, node=Node, handle=Handle)
cpdef list drop(list messages)

@cython.locals(handle=Handle, holder=Queue, last=Queue, gone=list)
cdef int gather(Node node, dict told) except -1

@cython.locals(node=Node)
cdef int let_go(Handle handle, unsigned long long stamp, unsigned long long tie) except -1

@cython.locals(kept=list, handle=Handle, many=Message)
cdef int announce(Queue holder, list gone, unsigned long long stamp, unsigned long long tie) except -1
