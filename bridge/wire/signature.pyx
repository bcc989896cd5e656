# cython: language_level=3, boundscheck=False, wraparound=False
"""Signatures: which type codes there are, and whether a text of them is one. Knows no values."""

cdef enum:
    DEEPEST = 32  # of arrays in a row, of structs, of dict entries: as the reference counts
    STACK = 2 * DEEPEST + 1


cdef struct Level:
    unsigned char bracket  # "(" or "{", 0 at the top
    unsigned char arrays  # how many "a" stand right before the bracket
    unsigned char start  # where the bracket is
    unsigned char members


cdef void fill() noexcept:
    cdef int code
    for code in range(256):
        FIXED[code] = UNIT[code] = 0
    FIXED[c'y'] = UNIT[c'y'] = UNIT[c'g'] = UNIT[c'v'] = 1
    FIXED[c'n'] = FIXED[c'q'] = UNIT[c'n'] = UNIT[c'q'] = 2
    for code in (c'b', c'i', c'u', c'h'):
        FIXED[code] = UNIT[code] = 4
    UNIT[c's'] = UNIT[c'o'] = UNIT[c'a'] = 4
    for code in (c'x', c't', c'd'):
        FIXED[code] = UNIT[code] = 8
    UNIT[c'('] = UNIT[c'{'] = 8


fill()


cdef const char *check_signature(
    const unsigned char *signature, Py_ssize_t size, unsigned char *ends, Py_ssize_t *types
) noexcept:
    """NULL if these (at most 255) type codes are a signature, else what is wrong.

    `types` gets the number of complete types. `ends`, unless NULL, gets for each "a" the place
    where its array type ends: an empty array is then skipped in one step, however long its type.
    """
    cdef Level[STACK] levels
    cdef Level *level = levels
    cdef int structs = 0
    cdef int entries = 0
    cdef int arrays = 0  # "a"s right before here
    cdef Py_ssize_t at, start, back
    cdef unsigned char code
    level.bracket = level.members = 0
    for at in range(size):
        code = signature[at]
        start = at
        if code == c'a':
            arrays += 1
            if arrays > DEEPEST:
                return "more than 32 arrays in a row"
            continue
        if level.bracket == c'{' and level.members == 0 and (
            arrays or code == c'v' or code == c'(' or code == c'{'
        ):
            return "the key of a dict entry is no basic type"
        if code == c'(' or code == c'{':
            if code == c'(':
                structs += 1
            elif arrays == 0:
                return "a dict entry outside an array"
            else:
                entries += 1
            if structs > DEEPEST or entries > DEEPEST:
                return "structs or dict entries nested more than 32 deep"
            level += 1
            level.bracket = code
            level.arrays = <unsigned char>arrays
            level.start = <unsigned char>at
            level.members = 0
            arrays = 0
            continue
        if code == c')' or code == c'}':
            if arrays:
                return "an array without an element type"
            if level.bracket != (c'(' if code == c')' else c'{'):
                return "brackets are not nested"
            if code == c')':
                structs -= 1
                if level.members == 0:
                    return "a struct without members"
            else:
                entries -= 1
                if level.members != 2:
                    return "a dict entry without exactly a key and a value"
            start = level.start
            arrays = level.arrays
            level -= 1
        elif UNIT[code] == 0:
            return "an unknown type code"
        if ends != NULL:
            for back in range(1, arrays + 1):
                ends[start - back] = <unsigned char>(at + 1)
        arrays = 0
        level.members += 1  # at most 255, as the type codes
    if arrays:
        return "an array without an element type"
    if level.bracket:
        return "a bracket is not closed"
    types[0] = level.members
    return NULL
