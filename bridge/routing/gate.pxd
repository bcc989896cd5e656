cimport cython

from bridge.routing.client cimport Client
from bridge.wire.frame cimport Frame
from policy.clause cimport Question
from policy.verdict cimport Case, Standing, Verdict

@cython.final
cdef class Gate:
    cdef readonly object policy
    cdef public bint permissive
    cdef readonly Standing own
    cdef readonly Question question
    cdef readonly Py_ssize_t depth
    cdef readonly object denials
    cdef public object mediator
    cdef public object grants
    cpdef adopt(self, object policy)
    cpdef admit(self, Client client)
    cpdef set_permissive(self, bint on, Client client)
    cpdef Standing standing(self, Client client)
    @cython.locals(target=Standing, verdict=Verdict)
    cdef Verdict between(self, Client sender, Client receiver, Frame frame, bint requested)
    @cython.locals(verdict=Verdict)
    cdef Verdict verdict(self, Standing source, Standing target)
    @cython.locals(verdict=Verdict)
    cpdef check(self, Client sender, Client receiver, Frame frame, bint requested)
    @cython.locals(source=Standing)
    cpdef bint entitled(self, Frame frame, Standing target) except -1
    @cython.locals(verdict=Verdict, slot=cython.int)
    cpdef bint reaches(self, Client sender, Client receiver, Frame frame) except -1
    @cython.locals(verdict=Verdict)
    cpdef bint overhears(self, Client sender, Client receiver, Frame frame) except -1
    cpdef objection(self, Client sender, Client receiver, Frame frame)
    cpdef unasked(self, Client sender, Client receiver, Frame frame)
    cpdef list mediated(self, Client sender, list receivers, Frame frame)
    cpdef mediate(self, Client sender, Client receiver, Frame frame, bint requested)
    cdef int ask(self, Verdict verdict, Frame frame, bint requested, bint eavesdropping) except -1
    @cython.locals(question=Question)
    cdef look(self, Frame frame, bint requested, bint eavesdropping)

@cython.locals(case=Case)
cdef bint is_allowed(Verdict verdict, int slot, Frame frame) except -1
cdef bint is_broadcast(Frame frame) except -1
