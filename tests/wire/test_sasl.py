"""The handshake: the same dialogues with ours without a socket, with ours, and with dbus-daemon.

Invariant: whatever a client sends, in whatever pieces, gets an answer or AuthFailed; nobody is
authorised without OK; and no more than 16 KiB and one read are ever held.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.wire.sasl import MAX_LINE, AuthFailed, Sasl
from tests.buses import Bus, start

UID = os.getuid()
GUID = "0123456789abcdef0123456789abcdef"


def hexed(text: str) -> str:
    return text.encode().hex()


WORDS = {
    "<me>": hexed(str(UID)),
    "<other>": hexed(str(UID + 1)),
    "<name>": hexed("root"),
    "<lf>": "\n",
}

OPEN, CLOSED, BEGUN = "open", "closed", "begun"


class Dialogue(NamedTuple):
    """C: the client sends a line, C| it sends this without a line's end, S: the server answers.

    The NUL comes first by itself. In the end the server still listens to lines, has closed,
    or the client is on the bus.
    """

    name: str
    text: str
    end: str


DIALOGUES = [
    Dialogue("nothing", "", OPEN),
    Dialogue("external", "C: AUTH EXTERNAL <me>\nS: OK\nC: BEGIN", BEGUN),
    Dialogue(
        "external, asked for the identity and trusting the kernel",
        "C: AUTH EXTERNAL\nS: DATA\nC: DATA\nS: OK\nC: BEGIN",
        BEGUN,
    ),
    Dialogue("an identity in DATA", "C: AUTH EXTERNAL\nS: DATA\nC: DATA <me>\nS: OK", OPEN),
    Dialogue("DATA and a blank", "C: AUTH EXTERNAL\nS: DATA\nC: DATA \nS: OK", OPEN),
    Dialogue("DATA and two blanks", "C: AUTH EXTERNAL\nS: DATA\nC: DATA  <me>\nS: OK", OPEN),
    Dialogue("AUTH EXTERNAL and a blank", "C: AUTH EXTERNAL \nS: DATA", OPEN),
    Dialogue("another identity", "C: AUTH EXTERNAL <other>\nS: REJECTED", OPEN),
    Dialogue("another in DATA", "C: AUTH EXTERNAL\nS: DATA\nC: DATA <other>\nS: REJECTED", OPEN),
    Dialogue(
        "a login name is nobody, the number is",
        "C: AUTH EXTERNAL <name>\nS: REJECTED\nC: AUTH EXTERNAL <me>\nS: OK\nC: BEGIN",
        BEGUN,
    ),
    Dialogue("identity with NUL", "C: AUTH EXTERNAL <me>00\nS: REJECTED", OPEN),
    Dialogue("identity with a blank", "C: AUTH EXTERNAL <me>20\nS: REJECTED", OPEN),
    Dialogue("only NUL", "C: AUTH EXTERNAL 00\nS: REJECTED", OPEN),
    Dialogue("not text", "C: AUTH EXTERNAL ff\nS: REJECTED", OPEN),
    Dialogue("upper-case digits", "C: AUTH EXTERNAL FF\nS: REJECTED", OPEN),
    Dialogue("a uid of 33 bits", f"C: AUTH EXTERNAL {hexed(str(2**32 + UID))}\nS: REJECTED", OPEN),
    Dialogue("a uid of 65 bits", f"C: AUTH EXTERNAL {hexed(str(2**64 + UID))}\nS: REJECTED", OPEN),
    Dialogue("blanks between", "C: AUTH \t EXTERNAL  \t<me>\nS: OK", OPEN),
    Dialogue("a blank before", "C:  AUTH EXTERNAL <me>\nS: ERROR Unknown command", OPEN),
    Dialogue("a blank behind", "C: AUTH EXTERNAL <me> \nS: ERROR Invalid hex encoding", OPEN),
    Dialogue("no hex", "C: AUTH EXTERNAL willy\nS: ERROR Invalid hex encoding", OPEN),
    Dialogue(
        "no hex in DATA",
        "C: AUTH EXTERNAL\nS: DATA\nC: DATA zz\nS: ERROR Invalid hex encoding\nC: DATA\nS: OK",
        OPEN,
    ),
    Dialogue("a return too much", "C: AUTH EXTERNAL <me>\r\nS: ERROR Invalid hex encoding", OPEN),
    Dialogue("a vertical tab", "C: AUTH EXTERNAL\x0b<me>\nS: REJECTED", OPEN),
    Dialogue("AUTH lists what there is", "C: AUTH\nS: REJECTED", OPEN),
    Dialogue("AUTH and blanks", "C: AUTH  \nS: REJECTED", OPEN),
    Dialogue("small letters", "C: auth EXTERNAL <me>\nS: ERROR Unknown command", OPEN),
    Dialogue("a mechanism in small letters", "C: AUTH external <me>\nS: REJECTED", OPEN),
    Dialogue("another mechanism", "C: AUTH DBUS_COOKIE_SHA1 <me>\nS: REJECTED", OPEN),
    Dialogue("another mechanism, no hex", "C: AUTH FOO zz\nS: REJECTED", OPEN),
    Dialogue("ANONYMOUS where it is not offered", "C: AUTH ANONYMOUS\nS: REJECTED", OPEN),
    Dialogue("an unknown command", "C: NONEXISTENT foo bar\nS: ERROR Unknown command", OPEN),
    Dialogue("an empty line", "C: \nS: ERROR Unknown command", OPEN),
    Dialogue("a blank line", "C:  \nS: ERROR Unknown command", OPEN),
    Dialogue("a control character", "C: \x7f\nS: ERROR Unknown command", OPEN),
    Dialogue("not ASCII", "C: AUTH\xff\nS: ERROR Command contained non-ASCII", OPEN),
    Dialogue("a second NUL", "C: \0AUTH\nS: ERROR Command contained non-ASCII", OPEN),
    Dialogue("NUL within", "C: AUTH \0\nS: ERROR Command contained non-ASCII", OPEN),
    *(
        Dialogue(f"{word} is for clients", f"C: {word}\nS: ERROR Unknown command", OPEN)
        for word in ("OK", "REJECTED", "AGREE_UNIX_FD")
    ),
    *(
        Dialogue(
            f"{word} before AUTH",
            f"C: {word}\nS: ERROR Not currently in an auth conversation",
            OPEN,
        )
        for word in ("DATA", "CANCEL")
    ),
    Dialogue("ERROR before AUTH", "C: ERROR\nS: REJECTED\nC: AUTH EXTERNAL <me>\nS: OK", OPEN),
    Dialogue("BEGIN before AUTH", "C: BEGIN", CLOSED),
    Dialogue("BEGIN before DATA", "C: AUTH EXTERNAL\nS: DATA\nC: BEGIN", CLOSED),
    Dialogue("BEGIN after REJECTED", "C: AUTH\nS: REJECTED\nC: BEGIN", CLOSED),
    Dialogue(
        "AUTH within AUTH",
        "C: AUTH EXTERNAL\nS: DATA\nC: AUTH EXTERNAL <me>\n"
        "S: ERROR Sent AUTH while another AUTH in progress\nC: DATA\nS: OK",
        OPEN,
    ),
    Dialogue(
        "an unknown command within AUTH",
        "C: AUTH EXTERNAL\nS: DATA\nC: FOO\nS: ERROR Unknown command\nC: DATA\nS: OK",
        OPEN,
    ),
    *(
        Dialogue(
            f"{word} while DATA is expected",
            f"C: AUTH EXTERNAL\nS: DATA\nC: {word}\nS: REJECTED\n"
            "C: DATA\nS: ERROR Not currently in an auth conversation\n"
            "C: AUTH EXTERNAL <me>\nS: OK\nC: BEGIN",
            BEGUN,
        )
        for word in ("CANCEL", "ERROR", 'ERROR "why"')
    ),
    *(
        Dialogue(
            f"{word} while BEGIN is expected",
            f"C: AUTH EXTERNAL <me>\nS: OK\nC: {word}\nS: REJECTED\nC: BEGIN",
            CLOSED,
        )
        for word in ("CANCEL", "CANCEL x", "ERROR")
    ),
    *(
        Dialogue(
            f"{word} while BEGIN is expected",
            f"C: AUTH EXTERNAL <me>\nS: OK\nC: {word}\n"
            f"S: ERROR Sent {word} while expecting BEGIN\nC: BEGIN",
            BEGUN,
        )
        for word in ("AUTH", "DATA")
    ),
    Dialogue(
        "an unknown command while BEGIN is expected",
        "C: AUTH EXTERNAL <me>\nS: OK\nC: BEGINx\nS: ERROR Unknown command\nC: BEGIN",
        BEGUN,
    ),
    Dialogue("BEGIN with an argument", "C: AUTH EXTERNAL <me>\nS: OK\nC: BEGIN x", BEGUN),
    Dialogue(
        "a line ends with both characters",
        "C: AUTH EXTERNAL <me>\nS: OK\nC| BEGIN<lf>\nC: BEGIN\nS: ERROR Unknown command",
        OPEN,
    ),
    Dialogue("a line in two parts", "C| AUTH EXTER\nC: NAL <me>\nS: OK\nC| BEG\nC: IN", BEGUN),
    Dialogue(
        "descriptors",
        "C: AUTH EXTERNAL <me>\nS: OK\nC: NEGOTIATE_UNIX_FD\nS: AGREE_UNIX_FD\nC: BEGIN",
        BEGUN,
    ),
    Dialogue(
        "descriptors twice, with an argument",
        "C: AUTH EXTERNAL <me>\nS: OK\nC: NEGOTIATE_UNIX_FD x\nS: AGREE_UNIX_FD\n"
        "C: NEGOTIATE_UNIX_FD\nS: AGREE_UNIX_FD\nC: BEGIN",
        BEGUN,
    ),
    Dialogue(
        "descriptors before AUTH",
        "C: NEGOTIATE_UNIX_FD\nS: ERROR Need to authenticate first",
        OPEN,
    ),
    Dialogue(
        "descriptors within AUTH",
        "C: AUTH EXTERNAL\nS: DATA\nC: NEGOTIATE_UNIX_FD\nS: ERROR Need to authenticate first",
        OPEN,
    ),
    Dialogue(
        "everything in one go",
        "C: AUTH EXTERNAL <me>\nC: NEGOTIATE_UNIX_FD\nC: BEGIN\nS: OK\nS: AGREE_UNIX_FD",
        BEGUN,
    ),
    Dialogue(
        "everything in one go, without an identity",
        "C: AUTH EXTERNAL\nC: DATA\nC: NEGOTIATE_UNIX_FD\nC: BEGIN\n"
        "S: DATA\nS: OK\nS: AGREE_UNIX_FD",
        BEGUN,
    ),
    Dialogue(
        "answers before the end are sent",
        "C: AUTH\nC: AUTH\nC: BEGIN\nC: AUTH\nS: REJECTED\nS: REJECTED",
        CLOSED,
    ),
    Dialogue("five failures", "C: AUTH\nS: REJECTED\n" * 5 + "C: AUTH EXTERNAL <me>\nS: OK", OPEN),
    Dialogue("six failures", "C: AUTH EXTERNAL <other>\nS: REJECTED\n" * 6, CLOSED),
    Dialogue("six errors", "C: ERROR\nS: REJECTED\n" * 6, CLOSED),
    Dialogue("six lists", "C: AUTH\n" * 8 + "S: REJECTED\n" * 6, CLOSED),
    Dialogue(
        "six changes of mind",
        "C: AUTH EXTERNAL\nS: DATA\nC: CANCEL\nS: REJECTED\n" * 6,
        CLOSED,
    ),
    Dialogue(
        "six changes of mind after OK",
        "C: AUTH EXTERNAL <me>\nS: OK\nC: CANCEL\nS: REJECTED\n" * 6,
        CLOSED,
    ),
    Dialogue(
        "nonsense is no failed attempt",
        "C: FOO\nS: ERROR Unknown command\n" * 9
        + "C: AUTH EXTERNAL zz\nS: ERROR Invalid hex encoding\n" * 9,
        OPEN,
    ),
    Dialogue("16 KiB", f"C: {'A' * (MAX_LINE - 2)}\nS: ERROR Unknown command", OPEN),
    Dialogue("16 KiB and a byte", f"C: {'A' * (MAX_LINE - 1)}", CLOSED),
    Dialogue("16 KiB and a byte without an end", f"C| {'A' * (MAX_LINE + 1)}", CLOSED),
    Dialogue("many short lines", "C: FOO\n" * 4000 + "S: ERROR Unknown command\n" * 4000, OPEN),
]

# Where ANONYMOUS is offered, too.
ANONYMOUS = [
    Dialogue("both are listed", "C: AUTH\nS: REJECTED", OPEN),
    Dialogue("anonymous", "C: AUTH ANONYMOUS\nS: OK\nC: BEGIN", BEGUN),
    Dialogue("with a trace", f"C: AUTH ANONYMOUS {hexed('D-Bus 1.1.1')}\nS: OK\nC: BEGIN", BEGUN),
    Dialogue("a blank", "C: AUTH ANONYMOUS \nS: OK", OPEN),
    Dialogue("a long trace", f"C: AUTH ANONYMOUS {'31' * 300}\nS: OK", OPEN),
    Dialogue("half a byte", "C: AUTH ANONYMOUS 3\nS: OK", OPEN),
    Dialogue("UTF-8", "C: AUTH ANONYMOUS c3a4\nS: OK", OPEN),
    Dialogue("U+FFFF", "C: AUTH ANONYMOUS efbfbf\nS: OK", OPEN),
    Dialogue("a surrogate", "C: AUTH ANONYMOUS eda080\nS: REJECTED", OPEN),
    Dialogue("beyond Unicode", "C: AUTH ANONYMOUS f4908080\nS: REJECTED", OPEN),
    Dialogue("not UTF-8", "C: AUTH ANONYMOUS ff\nS: REJECTED", OPEN),
    Dialogue("NUL", "C: AUTH ANONYMOUS 00\nS: REJECTED", OPEN),
    Dialogue("no hex", "C: AUTH ANONYMOUS zz\nS: ERROR Invalid hex encoding", OPEN),
    Dialogue(
        "no DATA",
        "C: AUTH ANONYMOUS\nS: OK\nC: DATA\nS: ERROR Sent DATA while expecting BEGIN",
        OPEN,
    ),
    Dialogue("BEGIN too early", "C: AUTH ANONYMOUS ff\nS: REJECTED\nC: BEGIN", CLOSED),
    Dialogue(
        "descriptors",
        "C: AUTH ANONYMOUS\nS: OK\nC: NEGOTIATE_UNIX_FD\nS: AGREE_UNIX_FD\nC: BEGIN",
        BEGUN,
    ),
    Dialogue(
        "another mind",
        "C: AUTH ANONYMOUS\nS: OK\nC: CANCEL\nS: REJECTED\nC: AUTH EXTERNAL <me>\nS: OK\nC: BEGIN",
        BEGUN,
    ),
    Dialogue(
        "another mind, the other way",
        "C: AUTH EXTERNAL\nS: DATA\nC: CANCEL\nS: REJECTED\nC: AUTH ANONYMOUS\nS: OK",
        OPEN,
    ),
]

# dbus-daemon reads the identity with strtoul; no client relies on that.
NUMBERS_ONLY_THE_REFERENCE_READS = [f"0x{UID:x}", f"+{UID}", f" {UID}", f"0{UID:o}"]

Step = tuple[bytes, bytes]  # sent in one go, then expected


def steps(dialogue: Dialogue, guid: str, mechanisms: str) -> list[Step]:
    """The dialogue in bytes: what is sent before each answer, and that answer."""
    result: list[Step] = []
    sent, expected = b"\0", b""
    for line in dialogue.text.split("\n"):
        kind, words = line[:2], line[2:].removeprefix(" ")
        if kind in ("C:", "C|") and expected:
            result.append((sent, expected))
            sent, expected = b"", b""
        if kind == "C:":
            sent += spelled(words) + b"\r\n"
        elif kind == "C|":
            sent += spelled(words)
        elif kind == "S:":
            expected += answer(words, guid, mechanisms)
    return [*result, (sent, expected)]


def spelled(words: str) -> bytes:
    for word, meaning in WORDS.items():
        words = words.replace(word, meaning)
    return words.encode("latin-1")


def answer(words: str, guid: str, mechanisms: str) -> bytes:
    command, _, text = words.partition(" ")
    more = {"OK": f" {guid}", "REJECTED": f" {mechanisms}", "ERROR": f' "{text}"'}
    return f"{command}{more.get(command, '')}\r\n".encode()


# ------------------------------------------------------------------- without a socket


def check(dialogue: Dialogue, anonymous: bool, size: int | None) -> Sasl:
    """Hold the dialogue, each step in pieces of this size; how it ended."""
    sasl = Sasl(UID, GUID, anonymous, can_pass_fds=True)
    closed = False
    mechanisms = "EXTERNAL ANONYMOUS" if anonymous else "EXTERNAL"
    for sent, expected in steps(dialogue, GUID, mechanisms):
        assert not closed
        got = b""
        for at in range(0, len(sent), size or len(sent)):
            try:
                got += sasl.feed(sent[at : at + (size or len(sent))])
            except AuthFailed as failed:
                got += failed.answer
                closed = True
                break
        assert got == expected
    assert (CLOSED if closed else BEGUN if sasl.done else OPEN) == dialogue.end
    return sasl


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.name)
def test_ours(dialogue: Dialogue, size: int | None) -> None:
    sasl = check(dialogue, False, size)
    assert sasl.takes_fds == ("S: AGREE_UNIX_FD" in dialogue.text)
    assert not sasl.anonymous
    if sasl.done:
        assert sasl.uid == UID


@pytest.mark.parametrize("dialogue", ANONYMOUS, ids=lambda dialogue: dialogue.name)
def test_ours_with_anonymous(dialogue: Dialogue) -> None:
    sasl = check(dialogue, True, None)
    if sasl.done:
        assert (sasl.uid, sasl.anonymous) in ((None, True), (UID, False))
        assert sasl.anonymous == (sasl.uid is None)


@pytest.mark.parametrize("number", NUMBERS_ONLY_THE_REFERENCE_READS)
def test_only_the_plain_number_is_an_identity(number: str) -> None:
    check(Dialogue(number, f"C: AUTH EXTERNAL {hexed(number)}\nS: REJECTED", OPEN), False, None)


@pytest.mark.parametrize("uid", [0, 10, 1000, 65534])
def test_half_a_byte_is_its_high_half(uid: int) -> None:
    sasl = Sasl(uid, GUID, anonymous=False, can_pass_fds=True)
    half = hexed(str(uid))[:-1]
    ends_in_zero = uid % 10 == 0
    assert sasl.feed(f"\0AUTH EXTERNAL {half}\r\n".encode()).startswith(
        b"OK" if ends_in_zero else b"REJECTED"
    )


def test_whom_the_kernel_does_not_know_is_not_external() -> None:
    for line in (b"AUTH EXTERNAL 30", b"AUTH EXTERNAL\r\nDATA"):
        sasl = Sasl(None, GUID, anonymous=False, can_pass_fds=True)
        assert sasl.feed(b"\0" + line + b"\r\n").endswith(b"REJECTED EXTERNAL\r\n")


def test_descriptors_may_be_impossible() -> None:
    sasl = Sasl(UID, GUID, anonymous=False, can_pass_fds=False)
    answer = sasl.feed(spelled("\0AUTH EXTERNAL <me>\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"))
    assert answer.splitlines()[1] == (
        b'ERROR "Unix FD passing not supported, not authenticated or otherwise not possible"'
    )
    assert sasl.done
    assert not sasl.takes_fds


def test_a_change_of_mind_takes_everything_back() -> None:
    sasl = Sasl(UID, GUID, anonymous=True, can_pass_fds=True)
    sasl.feed(spelled("\0AUTH EXTERNAL <me>\r\nNEGOTIATE_UNIX_FD\r\nCANCEL\r\n"))
    assert (sasl.uid, sasl.takes_fds) == (None, False)
    sasl.feed(b"AUTH ANONYMOUS\r\nBEGIN\r\n")
    assert (sasl.uid, sasl.takes_fds, sasl.anonymous) == (None, False, True)


@pytest.mark.parametrize("first", [b"x", b"AUTH EXTERNAL\r\n", b"l\1\0\1"])
def test_the_first_byte_is_nul(first: bytes) -> None:
    with pytest.raises(AuthFailed, match="NUL"):
        Sasl(UID, GUID, anonymous=False, can_pass_fds=True).feed(first)


@given(rest=st.binary(max_size=200), more=st.binary(max_size=20), cut=st.integers(0, 200))
def test_what_follows_begin_belongs_to_dbus(rest: bytes, more: bytes, cut: int) -> None:
    sasl = Sasl(UID, GUID, anonymous=False, can_pass_fds=True)
    data = spelled("\0AUTH EXTERNAL <me>\r\nBEGIN\r\n") + rest
    sasl.feed(data[:cut])
    sasl.feed(data[cut:])
    assert sasl.done
    assert sasl.rest == rest
    assert sasl.feed(more) == b""
    assert sasl.rest == rest + more


# ------------------------------------------------------------------------- any bytes

COMMANDS = ("AUTH", "AUTH EXTERNAL", "AUTH ANONYMOUS", "DATA", "CANCEL", "ERROR", "BEGIN")
LINES = st.one_of(
    st.sampled_from(
        [spelled(f"{word}{more}\r\n") for word in COMMANDS for more in ("", " <me>", " <other>")]
        + [b"NEGOTIATE_UNIX_FD\r\n"]
    ),
    st.binary(max_size=40),
    st.sampled_from([b"A" * 5000, b"A" * MAX_LINE, b"\r", b"\n", b"\0"]),
)


def held(sasl: Sasl) -> int:
    """Bytes it keeps."""
    return sum(len(each) for each in vars(sasl).values() if isinstance(each, bytes | bytearray))


@settings(deadline=None)  # a byte at a time may be many times
@given(
    pieces=st.lists(LINES, max_size=30),
    cuts=st.lists(st.integers(1, 20_000), min_size=1, max_size=30),
    anonymous=st.booleans(),
)
def test_any_bytes_in_any_pieces(pieces: list[bytes], cuts: list[int], anonymous: bool) -> None:
    data = b"\0" + b"".join(pieces)

    def outcome(sizes: list[int]) -> tuple[bytes, str, bytes, bool, int | None, bool]:
        sasl = Sasl(UID, GUID, anonymous, can_pass_fds=True)
        said, at, turn, failure = b"", 0, 0, ""
        while at < len(data) and not failure:
            piece = data[at : at + sizes[turn % len(sizes)]]
            at, turn = at + len(piece), turn + 1
            try:
                said += sasl.feed(piece)
            except AuthFailed as failed:
                said, failure = said + failed.answer, str(failed)
            if not sasl.done:
                assert held(sasl) <= MAX_LINE + len(piece) + 100
        authorised = sasl.uid is not None or sasl.anonymous
        assert authorised <= (b"OK " in said)
        assert sasl.done <= authorised
        return said, failure, sasl.rest, sasl.done, sasl.uid, sasl.takes_fds

    assert outcome(cuts) == outcome([len(data)])


# --------------------------------------------------------------------- with a socket

CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth><auth>ANONYMOUS</auth><allow_anonymous/>
  <policy context="default">
    <allow send_destination="*"/><allow receive_type="method_return"/><allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""

HELLO = (
    b"l\1\0\1\0\0\0\0\1\0\0\0\x6d\0\0\0\1\1o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0"
    b"\2\1s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\3\1s\0\5\0\0\0Hello\0\0\0"
    b"\6\1s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0"
)
METHOD_RETURN = b"l\2"


def hold(bus: Bus, dialogue: Dialogue, mechanisms: str) -> None:
    """The dialogue with a bus, and the proof of how it ended."""
    path, guid = re.findall(r"path=([^,]+),guid=(\w+)", bus.address)[0]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        for sent, expected in steps(dialogue, guid, mechanisms):
            client.sendall(sent)
            assert read(client, len(expected)) == expected
        if dialogue.end == CLOSED:
            assert read(client, 1) == b""
        elif dialogue.end == BEGUN:
            client.sendall(HELLO)
            assert read(client, 2) == METHOD_RETURN
        else:  # it answers this, and had nothing more to say before
            client.sendall(b"\r\nFOO\r\n")
            unknown = b'ERROR "Unknown command"\r\n' * 2
            assert read(client, len(unknown)) == unknown


def read(client: socket.socket, size: int) -> bytes:
    """This many bytes, or what there was before the end."""
    data = b""
    while len(data) < size:
        try:
            piece = client.recv(size - len(data))
        except ConnectionResetError:  # it closed without reading all we sent
            piece = b""
        if not piece:
            break
        data += piece
    return data


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """dbus-daemon, offering ANONYMOUS."""
    directory: Path = tmp_path_factory.mktemp("reference")
    configuration = directory / "configuration"
    configuration.write_text(CONFIGURATION.format(directory=directory))
    bus = start("dbus-daemon", directory, argv=(f"--config-file={configuration}",))
    yield bus
    bus.stop()


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.name)
def test_a_bus(bus: Bus, dialogue: Dialogue) -> None:
    hold(bus, dialogue, "EXTERNAL")


@pytest.mark.parametrize("dialogue", ANONYMOUS, ids=lambda dialogue: dialogue.name)
def test_the_reference_with_anonymous(reference: Bus, dialogue: Dialogue) -> None:
    hold(reference, dialogue, "EXTERNAL ANONYMOUS")


@pytest.mark.parametrize("number", NUMBERS_ONLY_THE_REFERENCE_READS)
def test_the_reference_reads_more_numbers(reference: Bus, number: str) -> None:
    text = f"C: AUTH EXTERNAL {hexed(number)}\nS: OK"
    hold(reference, Dialogue(number, text, OPEN), "EXTERNAL ANONYMOUS")


@pytest.mark.parametrize("first", [b"x", b"AUTH EXTERNAL\r\n"])
def test_a_bus_wants_nul_first(bus: Bus, first: bytes) -> None:
    path = re.findall(r"path=([^,]+)", bus.address)[0]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        client.sendall(first)
        assert read(client, 1) == b""
