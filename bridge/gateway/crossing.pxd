cimport cython

from bridge.wire.frame cimport Frame
from bus1.message cimport Message
from bus1.native.parcel cimport Parcel

@cython.locals(parcel=Parcel)
cpdef bytes contents(Message message)
@cython.locals(parts=list)
cdef bytes read(int memfd, Py_ssize_t size)
@cython.locals(parcel=Parcel)
cpdef object enclosed(Message message)
cdef object known(Frame frame)
cpdef object letter(Frame frame, long long uid, long long pid)
cdef object write(Frame frame, long long uid, long long pid)
