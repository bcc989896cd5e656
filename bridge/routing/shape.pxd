cimport cython

from bridge.routing.rule cimport (
    Rule, mix_interface, mix_member, mix_path, mix_sender, mix_values,
)
from bridge.wire.frame cimport Frame

@cython.final
cdef class Question:
    cdef readonly Frame frame
    cdef readonly str interface
    cdef readonly str member
    cdef readonly str path
    cdef readonly list senders
    cdef readonly list arguments
    cdef readonly Py_ssize_t depth
    cdef public long long asked
    cpdef open(self, Frame frame, list senders, Py_ssize_t depth)
    cpdef close(self)
    @cython.locals(number=cython.Py_ssize_t, argument=tuple)
    cdef str argument(self, long place)
    @cython.locals(at=cython.Py_ssize_t, place=long, text=str, wanted=str)
    cpdef bint fits(self, Rule rule) except -1

cpdef bint fits(long mode, str wanted, str text) except -1
cpdef bint within(str path, str namespace) except -1
cpdef tuple searched(Rule rule)
cpdef tuple shape_of(Rule rule)

@cython.final
cdef class Shape:
    cdef readonly tuple key
    cdef readonly tuple places
    cdef readonly bint partial
    cdef readonly bint interface
    cdef readonly bint member
    cdef readonly bint sender
    cdef readonly bint path
    cdef readonly bint namespace
    cdef readonly bint inner
    cdef readonly Py_UCS4 border
    cdef readonly Py_ssize_t opened
    cdef readonly Rule probe
    cdef readonly long long form
    cdef readonly dict entries
    cdef readonly dict members
    cdef readonly dict firsts
    cdef readonly dict texts
    cdef readonly list ordered
    cdef readonly dict lengths
    @cython.locals(digest=cython.longlong, probe=Rule)
    cdef search(self, Question question, list hits)
    @cython.locals(text=str)
    cdef search_namespaces(self, Question question, long long digest, list hits)
    @cython.locals(values=list, text=str, place=long)
    cdef search_values(self, Question question, long long digest, list hits)
    @cython.locals(name=str)
    cdef ask(self, Question question, long long digest, list hits)
    @cython.locals(rule=Rule)
    cdef take(self, Question question, list hits)
    @cython.locals(size=cython.Py_ssize_t, length=cython.Py_ssize_t, part=str)
    cdef list fitting(self, str text)
    @cython.locals(at=cython.Py_ssize_t, longer=str)
    cdef below(self, str text, list found)
    cpdef dict table(self, Rule rule)
    cpdef enter(self, Rule rule)
    cpdef strike(self, Rule rule)
    cdef str first(self, Rule rule)
    cdef str open_value(self, Rule rule)
    cdef Rule part(self, Rule rule)

cpdef bint more(dict counts, object key) except -1
cpdef bint less(dict counts, object key) except -1
