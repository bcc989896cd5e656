"""Numbers as C reads them: blanks, a sign, three bases, and whatever stands behind."""

import ctypes

import pytest

from policy.integer import begins, within

TEXTS = (
    *(
        "0",
        "7",
        "-7",
        "+7",
        " \t\n\v\f\r7",
        "7 ",
        "7x",
        "-0",
        "00",
        "010",
        "08",
        "-08",
        "0x",
        "0xg",
    ),
    *(
        "0x1F",
        "0X1f",
        "-0x10",
        "0x0x1",
        "1_0",
        "1e3",
        "0b1",
        "0o7",
        "",
        " ",
        "-",
        "+-7",
        "- 7",
        "x",
    ),
    *("\u0663", "7\u0663", "\u00a07", "0" * 40 + "7", "0x" + "0" * 40 + "7"),
    *("9223372036854775807", "-9223372036854775807", "9223372036854775806"),
)
libc = ctypes.CDLL(None, use_errno=True)
libc.strtol.restype = ctypes.c_long
libc.strtol.argtypes = (ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int)


@pytest.mark.parametrize("text", TEXTS)
def test_as_c_reads_it(text: str) -> None:
    start = ctypes.c_char_p(text.encode())
    end = ctypes.c_char_p()
    number = libc.strtol(start, ctypes.byref(end), 0)
    rest = (end.value or b"").decode()
    # A later C library may know 0b as a base, which dbus-daemon was not built for.
    number, rest = (0, "b1") if text == "0b1" else (number, rest)
    assert begins(text) == (None if rest == text else (number, rest))


@pytest.mark.parametrize("text", ["9" * 21, "9" * 100_000, "x", ""])
def test_what_is_no_number_of_use(text: str) -> None:
    assert begins(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("-1", None), ("0", 0), ("5", 5), ("6", None), ("0x5 and more", 5), ("0x" + "f" * 99, None)],
)
def test_a_number_within(text: str, number: int | None) -> None:
    assert within(text, 5) == number
