# cython: language_level=3
"""File descriptors on their way, and who has them. It knows no messages."""

cimport cython

from bus1.fds.closing cimport let_go


@cython.final
@cython.no_gc
cdef class Descriptors:
    """Closed when the last reference goes, unless they have another owner, who lives as long. The
    payer is the user who sent them."""

    def __init__(self, list numbers not None, object owner=None, long long payer=0):
        self.numbers = numbers
        self.owner = owner
        self.payer = payer

    def __len__(self):
        return len(self.numbers)

    def __dealloc__(self):
        if self.numbers is not None and self.owner is None:
            close_all(self.numbers, self.payer)


cdef void close_all(list numbers, long long payer) noexcept:
    for number in numbers:
        let_go(<int>number, payer)
