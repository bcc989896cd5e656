"""Bounds-checked reading of one message in its own byte order. Knows no message layout.

What a peer sent is read through here. Alignment counts from `data`, the first byte of the message.
Each function says whether it succeeded; if not, `error` says in plain words what was wrong.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "<endian.h>" nogil:
    uint32_t le32toh(uint32_t)
    uint32_t be32toh(uint32_t)
    uint64_t le64toh(uint64_t)
    uint64_t be64toh(uint64_t)


cdef struct Span:
    uint32_t at
    uint32_t size


cdef struct Reader:
    const unsigned char *data
    Py_ssize_t at
    Py_ssize_t end
    bint little
    const char *error


cdef inline uint32_t load32(const unsigned char *data, bint little) noexcept nogil:
    cdef uint32_t raw
    memcpy(&raw, data, 4)  # the place in memory need not be aligned
    return le32toh(raw) if little else be32toh(raw)


cdef inline uint64_t load64(const unsigned char *data, bint little) noexcept nogil:
    cdef uint64_t raw
    memcpy(&raw, data, 8)
    return le64toh(raw) if little else be64toh(raw)


cdef inline Py_ssize_t aligned(Py_ssize_t at, Py_ssize_t unit) noexcept nogil:
    return (at + unit - 1) & -unit


cdef inline bint has(Reader *r, Py_ssize_t count) noexcept nogil:
    if r.end - r.at >= count:
        return True
    r.error = "ends in the middle of a value"
    return False


cdef inline bint pad(Reader *r, Py_ssize_t unit) noexcept nogil:
    """Skip to the next multiple of `unit` (1, 2, 4 or 8) over bytes that must be zero."""
    while r.at & (unit - 1):
        if r.at >= r.end:
            r.error = "ends in the padding before a value"
            return False
        if r.data[r.at]:
            r.error = "padding is not zero"
            return False
        r.at += 1
    return True


cdef inline bint number(Reader *r, uint32_t *value) noexcept nogil:
    if not pad(r, 4) or not has(r, 4):
        return False
    value[0] = load32(r.data + r.at, r.little)
    r.at += 4
    return True


cdef inline bint ended(Reader *r, Py_ssize_t size, Span *span) noexcept nogil:
    """`size` bytes of text from here and the NUL that must follow them."""
    if r.end - r.at <= size:
        r.error = "a text is longer than what is left"
        return False
    if r.data[r.at + size]:
        r.error = "a text does not end with NUL"
        return False
    span.at = <uint32_t>r.at
    span.size = <uint32_t>size
    r.at += size + 1
    return True


cdef inline bint text(Reader *r, Span *span) noexcept nogil:
    """A string or object path, its characters unchecked."""
    cdef uint32_t size
    return number(r, &size) and ended(r, size, span)


cdef inline bint short_text(Reader *r, Span *span) noexcept nogil:
    """A signature, its type codes unchecked."""
    if not has(r, 1):
        return False
    r.at += 1
    return ended(r, r.data[r.at - 1], span)
