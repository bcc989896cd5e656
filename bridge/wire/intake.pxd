cimport cython

cdef enum:
    FRONT = 272  # room before a big message for the longest SENDER field (8 + 255 + 1, rounded up)


@cython.final
@cython.no_gc
cdef class Intake:
    cdef unsigned char *data  # bytes not yet taken: data[at:end]
    cdef Py_ssize_t at
    cdef Py_ssize_t end
    cdef Py_ssize_t expected  # the length of the first message, if known and not all there; else 0
    cdef unsigned char *own  # memory of our own, or NULL
    cdef Py_ssize_t capacity  # of a big message's memory behind FRONT; 0: no big message
    cdef unsigned char *space(self, Py_ssize_t *size) except NULL
    cdef int filled(self, Py_ssize_t count) except -1
    cdef int settle(self) except -1
    cdef void took(self, Py_ssize_t count) noexcept
    cdef void gave_own(self) noexcept
    cdef void forget(self) noexcept
    cdef int grow(self) except -1
    cdef int borrow(self) except -1
    cdef int enlarge(self) except -1
