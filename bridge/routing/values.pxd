cimport cython

@cython.final
cdef class Values:
    cdef readonly Py_UCS4 border
    cdef readonly bint inner
    cdef readonly bint rooted
    cdef readonly dict texts
    cdef readonly list ordered
    cdef readonly dict lengths
    @cython.locals(size=cython.Py_ssize_t, length=cython.Py_ssize_t, part=str)
    cdef list fitting(self, str text)
    @cython.locals(at=cython.Py_ssize_t, longer=str)
    cdef below(self, str text, list found)
    cdef add(self, str text)
    cdef discard(self, str text)

cpdef bint more(dict counts, object key) except -1
cpdef bint less(dict counts, object key) except -1
