cimport cython

from bridge.wire.header cimport Header
from bridge.wire.intake cimport Intake
from bridge.wire.reader cimport Span
from bus1.fds.descriptors cimport Descriptors


@cython.final
@cython.no_gc
@cython.freelist(512)
cdef class Frame:
    cdef unsigned char *data  # what goes out: data[:size]
    cdef unsigned char *memory  # what is freed
    cdef Span[10] fields  # where the texts of the header fields are, by field code; at 0: absent
    cdef Py_ssize_t start  # of the body
    cdef list texts  # of the first arguments, as far as asked for
    cdef Py_ssize_t asked
    cdef readonly Py_ssize_t size
    cdef readonly unsigned char kind
    cdef readonly unsigned char flags
    cdef readonly bint little
    cdef readonly unsigned int serial
    cdef readonly unsigned int reply_serial
    cdef readonly long long destination_number
    cdef readonly Descriptors fds
    cdef readonly Py_ssize_t fd_count
    cdef public object right
    cdef public object parcel
    cdef str field(self, int code)
    cpdef str destination(self)
    cpdef str path(self)
    cpdef str interface(self)
    cpdef str member(self)
    cpdef str error_name(self)
    cpdef str sender(self)
    cpdef str signature(self)
    cpdef list arguments(self, Py_ssize_t count)
    cpdef bytes raw(self)
    cpdef bytes body(self)


cdef Frame admit(
    const unsigned char *data, Py_ssize_t total, bytes sender, list fds, Py_ssize_t max_fds,
    unsigned char *memory
)


cdef str complaint(int field, const char *error)


@cython.final
@cython.no_gc
cdef class Framer:
    cdef readonly list fds
    cdef Intake intake
    cdef bytes sender
    cdef Py_ssize_t max_message_size
    cdef Py_ssize_t max_message_fds
    cdef readonly long long payer
    cdef unsigned char *space(self, Py_ssize_t *size) except NULL
    cdef int filled(self, Py_ssize_t count) except -1
    cdef bint begun(self)
    cdef Py_ssize_t length(self) except -1
    cpdef Frame take(self)
    cpdef settle(self)
    cpdef close(self)
