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
    cdef Py_ssize_t most  # bytes that were kept here until the rest of their message came
    cdef Py_ssize_t capacity  # of our own memory behind FRONT free bytes; 0: it has no such room
    cdef unsigned char *space(self, Py_ssize_t *size) except NULL
    cdef int filled(self, Py_ssize_t count) except -1
    cdef int append(self, const unsigned char *source, Py_ssize_t count) except -1
    cdef unsigned char *movable(self, Py_ssize_t total) noexcept
    cdef void took(self, Py_ssize_t count, bint moved) noexcept
    cdef int settle(self) except -1
    cdef void forget(self) noexcept
    cdef Py_ssize_t offer(self) except -1
    cdef int borrow(self) except -1
    cdef int enlarge(self, Py_ssize_t capacity) except -1
    cdef int grow(self) except -1
