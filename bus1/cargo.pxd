cimport cython
from bus1.message cimport Message
from bus1.node cimport Handle, mint
from bus1.queue cimport Queue

@cython.locals(handle=Handle, once=Py_ssize_t)
cpdef Py_ssize_t may_carry(Queue sender, Handle to, list handles) except -1

@cython.locals(handle=Handle, carried=list)
cpdef list promise(list handles)

@cython.locals(handles=list, handle=Handle, place=Py_ssize_t)
cpdef int land(Message message, Queue queue) except -1

cdef int depart(Handle handle) except -1

cpdef int spend(Handle handle, Message message) except -1

cpdef Handle copy(Handle handle)

cpdef int at_hand(Queue sender, Handle handle) except -1

cpdef int held(Queue sender, Handle handle) except -1
