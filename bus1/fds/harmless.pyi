"""Which descriptors may be closed at once: those whose closing cannot wait for anybody. It closes
nothing."""
