cimport cython

@cython.final
cdef class Limits:
    cdef readonly long long bytes, messages, handles, fds

@cython.final
cdef class User:
    cdef readonly long long uid
    cdef public Limits limits
    cdef readonly long long bytes, messages, handles, fds
    cdef readonly int actors, peers, debts
    cdef dict users
    cdef readonly dict shares
    cdef Share last
    @cython.locals(share=Share)
    cpdef Share share(self, User actor)
    cpdef void join(self) noexcept
    cpdef leave(self)
    cpdef settle(self)
    cpdef forget(self, User actor)

@cython.final
cdef class Share:
    cdef readonly User user
    cdef readonly User actor
    cdef readonly Share whole
    cdef readonly long long bytes, messages, handles, fds
    cpdef bint empty(self) noexcept
    cdef void add(self, long long bytes, long long messages, long long handles, long long fds) noexcept

@cython.final
cdef class Account:
    cdef readonly User user
    cdef readonly Share own
    cdef public Limits limits
    cdef readonly long long bytes, messages, handles, fds
    cdef readonly int actors
    cdef dict shares
    cdef Share last
    cdef readonly long long most_bytes, most_fds
    @cython.locals(share=Share)
    cpdef Share share(self, User actor)
    @cython.locals(share=Share, shares=dict, old=dict)
    cdef Share admit(self, User actor)
    cpdef bint take(self, Share share, long long bytes, long long messages, long long handles, long long fds)
    @cython.locals(whole=Share)
    cpdef void give(self, Share share, long long bytes, long long messages, long long handles, long long fds)
    cpdef adopt(self, Share share, long long handles)
    @cython.locals(whole=Share)
    cdef void begin(self, Share share) noexcept
    @cython.locals(user=User, most=Limits, hard=Limits, whole=Share, parts=cython.longlong, here=cython.longlong)
    cdef bint may_take(self, Share share, long long bytes, long long messages, long long handles, long long fds) noexcept
    @cython.locals(user=User, whole=Share)
    cdef void add(self, Share share, long long bytes, long long messages, long long handles, long long fds) noexcept

cdef bint fits(long long charge, long long left, long long whole, long long parts, long long room, long long share, long long here) noexcept
