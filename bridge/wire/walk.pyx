# cython: language_level=3, boundscheck=False, wraparound=False
"""One pass over values on the wire, checking each. Knows signatures, no headers; never recurses.

The stack is our own and ends where the protocol says (64 levels: arrays, structs, dict entries and
variants), so no message can exhaust the machine's; time is linear in the message's size.
"""

from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t

from bridge.wire.names cimport object_path
from bridge.wire.reader cimport Reader, Span, has, load32, number, pad, short_text, text
from bridge.wire.signature cimport FIXED, UNIT, check_signature
from bridge.wire.text cimport is_utf8

cdef enum:
    DEEPEST = 64
    LONGEST_ARRAY = 1 << 26  # 64 MiB


cdef struct Level:
    unsigned char kind  # "a", "v" or "("
    Py_ssize_t end  # "a": where reading ended outside of it
    const unsigned char *resume  # "a": its element's type; "v": the type after it
    const unsigned char *signature  # "v": the signature that it stands in, and that one's ends
    const unsigned char *ends


cdef const char *check_body(
    const unsigned char *data, Py_ssize_t start, Py_ssize_t end, bint little,
    const unsigned char *signature, Py_ssize_t size
) noexcept:
    """NULL if data[start:end] is exactly the values that the signature says, else what is wrong."""
    cdef unsigned char[256] ends
    cdef Py_ssize_t types
    cdef const char *error
    cdef Reader r
    r.data = data
    r.at = start
    r.end = end
    r.little = little
    if size:
        error = check_signature(signature, size, ends, &types)
        if error != NULL:
            return error
        if not walk(&r, signature, ends, 0, types, 0):
            return r.error
    if r.at != r.end:
        return "there is more than the signature says"
    return NULL


cdef bint walk(
    Reader *reader, const unsigned char *signature, const unsigned char *ends, Py_ssize_t place,
    Py_ssize_t count, Py_ssize_t depth
) noexcept:
    """Check `count` (> 0) values, types from signature[place] on, `depth` levels deep already.

    The signature is checked. Afterwards the reader stands behind the last value, or has the error.
    """
    cdef Level[DEEPEST] levels
    cdef unsigned char[DEEPEST][256] variant_ends  # touched only as deep as variants go
    cdef Py_ssize_t top = 0
    cdef Reader r = reader[0]  # a copy that nobody else sees: the compiler holds it in registers
    cdef const unsigned char *type = signature + place
    cdef unsigned char code
    cdef Span span
    while True:
        code = type[0]
        if FIXED[code]:
            if not fixed(&r, code):
                break
            type += 1
        elif code == c's':
            if not text(&r, &span):
                break
            if not is_utf8(r.data + span.at, span.size):
                r.error = "a string is not valid UTF-8"
                break
            type += 1
        elif code == c'a':
            if FIXED[type[1]]:
                if not fixed_array(&r, type[1]):
                    break
                type += 2
            else:
                if not array(&r, type[1], &span):
                    break
                if span.size == 0:
                    type = signature + ends[type - signature]
                elif depth + top == DEEPEST:
                    r.error = "nested more than 64 deep"
                    break
                else:
                    levels[top].kind = c'a'
                    levels[top].end = r.end
                    type += 1
                    levels[top].resume = type
                    top += 1
                    r.end = r.at + span.size
                    continue
        elif code == c'(' or code == c'{':
            if not pad(&r, 8):
                break
            if depth + top == DEEPEST:
                r.error = "nested more than 64 deep"
                break
            levels[top].kind = c'('
            top += 1
            type += 1
            continue
        elif code == c'v':
            if depth + top == DEEPEST:
                r.error = "nested more than 64 deep"
                break
            if not variant(&r, &span, variant_ends[top]):
                break
            levels[top].kind = c'v'
            levels[top].resume = type + 1
            levels[top].signature = signature
            levels[top].ends = ends
            signature = type = r.data + span.at
            ends = variant_ends[top]
            top += 1
            continue
        elif code == c'o':
            if not text(&r, &span):
                break
            if not object_path(r.data + span.at, span.size):
                r.error = "an object path is not valid"
                break
            type += 1
        else:  # "g": there is nothing else in a checked signature
            if not signature_value(&r, &span):
                break
            type += 1

        # A value is complete; so is all that it was the last part of.
        while top:
            if levels[top - 1].kind == c'(':
                if type[0] != c')' and type[0] != c'}':
                    break
                type += 1
            elif levels[top - 1].kind == c'a':
                if r.at < r.end:
                    type = levels[top - 1].resume
                    break
                r.end = levels[top - 1].end
            else:
                type = levels[top - 1].resume
                signature = levels[top - 1].signature
                ends = levels[top - 1].ends
            top -= 1
        if top == 0:
            count -= 1
            if count == 0:
                reader.at = r.at
                return True
    reader.at = r.at
    reader.error = r.error
    return False


