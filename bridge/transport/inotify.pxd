from libc.stdint cimport uint32_t

cpdef int begin() except -1
cpdef int add(int fd, bytes path, uint32_t mask) except -1
cpdef int drop(int fd, int number) except -1
cpdef list read(int fd)
