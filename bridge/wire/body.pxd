from bridge.wire.frame cimport Frame

cpdef tuple unpack(Frame frame)
