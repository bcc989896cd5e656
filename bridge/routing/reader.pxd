cdef class Reader:
    cpdef flush(self)