cdef inline bint fixed(Reader *r, unsigned char code) noexcept:
    cdef Py_ssize_t size = FIXED[code]
    if not pad(r, size) or not has(r, size):
        return False
    if code == c'b' and load32(r.data + r.at, r.little) > 1:
        r.error = "a boolean is neither 0 nor 1"
        return False
    r.at += size
    return True


cdef inline bint array(Reader *r, unsigned char element, Span *span) noexcept:
    """An array's length and the padding before its first element, which an empty one has too."""
    if not number(r, &span.size):
        return False
    if span.size > LONGEST_ARRAY:
        r.error = "an array is longer than 64 MiB"
        return False
    if not pad(r, UNIT[element]):
        return False
    if span.size > r.end - r.at:
        r.error = "an array is longer than what is left"
        return False
    return True


cdef inline bint fixed_array(Reader *r, unsigned char element) noexcept:
    """An array whose elements need no look, but for booleans: one step."""
    cdef Span span
    cdef Py_ssize_t place
    if not array(r, element, &span):
        return False
    if span.size & (FIXED[element] - 1):
        r.error = "the length of an array is no multiple of its element's"
        return False
    if element == c'b':
        for place in range(r.at, r.at + span.size, 4):
            if load32(r.data + place, r.little) > 1:
                r.error = "a boolean is neither 0 nor 1"
                return False
    r.at += span.size
    return True


cdef inline bint signature_value(Reader *r, Span *span) noexcept:
    cdef Py_ssize_t types
    if not short_text(r, span):
        return False
    r.error = check_signature(r.data + span.at, span.size, NULL, &types)
    return r.error == NULL


cdef inline bint variant(Reader *r, Span *span, unsigned char *ends) noexcept:
    """A variant's signature, which is one complete type."""
    cdef Py_ssize_t types = 0
    if not short_text(r, span):
        return False
    r.error = check_signature(r.data + span.at, span.size, ends, &types)
    if r.error == NULL and types != 1:
        r.error = "the type of a variant is not exactly one"
    return r.error == NULL


cdef list first_texts(Reader *r, const unsigned char *signature, Py_ssize_t size, Py_ssize_t count):
    """(type, text) of the first `count` values of a checked body, None for other than s, o, g."""
    cdef unsigned char[256] ends
    cdef Py_ssize_t types = 0
    cdef Py_ssize_t place = 0
    cdef unsigned char code
    cdef Span span
    cdef list found = []
    span.at = span.size = 0
    check_signature(signature, size, ends, &types)
    while len(found) < count and place < size:
        code = signature[place]
        if code == c's' or code == c'o' or code == c'g':
            if code == c'g':
                short_text(r, &span)
            else:
                text(r, &span)
            value = PyUnicode_DecodeUTF8(<char *>r.data + span.at, span.size, NULL)
            found.append((chr(code), value))
            place += 1
            continue
        found.append(None)
        if code == c'a':
            array(r, signature[place + 1], &span)
            r.at += span.size
            place = ends[place]
        else:
            walk(r, signature, ends, place, 1, 0)
            place = after(signature, place)
    return found


cdef inline Py_ssize_t after(const unsigned char *signature, Py_ssize_t place) noexcept:
    """Where the type after this one begins, in a checked signature; this one is no array."""
    cdef Py_ssize_t open = 0
    while True:
        if signature[place] == c'(':
            open += 1
        elif signature[place] == c')':
            open -= 1
        place += 1
        if open == 0:
            return place
