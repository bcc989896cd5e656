ctypedef bint (*Grammar)(const unsigned char *text, Py_ssize_t size) noexcept

cdef bint bus_name(const unsigned char *text, Py_ssize_t size) noexcept
cdef bint unique_name(const unsigned char *text, Py_ssize_t size) noexcept
cdef bint well_known_name(const unsigned char *text, Py_ssize_t size) noexcept
cdef bint namespace(const unsigned char *text, Py_ssize_t size) noexcept
cdef bint interface(const unsigned char *text, Py_ssize_t size) noexcept
cdef bint member(const unsigned char *text, Py_ssize_t size) noexcept
cdef bint object_path(const unsigned char *text, Py_ssize_t size) noexcept
cdef long long unique_number(const unsigned char *text, Py_ssize_t size) noexcept

cpdef bint is_bus_name(str text)
cpdef bint is_unique_name(str text)
cpdef bint is_well_known_name(str text)
cpdef bint is_namespace(str text)
cpdef bint is_interface(str text)
cpdef bint is_error_name(str text)
cpdef bint is_member(str text)
cpdef bint is_object_path(str text)
cpdef bint is_signature(str text)
