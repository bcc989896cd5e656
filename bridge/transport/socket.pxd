from bridge.wire.frame cimport Framer

cpdef Py_ssize_t receive(int fd, Framer framer, bint takes_fds) except -2
cpdef bytes receive_text(int fd, long long payer)
cpdef Py_ssize_t send(int fd, list frames, Py_ssize_t offset) except -2
