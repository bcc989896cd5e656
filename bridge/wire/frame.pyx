# cython: language_level=3, boundscheck=False, wraparound=False
"""Bytes of one connection in, checked and stamped D-Bus messages out. Knows no sockets.

A message is checked where it was received and copied once, into the Frame that every receiver gets.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memcpy

from bridge.wire.header cimport (
    DESTINATION, ERROR_NAME, FIXED_PART, INTERFACE, LONGEST_FIELDS, LONGEST_MESSAGE, MEMBER, PATH,
    SENDER, SIGNATURE, Header, measure, rewrite, rewritten_size, scan
)
from bridge.wire.intake cimport FRONT, Intake
from bridge.wire.names cimport is_bus_name, unique_number
from bridge.wire.reader cimport Reader, load32
from bridge.wire.text cimport shared_text
from bridge.wire.walk cimport check_body, first_texts
from bus1.fds.descriptors cimport Descriptors, close_all

FIELDS = (
    "", "PATH", "INTERFACE", "MEMBER", "ERROR_NAME", "REPLY_SERIAL", "DESTINATION", "SENDER",
    "SIGNATURE", "UNIX_FDS",
)


class BadMessage(Exception):
    """The peer broke the protocol; the text says how (and it must be disconnected)."""


@cython.final
@cython.no_gc
@cython.freelist(512)
cdef class Frame:
    """One valid message, ready to be written to any receiver. Immutable, but for two notes of those
    above: the `right` that it came with, and the `parcel` in which others get it."""

    def __dealloc__(self):
        PyMem_Free(self.memory)

    cdef str field(self, int code):
        if self.fields[code].at == 0:
            return None
        return shared_text(self.data + self.fields[code].at, self.fields[code].size)

    cpdef str destination(self):
        return self.field(DESTINATION)

    cpdef str path(self):
        return self.field(PATH)

    cpdef str interface(self):
        return self.field(INTERFACE)

    cpdef str member(self):
        return self.field(MEMBER)

    cpdef str error_name(self):
        return self.field(ERROR_NAME)

    cpdef str sender(self):
        return self.field(SENDER)

    cpdef str signature(self):
        if self.fields[SIGNATURE].at == 0:
            return ""
        return self.field(SIGNATURE)

    cpdef list arguments(self, Py_ssize_t count):
        cdef Reader r
        if self.texts is None or self.asked < count:
            r.data = self.data
            r.at = self.start
            r.end = self.size
            r.little = self.little
            self.texts = first_texts(
                &r, self.data + self.fields[SIGNATURE].at, self.fields[SIGNATURE].size, count
            )
            self.asked = count
        return self.texts if self.asked == count else self.texts[:count]

    cpdef bytes raw(self):
        return PyBytes_FromStringAndSize(<char *>self.data, self.size)

    cpdef bytes body(self):
        return PyBytes_FromStringAndSize(<char *>self.data + self.start, self.size - self.start)


cdef Frame admit(
    const unsigned char *data, Py_ssize_t total, bytes sender, list fds, Py_ssize_t max_fds,
    unsigned char *memory
):
    """The Frame of a measured message, or BadMessage.

    `memory`: where the message lies already, behind FRONT free bytes; the Frame takes it over.
    NULL: the message is copied.
    """
    cdef Header header
    cdef const char *error = scan(data, &header)
    if error != NULL:
        raise BadMessage(complaint(header.fault, error))
    error = check_body(
        data, header.size, total, data[0] == c'l',
        data + header.signature.at, header.signature.size,
    )
    if error != NULL:
        raise BadMessage("body: " + error.decode())
    if header.fd_count > max_fds:
        raise BadMessage("more file descriptors than this bus allows (max_message_unix_fds)")
    if header.fd_count and header.fd_count > len(fds):
        raise BadMessage("fewer file descriptors came than UNIX_FDS says")
    cdef Descriptors claimed = None
    if header.fd_count:
        claimed = Descriptors(fds[:header.fd_count])
        del fds[:header.fd_count]
    cdef Frame frame = sealed(data, total, &header, sender, memory)
    frame.fds = claimed
    frame.fd_count = header.fd_count
    return frame


cdef str complaint(int field, const char *error):
    if 0 < field < len(FIELDS):
        return f"header field {FIELDS[field]}: {error.decode()}"
    if field:
        return f"header field {field}: {error.decode()}"
    return error.decode()


cdef Frame sealed(
    const unsigned char *data, Py_ssize_t total, Header *header, bytes sender, unsigned char *memory
):
    """The message with its header as it leaves."""
    cdef Frame frame = Frame.__new__(Frame)
    cdef Py_ssize_t sender_size = 0 if sender is None else PyBytes_GET_SIZE(sender)
    cdef const unsigned char *sender_text = NULL
    cdef Py_ssize_t start = rewritten_size(header, sender_size)
    cdef unsigned char *head
    if sender_size:
        sender_text = <unsigned char *>PyBytes_AS_STRING(sender)
    frame.start = start
    frame.size = start + total - header.size
    if frame.size > LONGEST_MESSAGE or start > FIXED_PART + LONGEST_FIELDS:
        raise BadMessage("too long with SENDER")  # it would cost its receiver the connection
    head = <unsigned char *>PyMem_Malloc(frame.size if memory == NULL else start)
    if head == NULL:
        raise MemoryError
    rewrite(head, data, header, sender_text, sender_size)
    if memory == NULL:
        frame.memory = frame.data = head
        memcpy(head + start, data + header.size, total - header.size)
    else:  # the body stays where it is; the new header may reach into the room before the old one
        frame.memory = memory
        frame.data = memory + FRONT + header.size - start
        memcpy(frame.data, head, start)
        PyMem_Free(head)
    frame.kind = frame.data[1]
    frame.flags = frame.data[2]
    frame.little = frame.data[0] == c'l'
    frame.serial = load32(frame.data + 8, frame.little)
    frame.reply_serial = header.reply_serial
    memcpy(frame.fields, header.text, sizeof(frame.fields))
    frame.destination_number = -1
    if frame.fields[DESTINATION].at:
        frame.destination_number = unique_number(
            frame.data + frame.fields[DESTINATION].at, frame.fields[DESTINATION].size
        )
    return frame


@cython.final
@cython.no_gc
cdef class Framer:
    """One connection's incoming bytes: space and filled (or feed), take until None, settle."""

    def __init__(
        self, Py_ssize_t max_message_size, Py_ssize_t max_message_fds, long long payer=0
    ):
        self.fds = []
        self.intake = Intake()
        self.max_message_size = max_message_size
        self.max_message_fds = max_message_fds
        self.payer = payer

    def __dealloc__(self):
        if self.fds is not None:
            close_all(self.fds, self.payer)

    def stamp(self, str sender not None):
        """All frames taken from now on carry this SENDER."""
        if not is_bus_name(sender):
            raise ValueError("SENDER must be a bus name")
        self.sender = sender.encode()

    def feed(self, bytes data not None):
        """What a socket would have brought."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if size:
            self.intake.append(<unsigned char *>PyBytes_AS_STRING(data), size)

    cdef unsigned char *space(self, Py_ssize_t *size) except NULL:
        """Where the next bytes go, and how many may; all connections share most of this memory."""
        return self.intake.space(size)

    cdef int filled(self, Py_ssize_t count) except -1:
        return self.intake.filled(count)

    cdef bint begun(self):
        """Has a part of a message come, and been taken by nobody?"""
        return self.intake.end > self.intake.at

    cdef Py_ssize_t length(self) except -1:
        """The length of the first message if all of it is there, else 0."""
        cdef Intake intake = self.intake
        cdef Py_ssize_t have = intake.end - intake.at
        cdef Py_ssize_t total = 0
        cdef const char *error
        if have < FIXED_PART:
            return 0
        error = measure(intake.data + intake.at, self.max_message_size, &total)
        if error != NULL:
            raise BadMessage(error.decode())
        intake.expected = total
        return total if have >= total else 0

    cpdef Frame take(self):
        cdef Intake intake = self.intake
        cdef Py_ssize_t total = self.length()
        cdef unsigned char *memory
        cdef Frame frame
        if self.fds and len(self.fds) > self.max_message_fds:
            raise BadMessage("more file descriptors wait than a message may have")
        if total == 0:
            return None
        memory = intake.movable(total)
        frame = admit(
            intake.data + intake.at, total, self.sender, self.fds, self.max_message_fds, memory
        )
        intake.took(total, memory != NULL)
        if frame.fds is not None:
            frame.fds.payer = self.payer
        return frame

    def kept(self):
        """How many bytes wait for the rest of their message, and how many did at most so far."""
        return self.intake.end - self.intake.at, self.intake.most

    cpdef settle(self):
        """Keep what is left of a partial message in memory of our own; idle, we own nothing."""
        self.intake.settle()

    cpdef close(self):
        """Forget all that was received and not taken; close its file descriptors."""
        self.intake.forget()
        close_all(self.fds, self.payer)
        self.fds.clear()
