"""Texts that anybody may have chosen, made fit for a line of a log and for a terminal: nothing in
them ends the line, or does what is not seen.
"""


def printable(text: str) -> str:
    """With a question mark for each character that cannot be seen: as long as before."""
    return "".join(each if each.isprintable() else "?" for each in text)


def escaped(text: str) -> str:
    """With what each such character is: for names of files, which people have to find."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
