"""Addresses: what ours understands by one is what dbus-daemon listens on, or its complaint."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.address import (
    AddressError,
    Kind,
    ListenAddress,
    Unreachable,
    escape,
    listen_address,
    parse,
    unescape,
)
from tests.buses import command, environment, first_line

GUID = "0123456789abcdef0123456789abcdef"
DIR = "/DIR"  # stands for a directory with a short name: 99 bytes are all there are
RANDOM = "dbus-[A-Za-z0-9]{10}"
TWO = (
    'Could not parse server address: cannot specify two of "path", "tmpdir", "abstract",'
    ' "runtime" and "dir" at the same time'
)
NONE = (
    "Server address of type unix was missing argument path or tmpdir or abstract or runtime or dir"
)
EMPTY = "'=' character not found or has no value following it"
COLON = "Address does not contain a colon"
LONG = "x" * (99 - len("/tmp/bus1-12345678/"))


class Row(NamedTuple):
    """An address to listen on; what is printed (a pattern, before the guid), or the complaint."""

    address: str
    printed: str | None = None
    error: str | None = None


def prints(address: str, printed: str | None = None) -> Row:
    return Row(address, printed or re.escape(address))


TABLE = [
    prints(f"unix:path={DIR}/s"),
    prints(f"unix:path={DIR}/s,guid=zz,foo=bar", f"unix:path={DIR}/s"),
    prints(f"unix:path={DIR}/s,path={DIR}/t", f"unix:path={DIR}/s"),
    prints(f"unix:path={DIR}/s,", f"unix:path={DIR}/s"),
    prints(f"unix:path={DIR}/s;", f"unix:path={DIR}/s"),
    prints(f"unix:path={DIR}/./s"),
    prints(f"unix:path={DIR}/s;unix:path={DIR}/t", f"unix:path={DIR}/s"),
    prints(f"unix:dir={DIR}", f"unix:path={DIR}/{RANDOM}"),
    prints(f"unix:tmpdir={DIR}", f"unix:path={DIR}/{RANDOM}"),
    prints(f"unix:abstract={DIR}/abstract"),
    prints("unix:runtime=yes", f"unix:path={DIR}/run/bus"),
    prints(f"unix:path={DIR}/a%20b%3d%c3%a4"),
    prints(f"unix:path={DIR}/%C3%A4%2B", f"unix:path={DIR}/%c3%a4%2b"),
    prints(f"unix:path={DIR}/%5cq%2a%2d_.", re.escape(f"unix:path={DIR}/\\q*-_.")),
    prints(f"unix:path={DIR}/{LONG}"),
    Row(f"unix:path={DIR}/{LONG}x", error="Socket name too long"),
    prints(f"unix:abstract={'x' * 98}"),
    Row(f"unix:abstract={'x' * 99}", error="Abstract socket name too long"),
    Row(f"unix:tmpdir={DIR}/{LONG[:-5]}", error="Socket name too long"),
    prints(f"foo:a=b;unix:path={DIR}/s", f"unix:path={DIR}/s"),
    prints(f"unix:path={DIR}/{LONG}x;unix:path={DIR}/s", f"unix:path={DIR}/s"),
    Row("foo", error=COLON),
    Row("unix", error=COLON),
    Row(";", error=COLON),
    Row(f";unix:path={DIR}/s", error=COLON),
    Row(f"unix:path={DIR}/s;;unix:path={DIR}/t", error=COLON),
    Row(f"unix:path={DIR}/s;foo", error=COLON),
    Row("foo:", error="Unknown address type 'foo'"),
    Row(":", error="Unknown address type ''"),
    Row(f"UNIX:path={DIR}/s", error="Unknown address type 'UNIX'"),
    Row("autolaunch:", error="Unknown address type 'autolaunch'"),
    Row("unixexec:path=/bin/true", error="Unknown address type 'unixexec'"),
    Row("foo:a=b;bar:a=b", error="Unknown address type 'foo'"),
    Row("foo:bar", error=EMPTY),
    Row("foo:bar=", error=EMPTY),
    Row("unix:path", error=EMPTY),
    Row("unix:path=", error=EMPTY),
    Row("unix:=x", error=EMPTY),
    Row(f"unix:path={DIR}/s,,x=y", error=EMPTY),
    Row(f"unix:path={DIR}/s;foo:bar", error=EMPTY),
    Row("unix:", error=NONE),
    Row("unix:foo=bar", error=NONE),
    Row(f"unix:foo=bar;unix:path={DIR}/s", error=NONE),
    Row(f"unix:path={DIR}/s,abstract=x", error=TWO),
    Row(f"unix:path={DIR}/s,dir={DIR}", error=TWO),
    Row(f"unix:tmpdir={DIR},dir={DIR}", error=TWO),
    Row(f"unix:runtime=yes,path={DIR}/s", error=TWO),
    Row(
        "unix:runtime=no",
        error='Could not parse server address: if given, the only value allowed for "runtime" is'
        ' "yes"',
    ),
    Row("unix:path=/a b", error="In D-Bus address, character ' ' should have been escaped"),
    Row("unix:path=/a=b", error="In D-Bus address, character '=' should have been escaped"),
    Row(
        "unix:path=/a%2",
        error="In D-Bus address, percent character was not followed by two hex digits",
    ),
]


def ours(text: str, variables: dict[str, str]) -> str:
    """What we would print, without trying whether we can listen there."""
    first: Exception | None = None
    for entry in parse(text):
        try:
            return listen_address(entry, variables).connectable(GUID)
        except Unreachable as error:
            first = first or error
    raise first or AssertionError


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory for sockets, and one for XDG_RUNTIME_DIR in it."""
    directory = Path(tempfile.mkdtemp(prefix="bus1-", dir="/tmp"))
    (directory / "run").mkdir(mode=0o700)
    yield directory
    shutil.rmtree(directory)


