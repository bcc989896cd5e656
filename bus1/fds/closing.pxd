cpdef void let_go(int fd, long long payer) noexcept
cpdef void hang_up(int fd) noexcept
cpdef void put_away(int fd) noexcept
cpdef bint crowded(long long payer) noexcept
