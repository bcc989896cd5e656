# cython: language_level=3, boundscheck=False, wraparound=False
"""A message's header: the message's length, the fields in one pass, and the header it leaves with.

That has the known fields in the order they came, and SENDER, which only the bus may say, last.
Knows no bodies.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memcpy, memset

from bridge.wire.names cimport bus_name, interface, member, object_path
from bridge.wire.reader cimport (
    Reader, Span, aligned, be32toh, has, le32toh, load32, number, pad, short_text, text
)
from bridge.wire.walk cimport walk

cdef enum:
    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4

cdef const char *TYPES = b".osssussgu"  # of the known fields, by code
cdef const unsigned char *VARIANT = b"v"
cdef const char *LOCAL_PATH = b"/org/freedesktop/DBus/Local"
cdef const char *LOCAL_INTERFACE = b"org.freedesktop.DBus.Local"


cdef const char *measure(
    const unsigned char *data, Py_ssize_t longest, Py_ssize_t *total
) noexcept:
    """The length of the message from its first 16 bytes; all that these can tell is checked."""
    cdef bint little = data[0] == c'l'
    cdef Py_ssize_t body, fields
    if not little and data[0] != c'B':
        return "unknown byte order"
    if data[1] == 0:
        return "message type 0"
    if data[3] != 1:
        return "unknown protocol version"
    body = load32(data + 4, little)
    fields = load32(data + 12, little)
    if load32(data + 8, little) == 0:
        return "serial 0"
    if fields > LONGEST_FIELDS:
        return "header fields longer than 64 MiB"
    total[0] = FIXED_PART + aligned(fields, 8) + body
    if total[0] > LONGEST_MESSAGE:
        return "longer than 128 MiB"
    if total[0] > longest:
        return "longer than this bus allows (max_message_size)"
    return NULL


cdef const char *scan(const unsigned char *data, Header *header) noexcept:
    """Check the fields of a measured message; NULL or what is wrong."""
    cdef Reader r
    cdef Py_ssize_t start
    cdef Py_ssize_t dropped = 0  # bytes in front of here that will be gone
    cdef unsigned char code
    memset(header.text, 0, sizeof(header.text))
    header.signature.at = header.signature.size = 0
    header.runs = header.fault = 0
    header.reply_serial = header.fd_count = 0
    r.data = data
    r.at = FIXED_PART
    r.little = data[0] == c'l'
    r.end = FIXED_PART + <Py_ssize_t>load32(data + 12, r.little)
    header.end = r.at
    while r.at < r.end:
        if not pad(&r, 8) or not has(&r, 1):
            return r.error
        start = r.at
        code = data[start]
        header.fault = code
        if code == 0:
            return "header field 0"
        if code > UNIX_FDS:
            r.at += 1
            # Inside the array of structs of code and variant: two levels deep.
            if not walk(&r, VARIANT, NULL, 0, 1, 2):
                return r.error
        elif not known_field(&r, code, header):
            return r.error
        if code > UNIX_FDS or code == SENDER:
            dropped += aligned(r.at, 8) - start
        else:
            if code == SIGNATURE:
                header.signature = header.text[SIGNATURE]
            header.text[code].at -= <uint32_t>dropped
            header.end = r.at - dropped
            keep(header, start, r.at)
    header.text[SENDER].at = header.text[SENDER].size = 0
    header.fault = 0
    r.end = header.size = aligned(r.at, 8)
    return required(data[1], header) if pad(&r, 8) else r.error


cdef inline bint known_field(Reader *r, unsigned char code, Header *header) noexcept:
    cdef Span *span = &header.text[code]
    cdef const unsigned char *value
    cdef uint32_t plain
    if span.at:
        r.error = "appears twice"
        return False
    if not has(r, 4):
        return False
    value = r.data + r.at
    if value[1] != 1 or value[2] != TYPES[code] or value[3] != 0:
        r.error = "has the wrong type"
        return False
    if code == SIGNATURE:  # checked with the body
        r.at += 4
        return short_text(r, span)
    r.at += 4
    if code == REPLY_SERIAL or code == UNIX_FDS:
        span.at = <uint32_t>r.at
        span.size = 4
        if not number(r, &plain):
            return False
        if code == UNIX_FDS:
            header.fd_count = plain
        elif plain == 0:
            r.error = "is 0"
            return False
        else:
            header.reply_serial = plain
        return True
    if not text(r, span):
        return False
    value = r.data + span.at
    if not obeys(code, value, span.size):
        r.error = "is not a valid name"
        return False
    if (code == PATH and span.size == 27 and memcmp(value, LOCAL_PATH, 27) == 0) or (
        code == INTERFACE and span.size == 26 and memcmp(value, LOCAL_INTERFACE, 26) == 0
    ):
        r.error = "is reserved for messages that no bus carries"
        return False
    return True


cdef inline bint obeys(unsigned char code, const unsigned char *value, Py_ssize_t size) noexcept:
    if code == PATH:
        return object_path(value, size)
    elif code == MEMBER:
        return member(value, size)
    elif code == INTERFACE or code == ERROR_NAME:
        return interface(value, size)
    return bus_name(value, size)


cdef inline void keep(Header *header, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Runs: `at` is where one begins, `size` where it ends; one, unless fields are dropped."""
    cdef int run = header.runs
    if run == 0 or aligned(header.kept[run - 1].size, 8) != start:
        header.kept[run].at = <uint32_t>start
        header.runs += 1
    header.kept[header.runs - 1].size = <uint32_t>end


