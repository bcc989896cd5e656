cdef extern from "<time.h>" nogil:
    ctypedef struct timer_t:
        pass

cdef struct Alarm:
    timer_t clock
    bint works  # the kernel had one for us
    bint rings

cdef void heed() noexcept
cdef bint begin(void *(*work)(void *) noexcept nogil, void *argument) noexcept nogil
cdef void set_up(Alarm *alarm) noexcept nogil
cdef void ring_every(Alarm *alarm, long nanoseconds) noexcept nogil
