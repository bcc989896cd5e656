# cython: language_level=3, boundscheck=False, wraparound=False
"""Messages that the bus itself sends. Written here, then admitted as a peer's would be: the bus
cannot send what it would not accept. Knows no receivers.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from bridge.wire.frame cimport Frame, admit
from bridge.wire.header cimport (
    DESTINATION, ERROR_NAME, FIXED_PART, INTERFACE, LONGEST_MESSAGE, MEMBER, PATH, REPLY_SERIAL,
    SIGNATURE, UNIX_FDS, measure
)
from bridge.wire.reader cimport aligned, le32toh, le64toh  # each is its own inverse
from bridge.wire.signature cimport FIXED, UNIT, check_signature
from bus1.fds.descriptors cimport Descriptors

from bridge.wire.frame import BadMessage

cdef enum:
    DEEPEST = 64
    FIRST = 512  # nearly all messages of the driver fit


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL


def build(
    unsigned char kind, *, unsigned int serial, unsigned char flags=1, unsigned int reply_serial=0,
    str path=None, str interface=None, str member=None, str error_name=None, str destination=None,
    str sender="org.freedesktop.DBus", str signature="", body=(), fds=(),
):
    cdef Writer out = Writer()
    cdef Py_ssize_t start, total = 0
    cdef unsigned char *head = out.room(FIXED_PART)
    cdef Descriptors shared = fds if isinstance(fds, Descriptors) else None
    cdef list numbers = list(fds) if shared is None else list(shared.numbers)
    cdef Frame frame
    cdef bytes stamp = None if sender is None else sender.encode()
    cdef const char *error
    head[0] = c'l'
    head[1] = kind
    head[2] = flags
    head[3] = 1
    out.field(PATH, c'o', path)
    out.field(INTERFACE, c's', interface)
    out.field(MEMBER, c's', member)
    out.field(ERROR_NAME, c's', error_name)
    if reply_serial:
        out.field_number(REPLY_SERIAL, reply_serial)
    out.field(DESTINATION, c's', destination)
    if signature:
        out.field(SIGNATURE, c'g', signature)
    if numbers:
        out.field_number(UNIX_FDS, <unsigned int>len(numbers))
    start = out.size
    out.pad(8)
    put32(out.data + 12, <uint32_t>(start - FIXED_PART))
    put32(out.data + 8, serial)
    start = out.size
    out.values(signature, body)
    put32(out.data + 4, <uint32_t>(out.size - start))
    try:
        error = measure(out.data, LONGEST_MESSAGE, &total)
        if error != NULL:
            raise BadMessage(error.decode())
        frame = admit(out.data, total, stamp, numbers, len(numbers), NULL)
    except BadMessage as refused:
        raise ValueError(f"no valid message: {refused}") from None
    if shared is not None and frame.fds is not None:
        frame.fds.numbers = []  # theirs to close who share them
        frame.fds = shared
    return frame


cdef inline void put32(unsigned char *place, uint32_t value) noexcept:
    value = le32toh(value)
    memcpy(place, &value, 4)


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Writer:
    """Values in their wire format, into memory that grows. Recursion ends at 64 levels."""

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef unsigned char *room(self, Py_ssize_t count) except NULL:
        """`count` more bytes, to be filled at once."""
        cdef Py_ssize_t capacity = self.capacity
        cdef unsigned char *data
        if self.size + count > LONGEST_MESSAGE:
            raise ValueError("no message is that long")
        if self.size + count > capacity:
            capacity = max(<Py_ssize_t>FIRST, 2 * (self.size + count))
            data = <unsigned char *>PyMem_Realloc(self.data, capacity)
            if data == NULL:
                raise MemoryError
            self.data = data
            self.capacity = capacity
        data = self.data + self.size
        self.size += count
        return data

    cdef int pad(self, Py_ssize_t unit) except -1:
        cdef Py_ssize_t count = aligned(self.size, unit) - self.size
        memset(self.room(count), 0, count)
        return 0

    cdef int number(self, unsigned int value) except -1:
        self.pad(4)
        put32(self.room(4), value)
        return 0

    cdef int text(self, str value) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *data = PyUnicode_AsUTF8AndSize(value, &size)
        self.number(<unsigned int>size)
        memcpy(self.room(size + 1), data, size + 1)
        return 0

    cdef int short_text(self, str value) except -1:
        cdef Py_ssize_t size = 0
        cdef const char *data = PyUnicode_AsUTF8AndSize(value, &size)
        if size > 255:
            raise ValueError("no signature is that long")
        self.room(1)[0] = <unsigned char>size
        memcpy(self.room(size + 1), data, size + 1)
        return 0

    cdef int field(self, unsigned char code, unsigned char type, str value) except -1:
        cdef unsigned char *place
        if value is None:
            return 0
        self.pad(8)
        place = self.room(4)
        place[0] = code
        place[1] = 1
        place[2] = type
        place[3] = 0
        return self.short_text(value) if type == c'g' else self.text(value)

    cdef int field_number(self, unsigned char code, unsigned int value) except -1:
        self.pad(8)
        memcpy(self.room(4), b"\0\x01u\0", 4)
        self.data[self.size - 4] = code
        return self.number(value)

    cdef int values(self, str signature, object body) except -1:
        cdef unsigned char[256] ends
        cdef bytes raw = signature.encode()
        cdef Py_ssize_t types = study(raw, ends)
        cdef Py_ssize_t place = 0
        if len(body) != types:
            raise ValueError(f"{len(body)} values for the signature {signature!r}")
        for value in body:
            place = self.value(<unsigned char *>PyBytes_AS_STRING(raw), ends, place, value, 0)
        return 0

    cdef Py_ssize_t value(
        self, const unsigned char *codes, const unsigned char *ends, Py_ssize_t place, object value,
        Py_ssize_t depth
    ) except -1:
        """Write one value of the type at `place`; returns where the next type is."""
        cdef unsigned char code = codes[place]
        if code == c's' or code == c'o':
            self.text(value)
        elif code == c'g':
            self.short_text(value)
        elif FIXED[code]:
            self.fixed(code, value)
        elif depth == DEEPEST:
            raise ValueError("nested more than 64 deep")
        elif code == c'a':
            self.array(codes, ends, place + 1, value, depth + 1)
            return ends[place]
        elif code == c'v':
            self.variant(value[0], value[1], depth + 1)
        else:
            return self.struct(codes, ends, place + 1, value, depth + 1)
        return place + 1

    cdef int fixed(self, unsigned char code, object value) except -1:
        cdef Py_ssize_t size = FIXED[code]
        cdef unsigned char *place
        cdef uint64_t raw
        cdef double real
        cdef long long whole
        if code == c'd':
            real = value
            memcpy(&raw, &real, 8)
        elif code == c't':
            raw = value
        else:
            whole = value
            if code == c'b':
                whole = whole != 0
            elif not fits(code, whole):
                raise OverflowError(f"{value} is no value of type {chr(code)}")
            raw = <uint64_t>whole
        self.pad(size)
        place = self.room(size)
        if size == 1:
            place[0] = <unsigned char>raw
        elif size == 2:
            place[0] = <unsigned char>raw
            place[1] = <unsigned char>(raw >> 8)
        elif size == 4:
            put32(place, <uint32_t>raw)
        else:
            raw = le64toh(raw)
            memcpy(place, &raw, 8)
        return 0

    cdef int array(
        self, const unsigned char *codes, const unsigned char *ends, Py_ssize_t element,
        object values, Py_ssize_t depth
    ) except -1:
        cdef Py_ssize_t length, start
        self.number(0)
        length = self.size - 4
        self.pad(UNIT[codes[element]])
        start = self.size
        if codes[element] == c'y' and isinstance(values, bytes):
            memcpy(self.room(len(values)), PyBytes_AS_STRING(values), len(values))
        elif codes[element] == c'{':
            for entry in values.items():
                self.struct(codes, ends, element + 1, entry, depth + 1)
        else:
            for value in values:
                self.value(codes, ends, element, value, depth)
        put32(self.data + length, <uint32_t>(self.size - start))
        return 0

    cdef Py_ssize_t struct(
        self, const unsigned char *codes, const unsigned char *ends, Py_ssize_t place,
        object members, Py_ssize_t depth
    ) except -1:
        self.pad(8)
        for member in members:
            if codes[place] == c')' or codes[place] == c'}':
                raise ValueError("a struct has more members than its signature")
            place = self.value(codes, ends, place, member, depth)
        if codes[place] != c')' and codes[place] != c'}':
            raise ValueError("a struct has fewer members than its signature")
        return place + 1

    cdef int variant(self, str signature, object value, Py_ssize_t depth) except -1:
        cdef unsigned char[256] ends
        cdef bytes raw = signature.encode()
        if study(raw, ends) != 1:
            raise ValueError("the type of a variant is not exactly one")
        self.short_text(signature)
        self.value(<unsigned char *>PyBytes_AS_STRING(raw), ends, 0, value, depth)
        return 0


cdef inline bint fits(unsigned char code, long long value) noexcept:
    if code == c'y':
        return 0 <= value <= 0xFF
    elif code == c'q':
        return 0 <= value <= 0xFFFF
    elif code == c'n':
        return -0x8000 <= value <= 0x7FFF
    elif code == c'u' or code == c'h':
        return 0 <= value <= 0xFFFFFFFFLL
    elif code == c'i':
        return -0x80000000LL <= value <= 0x7FFFFFFF
    return True


cdef Py_ssize_t study(bytes signature, unsigned char *ends) except -1:
    """The number of complete types; `ends` as check_signature says."""
    cdef Py_ssize_t types = 0
    cdef const char *error = NULL
    cdef Py_ssize_t size = PyBytes_GET_SIZE(signature)
    if size > 255:
        raise ValueError("no signature is that long")
    if size:
        error = check_signature(<unsigned char *>PyBytes_AS_STRING(signature), size, ends, &types)
    if error != NULL:
        raise ValueError(f"signature {signature!r}: {error.decode()}")
    return types
