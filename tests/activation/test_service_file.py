"""Of a service file we take what the reference takes, and nothing in one can do harm (contract F,
v35: a broken one brought another bus down)."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.activation.service import Service
from bridge.activation.service_file import LONGEST, Broken, read, without_waiting
from tests.activation.reference import Reference, text

GROUP = "[D-BUS Service]"
GOOD = f"{GROUP}\nName=a.b\nExec=/c\n"
# What a file says, and what is wrong with it; None if nothing is.
FILES: dict[str, str | None] = {
    GOOD: None,
    "": 'No "Name" key',
    f"{GROUP}\n": 'No "Name" key',
    f"{GROUP}\nName=a.b\n": 'No "Exec" key',
    f"{GROUP}\nExec=/c\n": 'No "Name" key',
    f"{GROUP}\nName=a.b\nExec=\n": None,
    f"{GROUP}\nName=a.b\nExec=/c": None,
    f"{GROUP}\nName=\nExec=/c\n": None,
    f"{GROUP}\nName=not a name\nExec=/c\n": None,
    f"{GROUP}\nName=:1.0\nExec=/c\n": None,
    f"{GROUP}\r\nName=a.b\r\nExec=/c\r\n": None,
    f"{GROUP}\rName=a.b\rExec=/c\r": None,
    f"{GROUP}\n\r\n \t\f\r\nName=a.b\nExec=/c\n": None,
    f"{GROUP}\n\r\rName=a.b\nExec=/c\n": "2: Empty key name",
    f"# c\n\n{GOOD}#\n \n": None,
    f"{GROUP}\n # c\nName=a.b\nExec=/c\n": "2: Empty key name",
    f"Name=x\n{GOOD}": "1: key=value before",
    f"[Other]\nName=x\n{GOOD}": None,
    f"{GOOD}[Other]\nName=x\n": None,
    f"{GOOD}{GROUP}\nName=x\nUser=y\n": None,
    f"{GROUP}\nName=a.b\n{GROUP}\nExec=/c\n": 'No "Exec" key',
    f"{GOOD}Name=x\nExec=/y\n": None,
    f"{GROUP} \nName=a.b\nExec=/c\n": "1: Invalid syntax for section header",
    f" {GOOD}": "1: key=value before",
    "[D-Bus Service]\nName=a.b\nExec=/c\n": 'No "Name" key',
    f"[]\n{GOOD}": "1: Invalid syntax for section header",
    f"[\n{GOOD}": "1: Invalid syntax for section header",
    f"[ ]\n{GOOD}": None,
    f"[a[b]\n{GOOD}": "1: Invalid characters in section name",
    f"[a]b]\n{GOOD}": "1: Invalid characters in section name",
    f"[é]\n{GOOD}": "1: Invalid characters in section name",
    f"[a\tb]\n{GOOD}": "1: Invalid characters in section name",
    f"{GROUP}\nName = a.b\nExec   =   /c\n": None,
    f"{GROUP}\nName\t= a.b\nExec=/c\n": "2: Invalid characters in key name",
    f"{GROUP}\nName=\ta.b \nExec=/c\n": None,
    f"{GOOD}x\n": "4: No '=' in key/value pair",
    f"{GOOD}x  \n": "4: No '=' in key/value pair",
    f"{GOOD}=x\n": "4: Empty key name",
    f"{GOOD}x_y=z\n": "4: Invalid characters in key name",
    f"{GOOD}é=z\n": "4: Empty key name",
    f"{GOOD}x y=z\n": "4: Invalid characters in key name",
    f"{GOOD}User[de]=x\n": None,
    f"{GOOD}User[\n": None,
    f"{GOOD}User [de]=x\n": "4: Invalid characters in key name",
    f"{GROUP}\nName[de]=a.b\nExec=/c\n": 'No "Name" key',
    f"{GOOD}User=a\\sb\\tc\\nd\\re\\\\f\n": None,
    f"{GOOD}User=\\q\n": "4: Text to be unescaped had invalid escape",
    f"{GOOD}Other=x\\\n": "4: Text to be unescaped ended in",
    f"{GOOD}[Other]\nx=\\q\n": "5: Text to be unescaped had invalid escape",
    f"{GOOD}SystemdService=s\nAssumedAppArmorLabel=l\nUser=u\n": None,
    f"{GOOD}User=\n": None,
    f"\ufeff{GOOD}": "1: key=value before",
    f"{GOOD}x=\ufffe\U0010ffff\n": None,
    f"{GOOD}\0": "invalid UTF-8",
    f"{GOOD}#\0\n": "invalid UTF-8",
    f"{GOOD}#\ud800\n": "invalid UTF-8",
    f"{GOOD}#" + "x" * (LONGEST - len(GOOD) - 1): None,
    f"{GOOD}#" + "x" * (LONGEST - len(GOOD)): "too large",
}
BYTES = (b"\xff", b"#\xc0\x80\n", b"#\xf4\x90\x80\x80", b"#\xc3")
LINES = (
    *(GROUP, GROUP, "Name=%", "Name=%", "Name = %", "Exec=/a", "Exec=/a", "Exec", "Name[x]=y"),
    *("[a]", "[]", "[a[]", "#", " #", "", " ", "\t\f", "\r", "\v", "x=\\s", "x=\\", "\\", "=", "é"),
    *("x y=", "x =", " x=", "x_=", "\ufeff", "x=\ufffe", "\0", "x\0=", "x=\0", "\ud800"),
)
ENDS = (*["\n"] * 12, "\r\n", "\r", "\r\r", "\n\n", "")


def encoded(content: str) -> bytes:
    return content.encode(errors="surrogatepass")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.service"


def name_in(path: Path) -> str | None:
    """The name of its service; None if it has none."""
    try:
        return read(str(path)).name
    except Broken:
        return None


@pytest.mark.parametrize("content", FILES, ids=lambda content: repr(content)[:60])
def test_files(path: Path, content: str) -> None:
    path.write_bytes(encoded(content))
    wrong = FILES[content]
    if wrong is None:
        assert read(str(path)).file == str(path)
    else:
        with pytest.raises(Broken, match="^" + wrong if wrong[0].isdigit() else wrong):
            read(str(path))


def test_all_keys(path: Path) -> None:
    path.write_text(f"{GROUP}\nName=a.b\nExec=/c 'd e'\nUser=a\\sb\nSystemdService=s\n"
                    "AssumedAppArmorLabel=l\n")  # fmt: skip
    assert read(str(path)) == Service(
        "a.b", "/c 'd e'", ("/c", "d e"), "a b", "s", "l", str(path)
    )  # fmt: skip
    path.write_text(text("a.b", "'"))
    wrong = "Unclosed quotes in command line"
    assert read(str(path)) == Service("a.b", "'", (), None, None, None, str(path), wrong)


def test_the_table_is_the_references(reference: Reference) -> None:
    """Each has its own name in it, so that all can be asked about at once."""
    contents = [
        *(
            encoded(each.replace("a.b", f"a.n{n}"))
            for n, each in enumerate(FILES)
            if len(each) < 999
        ),
        *(encoded(text(f"b.n{n}")) + each for n, each in enumerate(BYTES)),
    ]
    agree(reference, contents)


@pytest.mark.parametrize("size", [LONGEST, LONGEST + 1])
def test_the_longest_is_the_references(reference: Reference, size: int) -> None:
    content = f"{text('a.b')}#".encode().ljust(size, b"x")
    assert agree(reference, [content]) == ({"a.b"} if size == LONGEST else set())


def test_any_lines_are_the_references(reference: Reference) -> None:
    chance = random.Random(4)
    contents = []
    for number in range(3000):
        lines = [GROUP, f"Name=a.n{number}", "Exec=/a"] if chance.random() < 0.6 else []
        for _ in range(chance.randrange(5)):
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(LINES))
        whole = "".join(line.replace("%", f"b.n{number}") + chance.choice(ENDS) for line in lines)
        content = encoded(whole)
        contents.append(content if chance.random() < 0.9 else content[: chance.randrange(90)])
    agree(reference, contents)


def agree(reference: Reference, contents: list[bytes]) -> set[str]:
    """The reference finds the same services in them: their names."""
    theirs = reference.names({f"{n}.service": each for n, each in enumerate(contents)})
    ours = {each.name: name_in(each) for each in reference.directory.iterdir()}
    assert {name for name in ours.values() if name is not None} == theirs
    return theirs


@given(content=st.binary() | st.text().map(encoded) | st.text("[]D=a#\\\n\r \0").map(encoded))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("before", ["", GOOD, f"{GROUP}\n"])
def test_nothing_but_a_complaint(path: Path, before: str, content: bytes) -> None:
    path.write_bytes(before.encode() + content)
    assert outcome(path)


def outcome(path: Path) -> str | Service:
    try:
        return read(str(path))
    except Broken as error:
        return str(error)


@pytest.mark.parametrize("content", ["\r" * LONGEST, "\n" * LONGEST, "a" * LONGEST])
def test_long_ones_do_not_take_long(path: Path, content: str) -> None:
    path.write_text(content, newline="")
    with pytest.raises(Broken):
        read(str(path))


@pytest.mark.parametrize("kind", ["pipe", "directory", "device", "link to a device", "socket"])
def test_what_is_no_file_is_not_waited_for(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, 0o140644)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(Broken, match="not a regular file"):
        read(str(path))


def test_what_became_a_pipe_meanwhile_is_not_waited_for(path: Path) -> None:
    path.touch()
    fd = without_waiting(str(path), os.O_RDONLY)
    assert not os.get_blocking(fd)
    os.close(fd)


def test_what_cannot_be_read(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(str(path))
    path.symlink_to(path)
    with pytest.raises(OSError, match="Too many levels"):
        read(str(path))
    path.unlink()
    target = path.with_name("target")
    target.write_text(text("a.b"))
    path.symlink_to(target)
    assert read(str(path)).name == "a.b"
