"""The kernel's side of starting a program: vfork, what is set in the child, exec."""

class CannotFork(OSError):
    """There is no child: the system has no room for one more process."""

def spawn(
    words: list[bytes], environment: list[bytes], output: int, errors: int, soft: int, hard: int
) -> int:
    """Start a program; its process number. Raises OSError if it cannot be executed, ValueError
    for a NUL.

    `output` and `errors` are what it has as stdout and stderr, `soft` and `hard` how many
    descriptors it may have. The first word is a path; it is not looked for anywhere. Only the
    thread waits until the program has been found, which may take long on some file systems.
    """
