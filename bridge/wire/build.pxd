cimport cython


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Writer:
    cdef unsigned char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef unsigned char *room(self, Py_ssize_t count) except NULL
    cdef int pad(self, Py_ssize_t unit) except -1
    cdef int number(self, unsigned int value) except -1
    cdef int text(self, str value) except -1
    cdef int short_text(self, str value) except -1
    cdef int field(self, unsigned char code, unsigned char type, str value) except -1
    cdef int field_number(self, unsigned char code, unsigned int value) except -1
    cdef int values(self, str signature, object body) except -1
    cdef Py_ssize_t value(
        self, const unsigned char *codes, const unsigned char *ends, Py_ssize_t place, object value,
        Py_ssize_t depth
    ) except -1
    cdef int fixed(self, unsigned char code, object value) except -1
    cdef int array(
        self, const unsigned char *codes, const unsigned char *ends, Py_ssize_t element,
        object values, Py_ssize_t depth
    ) except -1
    cdef Py_ssize_t struct(
        self, const unsigned char *codes, const unsigned char *ends, Py_ssize_t place,
        object members, Py_ssize_t depth
    ) except -1
    cdef int variant(self, str signature, object value, Py_ssize_t depth) except -1
