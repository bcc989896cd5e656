from bridge.wire.reader cimport Reader

cdef const char *check_body(
    const unsigned char *data, Py_ssize_t start, Py_ssize_t end, bint little,
    const unsigned char *signature, Py_ssize_t size
) noexcept
cdef bint walk(
    Reader *reader, const unsigned char *signature, const unsigned char *ends, Py_ssize_t place,
    Py_ssize_t count, Py_ssize_t depth
) noexcept
cdef list first_texts(Reader *r, const unsigned char *signature, Py_ssize_t size, Py_ssize_t count)
