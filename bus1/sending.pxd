cimport cython
from bus1.cargo cimport held, land, may_carry, promise, spend
from bus1.message cimport Message, data
from bus1.node cimport Handle, Node
from bus1.queue cimport Queue, after
from bus1.quota cimport Account, Share, User

@cython.locals(node=Node, queue=Queue, share=Share, carried=Py_ssize_t, message=Message, stamp=cython.ulonglong)
cpdef unsigned long long unicast(Queue sender, User user, Handle handle, object payload, long long size, object fds, long long fd_count, list handles) except 0

@cython.locals(ready=list, messages=list, handle=Handle, message=Message, queue=Queue, clock=cython.ulonglong, stamp=cython.ulonglong, place=Py_ssize_t)
cpdef unsigned long long cast(Queue sender, list targets, object payload, long long size, object fds, long long fd_count, list handles, list refused) except 0

@cython.locals(messages=list, nodes=set, handle=Handle, node=Node, carried=Py_ssize_t, share=Share, message=Message, account=Account, place=Py_ssize_t)
cdef list reserve(Queue sender, list targets, object payload, long long size, object fds, long long fd_count, list handles, list refused, list ready)

@cython.locals(node=Node, queue=Queue, share=Share, clock=cython.ulonglong, stamp=cython.ulonglong, refused=list, message=Message)
cpdef list multicast(Queue sender, User user, list targets, object payload, long long size, object fds, long long fd_count)

cpdef int check(Queue sender, long long size, long long fd_count) except -1

@cython.locals(node=Node)
cpdef Node reach(Queue sender, Handle handle, long long size, long long fd_count)

@cython.locals(share=Share)
cpdef Share charge(Queue queue, User actor, long long size, long long handles, long long fds)
