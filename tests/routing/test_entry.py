"""Entries of the log have ids and fields, and docs/journal.md lists every one of both."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from bridge.routing.credentials import Credentials
from bridge.routing.entry import Kind, connection, entry, process
from tests.buses import ROOT
from tests.routing.world import Party

DOCUMENT = (ROOT / "docs" / "journal.md").read_text()
KINDS, FIELDS = DOCUMENT.split("## Fields")


def test_what_is_not_known_is_not_said() -> None:
    assert entry(Kind.DROPPED, {"A": 0, "B": None}, dropped=0, sender=None) == {
        "journal": {"MESSAGE_ID": Kind.DROPPED.value, "A": 0, "BUS1_DROPPED": 0}
    }
    assert entry(Kind.DENIED, process(Credentials(None, None))) == {
        "journal": {"MESSAGE_ID": Kind.DENIED.value}
    }


def test_who_it_is() -> None:
    here = Path("/proc/self/comm").read_text().rstrip()
    said = entry(Kind.DENIED, process(Credentials(7, os.getpid(), label=b"a:b\xff:c\0")))
    assert said["journal"] == {
        "MESSAGE_ID": Kind.DENIED.value,
        "BUS1_UID": 7,
        "BUS1_PID": os.getpid(),
        "BUS1_COMM": here,
        "BUS1_LABEL": "a:b\ufffd:c",
    }
    gone = process(Credentials(7, 1 << 22))
    assert gone["BUS1_COMM"] == "?"


def test_its_names(a: Party) -> None:
    a.own("com.example.A")
    a.own("com.example.B")
    names: Any = connection(a.client)
    assert names["BUS1_UNIQUE_NAME"] == a.name
    assert set(names["BUS1_NAMES"].split()) == {"com.example.A", "com.example.B"}


def test_ids_are_128_random_bits_and_documented() -> None:
    for kind in Kind:
        assert re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", kind.value), kind
    assert re.findall(r"^\| `(\w{32})`", KINDS, re.MULTILINE) == [kind.value for kind in Kind]


def test_every_field_is_documented() -> None:
    """Those in the text of the sources: as a name, or as a word that becomes one."""
    told = set(re.findall(r"`(BUS1_\w+)`", FIELDS))
    said = set()
    for path in (ROOT / "bridge").rglob("*.py"):
        text = path.read_text()
        said |= set(re.findall(r'"(BUS1_\w+)"', text))
        for call in re.findall(r"\bentry\(\s*Kind\.\w+((?:[^()]|\([^()]*\))*)\)", text):
            said |= {f"BUS1_{word.upper()}" for word in re.findall(r"(\w+)=", call)}
    said |= {"BUS1_CLIENTS", "BUS1_ADDRESS", "BUS1_GUID"}  # transport/server.py gathers them
    assert told == said
    assert set(re.findall(r"BUS1_[A-Z_]+", KINDS)) <= told
