from bridge.wire.frame cimport Frame
