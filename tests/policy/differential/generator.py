"""Random policies as files of busconfig, in the words that traffic.py uses, too.

They have all attributes, contexts and combinations that the reference takes, and few values,
so that rules hide each other and messages meet several.
"""

from __future__ import annotations

import random
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.policy.differential import visitors
from tests.policy.differential.traffic import ERRORS, INTERFACES, MEMBERS, NAMES, PATHS
from tests.raw import DRIVER

HEAD = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
"""
BUS = """  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <limit name="max_replies_per_connection">50000</limit>
"""
OPEN = (
    '<allow user="*"/>',
    '<allow own="*"/>',
    '<allow send_destination="*" eavesdrop="true"/>',
    '<allow eavesdrop="true"/>',
)
SYSTEM = (
    '<allow user="*"/>',
    '<deny own="*"/>',
    '<deny send_type="method_call"/>',
    '<allow send_type="signal"/>',
    '<allow send_requested_reply="true" send_type="method_return"/>',
    '<allow send_requested_reply="true" send_type="error"/>',
    '<allow receive_type="method_call"/>',
    '<allow receive_type="method_return"/>',
    '<allow receive_type="error"/>',
    '<allow receive_type="signal"/>',
    f'<allow send_destination="{DRIVER}"/>',
)
TYPES = ("method_call", "method_return", "error", "signal", "*")
BOOLEAN = ("true", "false")
PREFIXES = ("com", "com.example", "com.example.A", "org", "com.exam")
SENDERS = (*NAMES, DRIVER, ":1.0", ":1.1", ":1.2", "*")


def write(path: Path, parts: list[str]) -> Path:
    """One file, in one step: a bus may be watching."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name("new")
    new.write_text(HEAD + "".join(parts) + "</busconfig>\n")
    return new.rename(path)


def write_bus(path: Path, policy: Path) -> Path:
    """The file to begin with."""
    return write(path, [BUS, f"  <include>{policy}</include>\n"])


