cimport cython

from bus1.node cimport Node
from bus1.peer cimport Peer
from bus1.seed cimport Seed

@cython.final
cdef class Bound:
    cdef readonly object uid
    cdef readonly frozenset nodes

@cython.final
cdef class Bounds:
    cdef readonly Node bridge
    cdef readonly dict table
    cpdef begin(self, Peer peer, object uid)
    @cython.locals(seed=Seed, nodes=frozenset, known=Bound, bound=Bound)
    cpdef equip(self, Peer peer, Peer maker)
    @cython.locals(bound=Bound)
    cpdef check(self, unsigned long long number, Node node)
    cpdef end(self, Peer peer)
