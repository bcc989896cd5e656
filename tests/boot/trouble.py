"""What keeps a machine from being made or booted."""


class Trouble(Exception):
    """One or more lines for who wanted the machine."""
