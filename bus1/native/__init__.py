"""The native protocol: a peer of the bus in another process. PROTOCOL.md says how it speaks."""
