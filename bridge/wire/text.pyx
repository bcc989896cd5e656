# cython: language_level=3, boundscheck=False, wraparound=False
"""Texts on the wire: is it the UTF-8 that D-Bus allows, and str objects that are made only once."""

from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from "Python.h":
    void *PyUnicode_1BYTE_DATA(object)

cdef enum:
    SLOT_BITS = 10
    SLOTS = 1 << SLOT_BITS  # a desktop's interfaces, members and paths in use at one time fit well

cdef uint64_t ONES = 0x0101010101010101
cdef uint64_t HIGHS = 0x8080808080808080
cdef list slots = [""] * SLOTS


cdef bint is_utf8(const unsigned char *data, Py_ssize_t size) noexcept:
    """Valid UTF-8 without NUL, overlong forms and surrogates (noncharacters are allowed)."""
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t length
    cdef uint64_t word
    while at < size:
        while size - at >= 8:  # plain ASCII, eight at a time
            memcpy(&word, data + at, 8)
            if (word | (word - ONES)) & HIGHS:
                break
            at += 8
        if at == size:
            return True
        if data[at] < 0x80:
            if data[at] == 0:
                return False
            at += 1
        else:
            length = character(data + at, size - at)
            if length == 0:
                return False
            at += length
    return True


cdef inline Py_ssize_t character(const unsigned char *data, Py_ssize_t size) noexcept:
    """How long the character of several bytes is that begins here; 0: it is none."""
    cdef unsigned char first = data[0]
    cdef Py_ssize_t length
    cdef unsigned char low = 0x80
    cdef unsigned char high = 0xBF
    if first < 0xC2:  # a continuation byte, or an overlong form of ASCII
        return 0
    elif first < 0xE0:
        length = 2
    elif first < 0xF0:
        length = 3
        if first == 0xE0:
            low = 0xA0  # below: overlong
        elif first == 0xED:
            high = 0x9F  # above: surrogates
    elif first < 0xF5:
        length = 4
        if first == 0xF0:
            low = 0x90  # below: overlong
        elif first == 0xF4:
            high = 0x8F  # above: beyond U+10FFFF
    else:
        return 0
    if size < length or data[1] < low or data[1] > high:
        return 0
    if length > 2 and (data[2] & 0xC0) != 0x80:
        return 0
    if length > 3 and (data[3] & 0xC0) != 0x80:
        return 0
    return length


cdef str shared_text(const unsigned char *data, Py_ssize_t size):
    """ASCII text as str. One seen lately is the same object: no allocation, and hashed already."""
    cdef uint64_t head, tail
    cdef Py_ssize_t slot
    cdef str known
    if size > 255:
        return PyUnicode_DecodeASCII(<char *>data, size, NULL)
    if size < 8:
        head = tail = 0
        memcpy(&head, data, size)
    else:
        memcpy(&head, data, 8)
        memcpy(&tail, data + size - 8, 8)
    head = (head ^ (tail << 1 | tail >> 63) ^ <uint64_t>size) * <uint64_t>0x9E3779B97F4A7C15
    slot = <Py_ssize_t>(head >> (64 - SLOT_BITS))
    known = <str>slots[slot]
    if len(known) != size or memcmp(PyUnicode_1BYTE_DATA(known), data, size):
        known = PyUnicode_DecodeASCII(<char *>data, size, NULL)
        slots[slot] = known
    return known
