cdef bint is_utf8(const unsigned char *data, Py_ssize_t size) noexcept
cdef str shared_text(const unsigned char *data, Py_ssize_t size)
