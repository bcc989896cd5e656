from bridge.wire.frame cimport Descriptors, Frame
