# cython: language_level=3, boundscheck=False, wraparound=False
"""The grammar of names: bus names, interfaces, members, paths. Knows no messages.

The specification's, and where the reference implementation differs, the reference's: everything
after the ":" of a unique name may be empty or lack a period (":", ":a").
"""

from bridge.wire.signature cimport check_signature

cdef enum:
    LETTER = 1  # and underscore
    DIGIT = 2
    HYPHEN = 4
    PERIOD = 8
    LONGEST = 255

cdef unsigned char[256] CLASS


cdef void fill() noexcept:
    cdef int code
    for code in range(256):
        CLASS[code] = 0
    for code in range(c'a', c'z' + 1):
        CLASS[code] = LETTER
        CLASS[code - 32] = LETTER
    for code in range(c'0', c'9' + 1):
        CLASS[code] = DIGIT
    CLASS[c'_'] = LETTER
    CLASS[c'-'] = HYPHEN
    CLASS[c'.'] = PERIOD


fill()


cdef bint bus_name(const unsigned char *text, Py_ssize_t size) noexcept:
    if size and text[0] == c':':
        return unique_name(text, size)
    return well_known_name(text, size)


cdef bint unique_name(const unsigned char *text, Py_ssize_t size) noexcept:
    cdef Py_ssize_t at
    if size == 0 or size > LONGEST or text[0] != c':' or text[size - 1] == c'.':
        return False
    for at in range(1, size):
        if not CLASS[text[at]] or (text[at] == c'.' and text[at + 1] == c'.'):
            return False
    return True


cdef bint well_known_name(const unsigned char *text, Py_ssize_t size) noexcept:
    return elements(text, size, LETTER | HYPHEN, LETTER | HYPHEN | DIGIT) > 1


cdef bint namespace(const unsigned char *text, Py_ssize_t size) noexcept:
    """What a match rule's arg0namespace takes: a bus name, or one element of one."""
    if size and text[0] == c':':
        return unique_name(text, size)
    return elements(text, size, LETTER | HYPHEN, LETTER | HYPHEN | DIGIT) > 0


cdef bint interface(const unsigned char *text, Py_ssize_t size) noexcept:
    return elements(text, size, LETTER, LETTER | DIGIT) > 1


cdef bint member(const unsigned char *text, Py_ssize_t size) noexcept:
    return elements(text, size, LETTER, LETTER | DIGIT) == 1


cdef inline Py_ssize_t elements(
    const unsigned char *text, Py_ssize_t size, int first, int others
) noexcept:
    """How many elements between periods; 0: one is empty or has a character that it may not."""
    cdef Py_ssize_t at
    cdef Py_ssize_t count = 1
    cdef int allowed = first
    cdef int kind
    if size > LONGEST:
        return 0
    for at in range(size):
        kind = CLASS[text[at]]
        if not kind & allowed:
            return 0
        if kind == PERIOD:
            count += 1
            allowed = first
        else:
            allowed = others | PERIOD
    return count if allowed != first else 0


cdef bint object_path(const unsigned char *text, Py_ssize_t size) noexcept:
    cdef Py_ssize_t at
    cdef bint after_slash = True
    if size == 0 or text[0] != c'/':
        return False
    for at in range(1, size):
        if CLASS[text[at]] & (LETTER | DIGIT):
            after_slash = False
        elif text[at] != c'/' or after_slash:
            return False
        else:
            after_slash = True
    return size == 1 or not after_slash


cdef long long unique_number(const unsigned char *text, Py_ssize_t size) noexcept:
    """42 for exactly ":1.42", -1 for everything else: no leading zeros, within 63 bits."""
    cdef unsigned long long value = 0  # 19 digits always fit
    cdef Py_ssize_t at
    if size < 4 or size > 3 + 19 or text[0] != c':' or text[1] != c'1' or text[2] != c'.':
        return -1
    if text[3] == c'0' and size > 4:
        return -1
    for at in range(3, size):
        if text[at] < c'0' or text[at] > c'9':
            return -1
        value = value * 10 + (text[at] - c'0')
    return <long long>value if value >> 63 == 0 else -1


cdef bint obeys(str text, Grammar grammar):
    cdef bytes raw = text.encode("utf-8", "surrogatepass")
    return grammar(raw, len(raw))


cpdef bint is_bus_name(str text):
    return obeys(text, bus_name)


cpdef bint is_unique_name(str text):
    return obeys(text, unique_name)


cpdef bint is_well_known_name(str text):
    return obeys(text, well_known_name)


cpdef bint is_namespace(str text):
    return obeys(text, namespace)


cpdef bint is_interface(str text):
    return obeys(text, interface)


cpdef bint is_error_name(str text):
    return obeys(text, interface)


cpdef bint is_member(str text):
    return obeys(text, member)


cpdef bint is_object_path(str text):
    return obeys(text, object_path)


cpdef bint is_signature(str text):
    cdef bytes raw = text.encode("utf-8", "surrogatepass")
    cdef Py_ssize_t types
    return len(raw) <= 255 and check_signature(raw, len(raw), NULL, &types) == NULL