def filled(text: str, place: Path) -> str:
    return text.replace(DIR, str(place))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.address)
def test_ours(row: Row, place: Path) -> None:
    address, variables = filled(row.address, place), {"XDG_RUNTIME_DIR": f"{place}/run"}
    if row.printed is not None:
        printed = filled(row.printed, place)
        assert re.fullmatch(f"{printed},guid={GUID}", ours(address, variables))
    else:
        with pytest.raises(AddressError) as caught:
            ours(address, variables)
        assert str(caught.value) == row.error


@pytest.mark.parametrize("kind", ["ours", "dbus-daemon"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.address)
def test_a_bus(row: Row, kind: str, place: Path) -> None:
    """It prints where it listens, or says why not in one line, and exits with 1."""
    process = subprocess.Popen(
        [
            *(*command(kind), "--session", "--nofork", "--print-address=1"),
            f"--address={filled(row.address, place)}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(place, XDG_RUNTIME_DIR=f"{place}/run"),
        cwd=place,
    )
    printed = first_line(process)
    process.terminate()
    try:
        complaint = process.communicate(timeout=10)[1].decode()
    finally:
        process.kill()
    if row.printed is not None:
        assert re.fullmatch(f"{filled(row.printed, place)},guid=[0-9a-f]{{32}}", printed)
    else:
        assert process.returncode == 1
        assert printed == ""
        assert complaint.strip().endswith(f": Failed to start message bus: {row.error}")


# ------------------------------------------------------------ where ours differs, and why


@pytest.mark.parametrize("transport", ["tcp:host=127.0.0.1,port=0", "nonce-tcp:host=127.0.0.1"])
def test_no_tcp(transport: str) -> None:
    """dbus-daemon has it; but nobody knows who connects, and everybody can read."""
    with pytest.raises(Unreachable, match="not supported"):
        ours(transport, {})


def test_no_zero_byte() -> None:
    """dbus-daemon listens on what is before it."""
    with pytest.raises(AddressError, match="zero byte"):
        parse("unix:path=/tmp/a%00b")


# -------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize("variables", [{}, {"XDG_RUNTIME_DIR": ""}])
def test_runtime_needs_its_variable(variables: dict[str, str]) -> None:
    with pytest.raises(Unreachable, match='"XDG_RUNTIME_DIR" is not set'):
        ours("unix:runtime=yes", variables)
    assert ours("unix:runtime=yes;unix:path=/x", variables) == f"unix:path=/x,guid={GUID}"


def test_systemd() -> None:
    (entry,) = parse("systemd:")
    assert listen_address(entry, {}) == ListenAddress(Kind.SYSTEMD)


def test_random_names_differ() -> None:
    (entry,) = parse("unix:dir=/tmp")
    names = {listen_address(entry, {}).value for _ in range(100)}
    assert len(names) == 100


@given(st.binary(min_size=1, max_size=90).filter(lambda raw: 0 not in raw))
def test_any_file_name_survives(raw: bytes) -> None:
    name = os.fsdecode(raw)
    assert unescape(escape(name)) == name
    address = ListenAddress(Kind.PATH, name).connectable(GUID)
    assert address.isascii()
    (entry,) = parse(address)
    assert entry == ("unix", {"path": name, "guid": GUID})


@given(st.text(st.sampled_from("unix:path=/a%20;,tmdirsecyb\0é"), max_size=60))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    with suppress(AddressError):
        entries = parse(text)
        assert entries
        for entry in entries:
            assert listen_address(entry, {"XDG_RUNTIME_DIR": "/run"}).connectable(GUID)
