"""File descriptors that programs send to each other: who has them, and how they are closed."""
