cdef bint harmless(int fd) noexcept nogil
