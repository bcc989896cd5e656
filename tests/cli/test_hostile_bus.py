"""Buses that answer anything: commands end with a line that says so, terminals stay as they are."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.link import Link, NoBus
from bridge.cli.policy.screen import Screen
from tests.buses import ROOT
from tests.raw import (
    DRIVER,
    DRIVER_PATH,
    ERROR,
    ERROR_NAME,
    INTERFACE,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    SIGNAL,
    Message,
    build,
    parse,
    size_of,
)

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e"
COMMANDS = (("monitor", "--limit", "1"), ("status",), ("doctor", "--session"), ("migrate", "x.Y"))

Answer = Callable[[Message], bytes]
Lie = Callable[[Answer], str]


@pytest.fixture
def lie(tmp_path: Path) -> Iterator[Lie]:
    """The address of something that answers calls so."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    threads: list[threading.Thread] = []

    def start(answer: Answer) -> str:
        listener.bind(str(tmp_path / "bus"))
        listener.listen()
        threads.append(threading.Thread(target=serve, args=(listener, answer)))
        threads[0].start()
        return f"unix:path={tmp_path}/bus"

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join()


def serve(listener: socket.socket, answer: Answer) -> None:
    """One client after another."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, suppress(OSError):
            client.settimeout(20)
            for line in (b"OK 1\r\n", b"AGREE_UNIX_FD\r\n"):
                client.recv(1 << 12)
                client.sendall(line)
            heard = client.recv(1 << 12).removeprefix(b"BEGIN\r\n")
            while True:
                while (size := size_of(heard)) and size <= len(heard):
                    client.sendall(answer(parse(heard[:size])))
                    heard = heard[size:]
                if not (more := client.recv(1 << 12)):
                    break
                heard = (heard + more).removeprefix(b"BEGIN\r\n")


def says(call: Message, signature: str = "", *args: Any) -> bytes:
    return build(RETURN, 9, [(REPLY_SERIAL, call.serial), (SENDER, DRIVER)], signature, args)


def after_hello(answer: Answer) -> Answer:
    return lambda call: says(call, "s", ":1.1") if call.member == "Hello" else answer(call)


def refuses(call: Message) -> bytes:
    fields = [(REPLY_SERIAL, call.serial), (SENDER, DRIVER), (ERROR_NAME, "a.b.C")]
    return build(ERROR, 9, fields, "s", [EVIL])


def run(address: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", *words, "--address", address],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )


def is_tame(done: subprocess.CompletedProcess[str]) -> bool:
    said = done.stdout + done.stderr
    return "Traceback" not in said and not {"\x1b", "\x07", "\u202e"} & set(said)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    "answer",
    [says, refuses, after_hello(refuses), after_hello(lambda call: says(call, "au", [1]))],
    ids=["nothing", "errors", "later errors", "numbers"],
)
def test_answers_that_no_bus_gives(lie: Lie, answer: Answer, words: tuple[str, ...]) -> None:
    done = run(lie(answer), *words)
    assert is_tame(done), done
    assert done.returncode in {1, 2}


@pytest.mark.parametrize("text", ["{}", '{"foreign": 1}', "[" * 100_000, '"x"'])
def test_a_status_that_is_none(lie: Lie, text: str) -> None:
    done = run(lie(after_hello(lambda call: says(call, "s", text))), "status")
    assert is_tame(done), done
    assert done.returncode == 2
    assert "something else than its status" in done.stderr


def test_a_process_that_is_a_path(lie: Lie, tmp_path: Path) -> None:
    (tmp_path / "comm").write_text("secret")
    pid = f"../..{tmp_path}"
    client = {"unique": ":1.1", "names": [], "uid": 0, "pid": pid, "bytes": 0, "messages": 0}
    record = {"foreign": True, "id": "", "pid": 1, "connections": {}, "statistics": {}}
    text = json.dumps(record | {"clients": [client | {"rules": 0}]})
    done = run(lie(after_hello(lambda call: says(call, "s", text))), "status")
    assert (done.returncode, pid in done.stdout) == (0, True), done
    assert "secret" not in done.stdout


def test_names_that_are_none(lie: Lie) -> None:
    """A monitor shows names instead of numbers: not such ones."""
    fields = [(PATH, "/o"), (INTERFACE, "a.b"), (MEMBER, "M"), (SENDER, ":1.5")]
    signal = build(SIGNAL, 7, fields, "s", [EVIL])

    def answer(call: Message) -> bytes:
        if call.member == "ListNames":
            return says(call, "as", [EVIL, "x.y"])
        if call.member == "GetNameOwner":
            return says(call, "s", ":1.5")
        return says(call) + (signal if call.member == "BecomeMonitor" else b"")

    done = run(lie(after_hello(answer)), "monitor", "--limit", "1")
    assert is_tame(done), done
    assert "x.y (:1.5) -> all" in done.stdout


def test_command_lines_and_files_do_nothing_to_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What `bus1 doctor` shows of a process anybody may have chosen."""
    Screen().line(f"{EVIL}a", (EVIL, "bold"), indent=2)
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert "\\x1b[2J" in out


def test_a_bus_that_says_everything_but_the_answer(
    lie: Lie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.cli.link.MOST_ASIDE", 10_000)
    fields = [(PATH, DRIVER_PATH), (INTERFACE, DRIVER), (MEMBER, "M"), (SENDER, DRIVER)]
    flood = build(SIGNAL, 7, fields, "s", ["x" * 5000]) * 4
    link = Link(lie(after_hello(lambda call: flood)), "the bus")
    with pytest.raises(NoBus, match="everything but what it was asked"):
        link.ask(("GetId", "", ()))
    link.close()
