"""`bus1 policy` as a whole: its help, its errors, its colours, and pipes that close early."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.buses import ROOT, environment

Bus1 = Callable[..., tuple[object, str, str]]
COMMANDS = ("check", "explain", "show", "convert", "diff", "learn")
POLICY = """<busconfig>
<policy user="daemon"><allow own="org.example.Service"/></policy>
<policy context="default">
<allow own="org.example.Other"/>
</policy>
</busconfig>
"""


@pytest.fixture
def conf(tmp_path: Path) -> str:
    path = tmp_path / "example.conf"
    path.write_text(POLICY)
    return str(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(bus1: Bus1, command: str) -> None:
    status, out, err = bus1("policy", command, "--help")
    assert (not status, err) == (True, "")
    assert f"bus1 policy {command} " in out
    assert bus1("policy", command, "-h") == (status, out, err)


def test_help_lists_the_commands(bus1: Bus1) -> None:
    _, out, _ = bus1("policy", "--help")
    assert all(re.search(rf"^\W+{command} ", out, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("", "Missing command"),
        ("nonsense", "nonsense"),
        ("check --nonsense", "--nonsense"),
        ("check --nonsense", "(try bus1 policy check --help)"),
        ("check /", "/: a directory; name files in it"),
        ("check /no/such/file", "/no/such/file: No such file or directory"),
        ("check --system --session", "--system and --session"),
        ("show /no/such/file", "/no/such/file: No such file or directory"),
        ("show --user nobody-is-called-this", 'unknown user "nobody-is-called-this"'),
        ("convert CONF --to pdf", "pdf"),
        ("convert /no/such/file", "/no/such/file: No such file or directory"),
        ("convert CONF -o /no/such/file", "/no/such/file: No such file or directory"),
        ("diff CONF", "AFTER"),
        ("diff CONF /no/such/file", "/no/such/file: No such file or directory"),
        ("learn /no/such/file", "/no/such/file: No such file or directory"),
        ("learn CONF", "no line is about a denial"),
        ("explain -f CONF", "explain what?"),
        ("explain -f CONF nonsense a.b", "explain what?"),
        ("explain -f CONF own", "own NAME"),
        ("explain -f CONF own no-name", "no-name is no bus name"),
        ("explain -f CONF own :1.2", "nobody can ask for it"),
        ("explain -f CONF own org.freedesktop.DBus", "nobody can ask for it"),
        ("explain -f CONF send", "send NAME"),
        ("explain -f CONF send a..b", "a..b is no bus name"),
        ("explain -f CONF -u 4294967295 connect", "4294967295"),
        ("explain -f CONF connect now", "connect"),
        ("explain -f CONF send a.b nonsense", "nonsense"),
        ("explain -f CONF -u nobody-is-called-this connect", "nobody-is-called-this"),
        ("explain -f CONF -g nobody-is-called-this connect", "nobody-is-called-this"),
        ("explain -f CONF --type letter send a.b", "letter"),
        ("explain -f CONF --arg x send a.b", "--arg"),
        ("explain -f CONF --type error broadcast a.b.c", "broadcast"),
        ("explain -f CONF --denial nonsense", "--denial"),
        ("explain -f CONF --denial x own a.b", "--denial"),
        ("explain -f CONF --live own a.b", "--live"),
        ("explain --live connect", "--live"),
        ("explain --live --to-user root send a.b", "--to-user"),
        ("explain --address unix:path=/no own a.b", "unix:path=/no is not there: No such file"),
        ("explain --address nonsense own a.b", "nonsense is no address to connect to: "),
        ("explain --live --denial x", "--denial"),
    ],
)
def test_errors_are_one_line(bus1: Bus1, conf: str, words: str, about: str) -> None:
    status, out, err = bus1("policy", *(conf if word == "CONF" else word for word in words.split()))
    assert (status, out) == (2, "")
    assert re.match(r"bus1 policy( \w+)?: ", err)
    assert about.lower() in err.lower()
    assert err.count("\n") == 1


def test_a_file_that_is_none(bus1: Bus1, tmp_path: Path) -> None:
    path = tmp_path / "broken.conf"
    path.write_text("<busconfig>\n<nonsense/>\n</busconfig>")
    for words in (("show",), ("convert",), ("explain", "connect", "-f")):
        status, out, err = bus1("policy", *words, str(path))
        assert (status, out) == (2, "")
        assert err.startswith(f"bus1 policy: {path}:2: ")


def run(tmp_path: Path, out: int, *words: str, **variables: str) -> subprocess.Popen[bytes]:
    keep = environment(tmp_path, TERM="xterm-256color", **variables)
    for name in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"} - set(variables):
        keep.pop(name, None)
    return subprocess.Popen(
        [sys.executable, "-m", "bridge.cli.main", "policy", *words],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        env=keep,
        cwd=ROOT,
    )


def on_a_terminal(tmp_path: Path, *words: str, **variables: str) -> str:
    terminal, other = pty.openpty()
    process = run(tmp_path, other, *words, **variables)
    os.close(other)
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:  # EIO: nobody writes any more
        pass
    os.close(terminal)
    assert process.communicate(timeout=30)[1] == b""
    return text.decode().replace("\r\n", "\n")


def test_colour_is_for_terminals(tmp_path: Path, conf: str) -> None:
    words = ("explain", "-u", "daemon", "own", "org.example.Service", "-f", conf)
    assert "\x1b[" in on_a_terminal(tmp_path, *words)
    assert not re.search("\x1b\\[[0-9;]*3[0-7]m", on_a_terminal(tmp_path, *words, NO_COLOR="1"))
    out, err = run(tmp_path, subprocess.PIPE, *words).communicate(timeout=30)
    assert err == b""
    assert out.startswith(b"Allowed for daemon ")
    assert b"\x1b" not in out


def test_a_narrow_terminal_shows_everything(tmp_path: Path, conf: str) -> None:
    text = on_a_terminal(tmp_path, "check", "-n", conf, COLUMNS="30")
    plain = re.sub("\x1b\\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= 30
    assert "anybody-owns" in "".join(plain.split())
    assert "…" not in plain
    assert not [line for line in plain.splitlines() if line != line.rstrip()]


def test_a_rule_is_folded_beside_its_mark(tmp_path: Path, conf: str) -> None:
    words = ("explain", "-u", "daemon", "own", "org.example.Other", "-f", conf)
    plain = re.sub("\x1b\\[[0-9;]*m", "", on_a_terminal(tmp_path, *words, COLUMNS="24"))
    assert '  -> <allow\n     own="org.example.Ot\n     her"/>\n' in plain


@pytest.mark.parametrize("words", [("show",), ("show", "--json"), ("convert",)])
def test_a_reader_that_has_seen_enough(tmp_path: Path, conf: str, words: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    process = run(tmp_path, write, *words, conf)
    os.close(write)
    assert process.communicate(timeout=30)[1] == b""
    assert process.returncode == 1


def test_json_is_json(bus1: Bus1, conf: str) -> None:
    for words in (("check",), ("show",), ("diff", "session"), ("explain", "connect", "-f")):
        _, out, err = bus1("policy", *words, conf, "--json")
        assert err == ""
        assert json.loads(out)
