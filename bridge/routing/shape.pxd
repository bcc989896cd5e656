cimport cython

from bridge.routing.question cimport Question
from bridge.routing.rule cimport (
    Rule, mix_interface, mix_member, mix_path, mix_sender, mix_values,
)
from bridge.routing.values cimport Values, less, more

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
    cdef readonly Py_ssize_t opened
    cdef readonly Rule probe
    cdef readonly long long form
    cdef readonly dict entries
    cdef readonly dict members
    cdef readonly dict firsts
    cdef readonly Values values
    @cython.locals(digest=cython.longlong, probe=Rule)
    cdef search(self, Question question, list hits)
    @cython.locals(fitting=Values, text=str)
    cdef search_namespaces(self, Question question, long long digest, list hits)
    @cython.locals(fitting=Values, values=list, text=str, place=long)
    cdef search_values(self, Question question, long long digest, list hits)
    @cython.locals(name=str)
    cdef ask(self, Question question, long long digest, list hits)
    @cython.locals(rule=Rule)
    cdef take(self, Question question, list hits)
    cpdef dict table(self, Rule rule)
    cpdef enter(self, Rule rule)
    cpdef strike(self, Rule rule)
    cdef str first(self, Rule rule)
    cdef str open_value(self, Rule rule)
    cdef Rule part(self, Rule rule)
