# cython: language_level=3, boundscheck=False, wraparound=False
"""Where a connection's received bytes wait until their message is whole. Knows lengths, no layout.

All connections receive into one shared buffer, of which each has the use until it settles: what is
left of a message then moves into memory of its own, and is put in front again when more is to come.
So an idle connection owns nothing. A big message moves only once: the rest is received straight
behind its beginning, into memory that grows with what came, not with what the sender claims.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.string cimport memcpy, memmove

cdef enum:
    # Linux lets a socket hold 208 KiB by default (net.core.wmem_default): this takes all of it at
    # once, and stays in the second-level cache.
    SHARED = 256 * 1024
    # A message beyond this gets its memory at once; below, a rest is moved for each piece that
    # comes, so it must be small: a sender of single bytes shall not make us copy much.
    BIG = 16 * 1024
    FIRST = 64 * 1024  # of a big message's memory

cdef unsigned char *shared = NULL  # one for the process, which has one loop in one thread
cdef void *holder = NULL  # the Intake whose bytes are in it now


@cython.final
@cython.no_gc
cdef class Intake:
    def __dealloc__(self):
        self.forget()

    cdef unsigned char *space(self, Py_ssize_t *size) except NULL:
        """Where the next bytes go, and how many may."""
        size[0] = self.offer()
        if size[0] == 0:
            raise BufferError("take the messages that wait before receiving more")
        return self.data + self.end

    cdef int filled(self, Py_ssize_t count) except -1:
        """`count` bytes were put there."""
        if count < 0 or count > (self.capacity if self.capacity else <Py_ssize_t>SHARED) - self.end:
            raise ValueError("more bytes than there was space for")
        self.end += count
        return 0

    cdef int append(self, const unsigned char *source, Py_ssize_t count) except -1:
        """As if `count` bytes (> 0) had been received, however many wait already."""
        cdef Py_ssize_t room = min(self.offer(), count)
        if room:
            memcpy(self.data + self.end, source, room)
            self.filled(room)
        if room < count:
            self.enlarge(self.end - self.at + count - room)
            memcpy(self.data + self.end, source + room, count - room)
            self.end = self.capacity
        return 0

    cdef unsigned char *movable(self, Py_ssize_t total) noexcept:
        """The memory in which the first message is alone, behind FRONT free bytes; else NULL."""
        return self.own if self.capacity and self.at == 0 and self.end == total else NULL

    cdef void took(self, Py_ssize_t count, bint moved) noexcept:
        """A message was taken from the front; `moved`: with our memory."""
        if moved:
            self.own = NULL
            self.most = max(self.most, count)
        self.at += count
        self.expected = 0
        if self.at == self.end:
            self.forget()

    cdef int settle(self) except -1:
        """Give up the shared buffer: what is left moves into memory of our own."""
        cdef Py_ssize_t left = self.end - self.at
        cdef unsigned char *memory
        if holder != <void *>self:
            return 0
        self.most = max(self.most, left)
        if self.expected > BIG and left < self.expected:
            return self.enlarge(min(self.expected, max(<Py_ssize_t>FIRST, 2 * left)))
        if left:
            memory = <unsigned char *>PyMem_Malloc(left)
            if memory == NULL:
                raise MemoryError
            memcpy(memory, self.data + self.at, left)
            self.forget()
            self.own = self.data = memory
            self.end = left
        else:
            self.forget()
        return 0

    cdef void forget(self) noexcept:
        """Own nothing any more."""
        global holder
        if holder == <void *>self:
            holder = NULL
        PyMem_Free(self.own)
        self.own = self.data = NULL
        self.at = self.end = self.capacity = self.expected = 0

    cdef Py_ssize_t offer(self) except -1:
        """Prepare for more bytes at data[end:]; returns how many may come."""
        cdef Py_ssize_t left = self.end - self.at
        if self.expected > BIG and left < self.expected:
            if not self.capacity or self.at:
                self.enlarge(min(self.expected, max(<Py_ssize_t>FIRST, 2 * left)))
            elif self.end == self.capacity:
                self.grow()
            return min(self.capacity, self.expected) - self.end
        if left >= SHARED:
            return 0
        self.borrow()
        return SHARED - self.end

    cdef int borrow(self) except -1:
        """Make the shared buffer ours, with what is left in front."""
        global shared, holder
        cdef Py_ssize_t left = self.end - self.at
        if shared == NULL:
            shared = <unsigned char *>PyMem_Malloc(SHARED)
            if shared == NULL:
                raise MemoryError
        if holder != <void *>self:
            if holder != NULL:
                (<Intake>holder).settle()
            if left:
                memcpy(shared, self.data + self.at, left)
            PyMem_Free(self.own)
            self.own = NULL
            self.capacity = 0
            holder = <void *>self
        elif self.at:
            memmove(shared, shared + self.at, left)
        self.data = shared
        self.at = 0
        self.end = left
        return 0

    cdef int enlarge(self, Py_ssize_t capacity) except -1:
        """Move what is left into memory of our own with room for more, and in front."""
        cdef Py_ssize_t left = self.end - self.at
        cdef Py_ssize_t expected = self.expected
        cdef unsigned char *memory = <unsigned char *>PyMem_Malloc(FRONT + capacity)
        if memory == NULL:
            raise MemoryError
        if left:
            memcpy(memory + FRONT, self.data + self.at, left)
        self.forget()
        self.own = memory
        self.data = memory + FRONT
        self.end = left
        self.capacity = capacity
        self.expected = expected
        return 0

    cdef int grow(self) except -1:
        cdef Py_ssize_t capacity = min(self.expected, 2 * self.end)
        cdef unsigned char *memory = <unsigned char *>PyMem_Realloc(self.own, FRONT + capacity)
        if memory == NULL:
            raise MemoryError
        self.own = memory
        self.data = memory + FRONT
        self.capacity = capacity
        return 0
