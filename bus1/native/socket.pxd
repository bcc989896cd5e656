from bus1.native.packet cimport Packet

cpdef Packet receive(int fd)
cpdef bint send(int fd, Packet packet) except -1
