cpdef int spawn(
    list words, list environment, int output, int errors, unsigned long long soft,
    unsigned long long hard
) except -1
