# cython: language_level=3, boundscheck=False, wraparound=False
"""Messages that came by another way than a connection's bytes, made ready to be routed: checked as
those are, and copied once. Knows neither that way nor the receivers.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from bridge.wire.frame cimport Frame, admit, complaint
from bridge.wire.header cimport (
    DESTINATION, FIXED_PART, LONGEST_FIELDS, LONGEST_MESSAGE, REPLY_SERIAL, Header, measure, scan
)
from bridge.wire.intake cimport FRONT
from bridge.wire.reader cimport aligned, be32toh, le32toh, load32
from bus1.fds.descriptors cimport Descriptors

from bridge.wire.frame import BadMessage


def relay(
    bytes data not None, *, str sender not None, unsigned int serial, str destination=None,
    unsigned int reply_serial=0, Py_ssize_t longest, Py_ssize_t most_fds, fds=None,
):
    cdef const unsigned char *source = <const unsigned char *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = measured(source, PyBytes_GET_SIZE(data), serial, longest)
    cdef Py_ssize_t there = 0 if fds is None else len(fds.numbers)
    cdef bytes field = b""
    cdef unsigned char *memory
    cdef Frame frame
    if destination is not None and not addressed(source):
        field = destination.encode()
    memory = <unsigned char *>PyMem_Malloc(FRONT + size + FRONT)
    if memory == NULL:
        raise MemoryError
    try:
        size = written(memory + FRONT, source, size, field)
        put32(memory + FRONT + 8, serial, source[0] == c'l')
        # The numbers are noted when nothing can fail any more: they are not the Frame's to close.
        frame = admit(memory + FRONT, size, sender.encode(), [-1] * there, most_fds, memory)
    except BaseException:
        PyMem_Free(memory)
        raise
    if there > frame.fd_count:  # they would stay open as long as the frame, and nobody is charged
        raise BadMessage("more file descriptors came than UNIX_FDS says")
    frame.fds = borrowed(fds, 0, frame.fd_count)
    if reply_serial and frame.fields[REPLY_SERIAL].at:
        put32(frame.data + frame.fields[REPLY_SERIAL].at, reply_serial, frame.little)
        frame.reply_serial = reply_serial
    return frame


def borrowed(fds, Py_ssize_t first, Py_ssize_t count):
    if count == 0:
        return None
    return Descriptors(fds.numbers[first:first + count], fds)


cdef Py_ssize_t measured(
    const unsigned char *source, Py_ssize_t size, unsigned int serial, Py_ssize_t longest
) except -1:
    """The size of the message, which must be that of the bytes; it need not have a serial yet."""
    cdef unsigned char[FIXED_PART] head
    cdef Py_ssize_t total = 0
    cdef const char *error
    if size < FIXED_PART:
        raise BadMessage("it ends within the header")
    memcpy(head, source, FIXED_PART)
    put32(head + 8, serial, head[0] == c'l')
    error = measure(head, longest, &total)
    if error != NULL:
        raise BadMessage(error.decode())
    if total != size:
        raise BadMessage("its length is not what its header says")
    return size


cdef bint addressed(const unsigned char *source) except -1:
    """Does a measured message say where it goes?"""
    cdef Header header
    cdef const char *error = scan(source, &header)
    if error != NULL:
        raise BadMessage(complaint(header.fault, error))
    return header.text[DESTINATION].at != 0


cdef Py_ssize_t written(
    unsigned char *out, const unsigned char *source, Py_ssize_t size, bytes destination
) except -1:
    """A copy, with DESTINATION as its last field if that is not empty; at most FRONT bytes more."""
    cdef bint little = source[0] == c'l'
    cdef Py_ssize_t end = FIXED_PART + <Py_ssize_t>load32(source + 12, little)
    cdef Py_ssize_t body = aligned(end, 8)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(destination)
    cdef Py_ssize_t after
    if length == 0:
        memcpy(out, source, size)
        return size
    if length > 255:
        raise BadMessage("no bus name is that long")
    after = body + 8 + length + 1
    if after - FIXED_PART > LONGEST_FIELDS or aligned(after, 8) + size - body > LONGEST_MESSAGE:
        raise BadMessage("too long with DESTINATION")
    memcpy(out, source, end)
    memset(out + end, 0, body - end)
    memcpy(out + body, b"\x06\x01s\0", 4)
    put32(out + body + 4, <uint32_t>length, little)
    memcpy(out + body + 8, PyBytes_AS_STRING(destination), length)
    memset(out + after - 1, 0, aligned(after, 8) - after + 1)
    put32(out + 12, <uint32_t>(after - FIXED_PART), little)
    memcpy(out + aligned(after, 8), source + body, size - body)
    return aligned(after, 8) + size - body


cdef inline void put32(unsigned char *place, uint32_t value, bint little) noexcept:
    value = le32toh(value) if little else be32toh(value)
    memcpy(place, &value, 4)
