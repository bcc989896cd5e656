from libc.stdint cimport uint32_t

from bridge.wire.reader cimport Span

cdef enum:
    PATH = 1
    INTERFACE = 2
    MEMBER = 3
    ERROR_NAME = 4
    REPLY_SERIAL = 5
    DESTINATION = 6
    SENDER = 7
    SIGNATURE = 8
    UNIX_FDS = 9

    FIXED_PART = 16  # bytes before the first header field
    LONGEST_MESSAGE = 1 << 27  # 128 MiB
    LONGEST_FIELDS = 1 << 26  # 64 MiB, as any array


cdef struct Header:
    Span[10] text  # by field code: where it will stand in a header of the kept fields; at 0: absent
    Span[10] kept  # runs of fields that stay: from where to where they stand now
    int runs
    Span signature  # of the body, where it stands now
    int fault  # the field that the error is about, or 0
    Py_ssize_t size  # of the header as it arrived, padding included
    Py_ssize_t end  # of the kept fields in the header to be, without padding
    uint32_t reply_serial
    uint32_t fd_count


cdef const char *measure(
    const unsigned char *data, Py_ssize_t longest, Py_ssize_t *total
) noexcept
cdef const char *scan(const unsigned char *data, Header *header) noexcept
cdef Py_ssize_t rewritten_size(Header *header, Py_ssize_t sender) noexcept
cdef void rewrite(
    unsigned char *out, const unsigned char *data, Header *header, const unsigned char *sender,
    Py_ssize_t sender_size
) noexcept
