# cython: language_level=3, boundscheck=False, wraparound=False
"""The values in a message's body as Python objects: for the driver and for tests, not for relaying.

A Frame's body is checked, so these functions may recurse: never deeper than the 64 levels allowed.
The reader checks bounds all the same; were it ever to refuse, `unpack` would raise ValueError.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from bridge.wire.frame cimport Frame
from bridge.wire.header cimport SIGNATURE
from bridge.wire.reader cimport (
    Reader, Span, has, load32, load64, number, pad, short_text, text
)
from bridge.wire.signature cimport FIXED, UNIT, check_signature


cdef struct Types:
    const unsigned char *codes
    unsigned char[256] ends  # of the arrays
    Py_ssize_t place  # of the next type


cpdef tuple unpack(Frame frame):
    cdef Types types
    cdef Reader r
    cdef list values = []
    cdef Py_ssize_t size = frame.fields[SIGNATURE].size
    study(&types, frame.data + frame.fields[SIGNATURE].at, size)
    r.data = frame.data
    r.at = frame.start
    r.end = frame.size
    r.little = frame.little
    while types.place < size:
        values.append(value(&r, &types))
    return tuple(values)


cdef Py_ssize_t study(Types *types, const unsigned char *codes, Py_ssize_t size) except -1:
    cdef Py_ssize_t count = 0
    types.codes = codes
    types.place = 0
    if size:
        demand(check_signature(codes, size, types.ends, &count) == NULL)
    return count


cdef inline int demand(bint fine) except -1:
    if not fine:
        raise ValueError("a checked body has an unchecked value")
    return 0


cdef object value(Reader *r, Types *types):
    cdef unsigned char code = types.codes[types.place]
    cdef Span span
    cdef Types inner
    span.at = span.size = 0
    types.place += 1
    if FIXED[code]:
        return fixed(r, code)
    if code == c's' or code == c'o':
        demand(text(r, &span))
        return PyUnicode_DecodeUTF8(<char *>r.data + span.at, span.size, NULL)
    if code == c'a':
        return array(r, types)
    if code == c'(':
        return struct(r, types)
    demand(short_text(r, &span))
    signature = PyUnicode_DecodeUTF8(<char *>r.data + span.at, span.size, NULL)
    if code == c'g':
        return signature
    study(&inner, r.data + span.at, span.size)
    return signature, value(r, &inner)


cdef object fixed(Reader *r, unsigned char code):
    cdef Py_ssize_t size = FIXED[code]
    cdef const unsigned char *data
    cdef uint32_t small
    cdef uint64_t large
    cdef double real
    demand(pad(r, size) and has(r, size))
    data = r.data + r.at
    r.at += size
    if code == c'y':
        return data[0]
    if size == 2:
        small = data[0] | data[1] << 8 if r.little else data[0] << 8 | data[1]
        return small if code == c'q' else <int16_t>small
    if size == 4:
        small = load32(data, r.little)
        if code == c'b':
            return small != 0
        return <int32_t>small if code == c'i' else small
    large = load64(data, r.little)
    if code == c'd':
        memcpy(&real, &large, 8)
        return real
    return <int64_t>large if code == c'x' else large


cdef object array(Reader *r, Types *types):
    cdef Py_ssize_t element = types.place
    cdef Py_ssize_t after = types.ends[element - 1]
    cdef unsigned char code = types.codes[element]
    cdef Py_ssize_t stop
    cdef uint32_t size = 0
    cdef list values = []
    demand(number(r, &size) and pad(r, UNIT[code]) and has(r, size))
    stop = r.at + size
    if code == c'y':
        r.at = stop
        types.place = after
        return PyBytes_FromStringAndSize(<char *>r.data + stop - size, size)
    while r.at < stop:
        types.place = element
        values.append(struct(r, types) if code == c'{' else value(r, types))
    types.place = after
    return dict(values) if code == c'{' else values


cdef tuple struct(Reader *r, Types *types):
    cdef list members = []
    if types.codes[types.place] == c'{':
        types.place += 1
    demand(pad(r, 8))
    while types.codes[types.place] != c')' and types.codes[types.place] != c'}':
        members.append(value(r, types))
    types.place += 1
    return tuple(members)
