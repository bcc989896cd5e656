# cython: language_level=3, boundscheck=False, wraparound=False
"""Records of the native protocol: out of a packet that came, into one that goes. It knows bytes and
descriptors, no sockets; what the records mean is the session's business.

Two buffers are all that packets need, one for what comes and one for what goes: each belongs to one
packet at a time, which moves to memory of its own if it is still in use when the next one comes.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport PyObject
from libc.string cimport memcpy, memset

from bus1.fds.closing cimport let_go
from bus1.fds.descriptors cimport Descriptors


cdef enum:
    DATA = 66

PACKET_MOST = PACKET
FDS_MOST = FDS

cdef struct Head:  # of a record
    unsigned int size
    unsigned short kind, flags
    unsigned int cookie, fds

cdef struct Data:  # the body of DATA begins so
    unsigned long long stamp, sender, node, cookie
    unsigned int uid, pid, handles, zero
    unsigned long long size

# In words, so that they are aligned as the records in them are.
cdef unsigned long long[WORDS] inward
cdef unsigned long long[WORDS] outward
cdef PyObject *inside = NULL  # whose what is in `inward` is, while it lives
cdef PyObject *outside = NULL


class Broken(Exception):
    """The packet is no sequence of records: the connection ends. The text says how."""


class Malformed(Exception):
    """The record's body is shorter than what it should hold."""


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Packet:
    """One packet, in or out."""

    def __init__(self, bytes data not None=b"", list fds=None):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if fds is not None and len(fds) > FDS:
            raise ValueError("more descriptors than one packet takes")
        if size == 0 and fds is None:
            return
        self.drop()
        self.memory = <unsigned char *>PyMem_Malloc(size + 1)
        if self.memory == NULL:
            raise MemoryError
        memcpy(self.memory, PyBytes_AS_STRING(data), size)
        self.data = self.memory
        self.size = self.capacity = size
        self.incoming = True
        self.cut = size > PACKET
        for number in fds or ():
            if not self.gain(number):
                raise MemoryError

    def __dealloc__(self):
        self.drop()

    cpdef bytes raw(self):
        return PyBytes_FromStringAndSize(<char *>self.data, self.size)

    # What came.

    cpdef int check(self) except -1:
        cdef Py_ssize_t at = 0
        cdef unsigned long long fds = 0
        cdef Head head
        if self.cut:
            raise Broken("a packet that is too large, or whose descriptors were lost on the way")
        while at < self.size:
            if self.size - at < HEADER:
                raise Broken("a packet that ends within a record's header")
            memcpy(&head, self.data + at, HEADER)
            if head.size < HEADER or head.size > self.size - at:
                raise Broken(f"a record of {head.size} bytes where {self.size - at} are left")
            fds += head.fds
            at += (<Py_ssize_t>head.size + 7) & ~7
        if fds != <unsigned long long>self.fd_count:
            raise Broken(f"records with {fds} descriptors in a packet with {self.fd_count}")
        return 0

    cpdef bint step(self) except -1:
        cdef Head head
        self.close_until(self.fd_at + self.fds)
        self.fds = 0
        self.record = (self.end + 7) & ~7
        if self.size - self.record < HEADER:
            self.at = self.end
            return False
        memcpy(&head, self.data + self.record, HEADER)
        if head.size < HEADER or head.size > self.size - self.record:
            raise Broken("a packet that was not checked")
        if head.fds > self.fd_count - self.fd_at:
            raise Broken("a packet that was not checked")
        self.kind = head.kind
        self.flags = head.flags
        self.cookie = head.cookie
        self.fds = head.fds
        self.at = self.record + HEADER
        self.end = self.record + head.size
        return True

    cdef void close_until(self, Py_ssize_t place) noexcept:
        """Descriptors of ours that nobody has claimed."""
        while self.fd_at < place:
            let_go(self.numbers[self.fd_at], self.payer)
            self.fd_at += 1

    cpdef Py_ssize_t left(self) noexcept:
        return self.end - self.at

    cdef unsigned char *take(self, Py_ssize_t count) except NULL:
        """The next bytes of the record's body."""
        cdef unsigned char *place = self.data + self.at
        if count < 0 or count > self.end - self.at:
            raise Malformed("a record that is too short")
        self.at += count
        return place

    cpdef unsigned int u32(self) except? 0xFFFFFFFF:
        cdef unsigned int number
        memcpy(&number, self.take(4), 4)
        return number

    cpdef unsigned long long u64(self) except? 0xFFFFFFFFFFFFFFFF:
        cdef unsigned long long number
        memcpy(&number, self.take(8), 8)
        return number

    cpdef long long i64(self) except? -1:
        cdef long long number
        memcpy(&number, self.take(8), 8)
        return number

    cpdef bytes payload(self, Py_ssize_t size):
        return PyBytes_FromStringAndSize(<char *>self.take(size), size)

    cpdef Descriptors descriptors(self):
        cdef list numbers
        cdef Py_ssize_t place
        if self.fds == 0:
            return None
        numbers = []
        for place in range(self.fd_at, self.fd_at + self.fds):
            numbers.append(self.numbers[place])
        self.fd_at += self.fds
        self.fds = 0
        return Descriptors(numbers, None, self.payer)

    cpdef Py_ssize_t unclaimed(self) noexcept:
        return self.fd_count - self.fd_at

    cpdef int descriptor(self, Py_ssize_t place) except -1:
        if place < 0 or place >= self.fds:
            raise Malformed("no such descriptor")
        return self.numbers[self.fd_at + place]

    # What goes.

    cpdef bint room(self, Py_ssize_t size, Py_ssize_t fds) noexcept:
        cdef Py_ssize_t capacity = self.capacity if self.size else PACKET
        return (
            size <= capacity - ((self.size + 7) & ~7) - HEADER
            and fds <= FDS - self.fd_count
        )

    cpdef int begin(self, int kind, int flags, unsigned int cookie, Py_ssize_t size) except -1:
        cdef Head *head
        if size < 0 or not self.room(size, 0) or self.incoming or self.at != self.end:
            raise ValueError("no room for a record")
        self.write_here()
        self.record = (self.size + 7) & ~7
        memset(self.data + self.size, 0, self.record - self.size)
        head = <Head *>(self.data + self.record)
        head.size = HEADER + <unsigned int>size
        head.kind = kind
        head.flags = flags
        head.cookie = cookie
        head.fds = 0
        self.at = self.record + HEADER
        self.size = self.end = self.at + size
        return 0

    cdef unsigned char *space(self, Py_ssize_t count) except NULL:
        """Where the next bytes of the record go."""
        cdef unsigned char *place = self.data + self.at
        if count > self.end - self.at or self.incoming:
            raise ValueError("more than the record takes")
        self.at += count
        return place

    cpdef int put32(self, unsigned int number) except -1:
        memcpy(self.space(4), &number, 4)
        return 0

    cpdef int put64(self, unsigned long long number) except -1:
        memcpy(self.space(8), &number, 8)
        return 0

    cpdef int put(self, bytes payload) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
        memcpy(self.space(size), PyBytes_AS_STRING(payload), size)
        return 0

    cpdef int attach(self, object fds, list numbers) except -1:
        cdef Py_ssize_t count = len(numbers)
        if count > FDS - self.fd_count or not self.size or self.incoming:
            raise ValueError("more descriptors than the packet takes")
        if self.holds is None:
            self.holds = []
        self.holds.append(fds)
        for number in numbers:
            if not self.gain(number):
                raise MemoryError
        (<Head *>(self.data + self.record)).fds += <unsigned int>count
        return 0

    cpdef int data_on(
        self, int flags, unsigned long long stamp, unsigned long long sender,
        unsigned long long node, unsigned long long cookie, unsigned int uid, unsigned int pid,
        Py_ssize_t handles, Py_ssize_t size
    ) except -1:
        cdef Data *data
        self.begin(DATA, flags, 0, sizeof(Data) + 16 * handles + (0 if flags & 2 else size))
        data = <Data *>self.space(sizeof(Data))
        data.stamp = stamp
        data.sender = sender
        data.node = node
        data.cookie = cookie
        data.uid = uid
        data.pid = pid
        data.handles = <unsigned int>handles
        data.zero = 0
        data.size = size
        return 0

    cpdef int handle(self, unsigned long long id, unsigned int flags) except -1:
        self.put64(id)
        self.put32(flags)
        self.put32(0)
        return 0

    cpdef int notice(
        self, int kind, unsigned long long stamp, unsigned long long sender,
        unsigned long long about, unsigned long long cookie
    ) except -1:
        self.begin(kind, 0, 0, 32)
        self.put64(stamp)
        self.put64(sender)
        self.put64(about)
        self.put64(cookie)
        return 0

    cpdef int clear(self) except -1:
        self.drop()
        return 0

    # Where it lies.

    cdef bint gain(self, int number) noexcept:
        """One descriptor more. False if there is no room for it."""
        if self.numbers == NULL:
            self.numbers = <int *>PyMem_Malloc(FDS * sizeof(int))
        if self.numbers == NULL or self.fd_count == FDS:
            return False
        self.numbers[self.fd_count] = number
        self.fd_count += 1
        return True

    cdef int write_here(self) except -1:
        """The first record: into the buffer for what goes, which another packet may have to leave."""
        global outside
        if self.size:
            return 0
        if outside != NULL and outside != <PyObject *>self:
            (<Packet>outside).own()
        outside = <PyObject *>self
        self.data = <unsigned char *>outward
        self.capacity = PACKET
        return 0

    cdef int own(self) except -1:
        """Leave the buffer: what it holds is in memory of one's own from here on."""
        cdef unsigned char *memory
        global inside, outside
        if self.memory != NULL:
            return 0
        memory = <unsigned char *>PyMem_Malloc(self.size + 1)
        if memory == NULL:
            raise MemoryError
        memcpy(memory, self.data, self.size)
        self.data = self.memory = memory
        self.capacity = self.size
        if inside == <PyObject *>self:
            inside = NULL
        if outside == <PyObject *>self:
            outside = NULL
        return 0

    cdef void drop(self) noexcept:
        """Nothing is here any more."""
        global inside, outside
        if self.incoming:
            self.close_until(self.fd_count)
        if inside == <PyObject *>self:
            inside = NULL
        if outside == <PyObject *>self:
            outside = NULL
        if self.memory != NULL:
            PyMem_Free(self.memory)
        if self.numbers != NULL:
            PyMem_Free(self.numbers)
        self.memory = self.data = NULL
        self.numbers = NULL
        self.holds = None
        self.size = self.capacity = self.record = self.at = self.end = 0
        self.fds = 0
        self.fd_count = self.fd_at = 0
        self.incoming = self.cut = False


cdef unsigned char *vacant() except NULL:
    """The buffer for what comes: PACKET bytes. Whose it was has memory of its own from here on."""
    if inside != NULL:
        (<Packet>inside).own()
    return <unsigned char *>inward


cdef Packet arrived(Py_ssize_t size, bint cut):
    """So much came into that buffer; `cut`: something was lost."""
    global inside
    cdef Packet packet = Packet.__new__(Packet)
    inside = <PyObject *>packet
    packet.data = <unsigned char *>inward
    packet.size = packet.capacity = size
    packet.incoming = True
    packet.cut = cut
    return packet
