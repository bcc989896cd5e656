from bus1.native.packet cimport Packet

cpdef Packet receive(int fd, long long payer=*)
cpdef bint send(int fd, Packet packet) except -1
