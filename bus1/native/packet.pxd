cimport cython

from bus1.fds.descriptors cimport Descriptors

# As bus1.native.words has them (which is for those who are not compiled; a test compares).
cdef enum:
    PACKET = 131072
    WORDS = 16384  # PACKET in words
    FDS = 253
    HEADER = 16


# Not for the garbage collector: it is in no cycles.
@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Packet:
    cdef unsigned char *data
    cdef unsigned char *memory  # what is freed, if it is not one of the two buffers
    cdef Py_ssize_t capacity
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t record, at, end  # the record at hand: where it starts, is read or written, ends
    cdef readonly unsigned int kind, flags, cookie, fds
    cdef int *numbers  # FDS of them, or NULL: most packets have none
    cdef readonly Py_ssize_t fd_count
    cdef Py_ssize_t fd_at  # what came before is not ours any more
    cdef bint incoming, cut
    cdef long long payer  # who sent what came
    cdef list holds  # whoever closes the descriptors that go
    cpdef bytes raw(self)
    cpdef int check(self) except -1
    cpdef bint step(self) except -1
    cpdef Py_ssize_t left(self) noexcept
    cpdef unsigned int u32(self) except? 0xFFFFFFFF
    cpdef unsigned long long u64(self) except? 0xFFFFFFFFFFFFFFFF
    cpdef long long i64(self) except? -1
    cpdef bytes payload(self, Py_ssize_t size)
    cpdef Descriptors descriptors(self)
    cpdef Py_ssize_t unclaimed(self) noexcept
    cpdef int descriptor(self, Py_ssize_t place) except -1
    cpdef bint room(self, Py_ssize_t size, Py_ssize_t fds) noexcept
    cpdef int begin(self, int kind, int flags, unsigned int cookie, Py_ssize_t size) except -1
    cpdef int put32(self, unsigned int number) except -1
    cpdef int put64(self, unsigned long long number) except -1
    cpdef int put(self, bytes payload) except -1
    cpdef int attach(self, object fds, list numbers) except -1
    cpdef int data_on(
        self, int flags, unsigned long long stamp, unsigned long long sender,
        unsigned long long node, unsigned long long cookie, unsigned int uid, unsigned int pid,
        Py_ssize_t handles, Py_ssize_t size
    ) except -1
    cpdef int handle(self, unsigned long long id, unsigned int flags) except -1
    cpdef int notice(
        self, int kind, unsigned long long stamp, unsigned long long sender,
        unsigned long long about, unsigned long long cookie
    ) except -1
    cpdef int clear(self) except -1
    cdef unsigned char *take(self, Py_ssize_t count) except NULL
    cdef unsigned char *space(self, Py_ssize_t count) except NULL
    cdef int write_here(self) except -1
    cdef int own(self) except -1
    cdef bint gain(self, int number) noexcept
    cdef void drop(self) noexcept
    cdef void close_until(self, Py_ssize_t place) noexcept


cdef unsigned char *vacant() except NULL
cdef Packet arrived(Py_ssize_t size, bint cut)
