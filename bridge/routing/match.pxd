cimport cython

from bridge.routing.bucket cimport Bucket, file, unfile
from bridge.routing.client cimport Client
from bridge.routing.name cimport Name, owns
from bridge.routing.question cimport Question, within
from bridge.routing.rule cimport Rule
from bridge.routing.shape cimport Shape, shape_of
from bridge.routing.values cimport less, more
from bridge.wire.frame cimport Frame

@cython.final
cdef class Index:
    cdef readonly long long count
    cdef readonly long long most
    cdef readonly long long most_of_one
    cdef readonly bint eavesdropping
    cdef readonly dict shapes
    cdef readonly list order
    cdef readonly dict overhearing
    cdef readonly dict senders
    cdef readonly dict naming
    cdef readonly Question question
    cdef readonly Py_ssize_t depth
    cdef readonly long long looked
    cdef readonly long long stamp
    @cython.locals(hits=list, question=Question, shape=Shape)
    cpdef list broadcast(self, Frame frame, Client sender)
    @cython.locals(hits=list, question=Question, rule=Rule)
    cpdef list eavesdrop(self, Frame frame, Client sender, Client receiver)
    @cython.locals(found=list, name=Name)
    cdef list names_of(self, Client sender)
    @cython.locals(found=list, client=Client, bucket=Bucket)
    cdef list clients(self, list hits, Client but)
    cdef mark(self, Client client, Client but, list found)
    @cython.locals(question=Question, frame=Frame, path=str, destination=str)
    cdef bint overhears(self, Rule rule, Client sender, Client receiver) except -1
    @cython.locals(rules=dict)
    cpdef add(self, Rule rule, Client client)
    @cython.locals(rules=dict)
    cpdef bint remove(self, Rule rule, Client client) except -1
    cpdef drop(self, Client client)
    @cython.locals(rules=dict, count=cython.longlong)
    cdef forget(self, Rule rule, Client client)
    @cython.locals(shape=Shape)
    cdef Shape shape(self, Rule rule)
    @cython.locals(shape=Shape, table=dict, name=str)
    cdef Rule subscribe(self, Rule rule, Client client)
    @cython.locals(shape=Shape, name=str, others=dict)
    cdef unsubscribe(self, Rule rule, Client client)

cpdef bint is_called(Client client, str text, str nobody) except -1
cdef list unique_names(Rule rule)