class Generator:
    """Writes one bus's policy into a directory."""

    def __init__(self, dice: random.Random, directory: Path) -> None:
        self.dice = dice
        self.directory = directory
        self.files = 0
        self.users = visitors.users()
        self.groups = visitors.groups()

    def maybe(self, chance: float) -> bool:
        return self.dice.random() < chance

    def pick(self, *values: str) -> str:
        return self.dice.choice(values)

    def word(self, *values: str) -> str:
        """One of these; rarely one that no message can have."""
        return self.pick("", "no word", "com.*") if self.maybe(0.03) else self.pick(*values)

    # ----------------------------------------------------------------------- files

    def write(self) -> Path:
        """All files; returns the one that includes the others."""
        start, size = self.dice.choices(
            ((OPEN, 10), (SYSTEM, 14), (OPEN[:2], 30), ((), 40)), (50, 35, 12, 3)
        )[0]
        first = [self.element("context", "default", start)] if start else []
        rest = self.parts(self.dice.randint(2, size), self.directory)
        return write(self.directory / "policy.conf", [*first, *rest])

    def parts(self, rules: int, where: Path, depth: int = 0) -> list[str]:
        """Sections and inclusions that together have so many rules, for a file that is here."""
        parts = []
        while rules > 0:
            some = self.dice.randint(1, min(rules, 4))
            rules -= some
            if depth < 2 and self.maybe(0.1):
                parts.append(self.inclusion(some, where, depth))
            else:
                parts.append(self.section(some))
        if self.maybe(0.5 if not depth else 0.1):
            parts += self.quarrel()
            self.dice.shuffle(parts)
        return parts

    def inclusion(self, rules: int, where: Path, depth: int) -> str:
        self.files += 1
        name = f"part{self.files}"
        if self.maybe(0.5):
            write(where / f"{name}.conf", self.parts(rules, where, depth + 1))
            return f"  <include>{name}.conf</include>\n"
        inner = self.parts(rules, where / name, depth + 1)
        if self.maybe(0.2):  # then the file is not taken, and nothing else happens
            inner.append('  <policy context="default"><allow own="a.b" user="root"/></policy>\n')
        write(where / name / "only.conf", inner)
        return f"  <includedir>{name}</includedir>\n"

    # -------------------------------------------------------------------- sections

    def section(self, rules: int) -> str:
        attribute, value = self.people((40, 10, 20, 20, 10))
        texts = [self.rule(attribute == "context") for _ in range(rules)]
        return self.element(attribute, value, texts)

    def people(self, weights: tuple[int, ...]) -> tuple[str, str]:
        """Whom a section is for."""
        which = self.dice.choices(("default", "mandatory", "user", "group", "at_console"), weights)[
            0
        ]
        if which == "user":
            return which, self.somebody()
        if which == "group":
            return which, self.some_group()
        if which == "at_console":
            return which, self.pick("false", "false", "true")
        return "context", which

    def quarrel(self) -> list[str]:
        """Sections of which each says the opposite of the one before."""
        name, value = self.dice.choice(
            (
                ("own", "*"),
                ("own_prefix", "com"),
                ("send_type", self.pick(*TYPES)),
                ("send_interface", self.pick(*INTERFACES)),
                ("receive_type", self.pick(*TYPES)),
                ("receive_sender", "*"),
            )
        )
        verbs = ["allow", "deny", "allow", "deny", "allow"][self.dice.randint(0, 1) :]
        return [
            self.element(*self.people((5, 5, 20, 50, 20)), [f'<{verb} {name}="{value}"/>'])
            for verb in verbs
        ]

    def element(self, attribute: str, value: str, rules: tuple[str, ...] | list[str]) -> str:
        lines = "".join(f"    {rule}\n" for rule in rules)
        return f"  <policy {attribute}={quoteattr(value)}>\n{lines}  </policy>\n"

    def somebody(self) -> str:
        """A user by name or number; rarely nobody at all."""
        if self.maybe(0.04):
            return self.pick("no-such-user", str(visitors.UNKNOWN))
        name, (number, _) = self.dice.choice(sorted(self.users.items()))
        return name if self.maybe(0.5) else str(number)

    def some_group(self) -> str:
        if self.maybe(0.04):
            return self.pick("no-such-group", str(visitors.UNKNOWN))
        name, number = self.dice.choice(sorted(self.groups.items()))
        return name if self.maybe(0.5) else str(number)

    # ----------------------------------------------------------------------- rules

    def rule(self, connects: bool) -> str:
        about = self.dice.choices(("send", "receive", "own", "connect"), (40, 32, 12, 16))[0]
        if about == "connect" and not connects:
            about = "receive"
        make = {
            "send": self.sending,
            "receive": self.receiving,
            "own": self.owning,
            "connect": self.connecting,
        }
        attributes = make[about]()
        if self.maybe(0.06):
            attributes["log"] = self.pick("true", "true", "false", "yes")
        words = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
        return f"<{self.pick('allow', 'deny')} {words}/>"

    def connecting(self) -> dict[str, str]:
        if self.maybe(0.2):
            return {self.pick("user", "group"): "*"}
        return {"user": self.somebody()} if self.maybe(0.4) else {"group": self.some_group()}

    def owning(self) -> dict[str, str]:
        if self.maybe(0.15):
            return {"own": "*"}
        if self.maybe(0.5):
            return {"own": self.word(*NAMES)}
        return {"own_prefix": self.word(*PREFIXES)}

    def sending(self) -> dict[str, str]:
        said = self.fields("send")
        if self.maybe(0.45):
            said["send_destination"] = self.word(*SENDERS)
        elif self.maybe(0.25):
            said["send_destination_prefix"] = self.word(*PREFIXES)
        if self.maybe(0.12):
            named = "send_destination" in said and said["send_destination"] != "*"
            said["send_broadcast"] = "false" if named else self.pick(*BOOLEAN)
        if not said:
            said["send_destination"] = "*"
        return self.shuffled(said)

    def receiving(self) -> dict[str, str]:
        said = self.fields("receive")
        if self.maybe(0.4):
            said["receive_sender"] = self.word(*SENDERS)
        if not said.keys() - {"min_fds", "max_fds"}:
            said["receive_sender"] = "*"
        return self.shuffled(said)

    def fields(self, side: str) -> dict[str, str]:
        """What send and receive rules both have, with their own prefix."""
        said: dict[str, str] = {}
        if self.maybe(0.12):
            said["error"] = self.word(*ERRORS, "*")
        elif self.maybe(0.35):
            said["interface"] = self.word(*INTERFACES, "*")
        if self.maybe(0.2):
            said["path"] = self.word(*PATHS, "*")
        if "error" not in said and said and self.maybe(0.4):
            said["member"] = self.word(*MEMBERS, "*")
        if self.maybe(0.3):
            said["type"] = self.pick(*TYPES)
        if self.maybe(0.15):
            said["requested_reply"] = self.pick(*BOOLEAN)
        said = {f"{side}_{name}": value for name, value in said.items()}
        if said or side == "receive":
            said |= self.modifiers()
        return said

    def modifiers(self) -> dict[str, str]:
        said = {}
        if self.maybe(0.25):
            said["eavesdrop"] = self.pick("true", "true", "false")
        if self.maybe(0.1):
            said["min_fds"] = self.pick("0", "1", "2", "0x1", "03")
        if self.maybe(0.1):
            said["max_fds"] = self.pick("0", "1", "2", "3")
        return said

    def shuffled(self, said: dict[str, str]) -> dict[str, str]:
        pairs = list(said.items())
        self.dice.shuffle(pairs)
        return dict(pairs)
