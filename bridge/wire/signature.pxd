cdef unsigned char[256] FIXED  # the size (and alignment) of a type of fixed size; else 0
cdef unsigned char[256] UNIT  # the alignment of any type; 0: no type code

cdef const char *check_signature(
    const unsigned char *signature, Py_ssize_t size, unsigned char *ends, Py_ssize_t *types
) noexcept
