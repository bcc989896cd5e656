cimport cython

from bridge.routing.client cimport Client
from bridge.routing.name cimport Name, Place, owned

@cython.final
cdef class Names:
    cdef readonly dict clients
    cdef readonly dict table
    cdef readonly long long joined
    cdef readonly long long places
    cdef readonly long long most
    cdef readonly long long most_of_one
    cpdef join(self, Client client)
    cpdef leave(self, Client client)
    cpdef Client client(self, long long number)
    @cython.locals(name=Name, client=Client)
    cpdef Client owner(self, str text)
    @cython.locals(name=Name, owner=Client)
    cpdef list queue(self, str text)
    cpdef list owned(self, Client client)
    @cython.locals(client=Client)
    cpdef list listing(self)
    cpdef long long count(self)
    cpdef check(self, Client client, str text)
    @cython.locals(name=Name, place=Place, held=cython.longlong)
    cpdef tuple request(self, Client client, str text, unsigned int flags, long long limit)
    @cython.locals(name=Name)
    cpdef tuple release(self, Client client, str text)
    cpdef list drop(self, Client client)
    @cython.locals(name=Name)
    cpdef object drop_newest(self, Client client)
    @cython.locals(place=Place)
    cdef Place _wait(self, Name name, Client client, unsigned int flags)
    @cython.locals(place=Place)
    cdef bint _withdraw(self, Name name, Client client) except -1
    @cython.locals(old=Client, flags=cython.uint)
    cdef object _replace(self, Name name, Place place)
    @cython.locals(old=Client)
    cdef object _pass_on(self, Name name)
    cdef _enter(self, Client client, Name name)
    cdef _strike(self, Client client, Name name)
    @cython.locals(held=cython.longlong)
    cdef _count(self, Client client)