cdef inline const char *required(unsigned char kind, Header *header) noexcept:
    if (kind == CALL or kind == SIGNAL) and not (header.text[PATH].at and header.text[MEMBER].at):
        return "a call or signal without PATH or MEMBER"
    if kind == SIGNAL and not header.text[INTERFACE].at:
        return "a signal without INTERFACE"
    if kind == ERROR and not header.text[ERROR_NAME].at:
        return "an error without ERROR_NAME"
    if (kind == RETURN or kind == ERROR) and not header.reply_serial:
        return "a reply without REPLY_SERIAL"
    return NULL


cdef Py_ssize_t rewritten_size(Header *header, Py_ssize_t sender) noexcept:
    """The header's size with the padding before the body; `sender` is SENDER's length, 0: none."""
    if sender:
        return aligned(aligned(header.end, 8) + 8 + sender + 1, 8)
    return aligned(header.end, 8)


cdef void rewrite(
    unsigned char *out, const unsigned char *data, Header *header, const unsigned char *sender,
    Py_ssize_t sender_size
) noexcept:
    """Write the header that the message leaves with; `out` has rewritten_size() bytes."""
    cdef bint little = data[0] == c'l'
    cdef Py_ssize_t at = FIXED_PART
    cdef Py_ssize_t length
    cdef uint32_t raw
    cdef int run
    memcpy(out, data, FIXED_PART)
    for run in range(header.runs):
        length = header.kept[run].size - header.kept[run].at
        memcpy(out + at, data + header.kept[run].at, length)
        at = zeros(out, at + length)
    length = header.end
    if sender_size:
        memcpy(out + at, b"\x07\x01s\0", 4)
        raw = le32toh(<uint32_t>sender_size) if little else be32toh(<uint32_t>sender_size)
        memcpy(out + at + 4, &raw, 4)
        memcpy(out + at + 8, sender, sender_size)
        length = at + 8 + sender_size + 1
        out[length - 1] = 0
        zeros(out, length)
        header.text[SENDER].at = <uint32_t>(at + 8)
        header.text[SENDER].size = <uint32_t>sender_size
    length -= FIXED_PART
    raw = le32toh(<uint32_t>length) if little else be32toh(<uint32_t>length)
    memcpy(out + 12, &raw, 4)


cdef inline Py_ssize_t zeros(unsigned char *out, Py_ssize_t at) noexcept:
    while at & 7:
        out[at] = 0
        at += 1
    return at
