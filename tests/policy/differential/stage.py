"""One bus and its clients: plays rounds of messages and says what everybody saw.

A call without a destination is answered by every bus, whatever its policy says: so it shows
that all that came before has been read, and that nothing more will come.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests import raw
from tests.buses import Bus, start
from tests.policy.differential.letters import HELLO, Letter, Seen, seen
from tests.policy.differential.visitors import Identity, visit
from tests.raw import Client, Closed

COMPLAINT = re.compile(r"\S+\[\d+\]: ((?:Rejected|Would reject) .*? destination=\S+ \([^)]*\))")
UNASKED = "; nobody waits for this reply"
RELOADED = "ActivatableServicesChanged"  # says how often files were read, and nothing else
PATIENCE = 0.1  # seconds until a client counts as let in
FIRST_BARRIER = 1 << 20  # serials of letters are below
PEER = [(raw.PATH, "/"), (raw.INTERFACE, "org.freedesktop.DBus.Peer"), (raw.MEMBER, "Ping")]


class Stage:
    """A bus of one kind with a policy. `clients` are those that came in, by their number."""

    def __init__(self, kind: str, directory: Path, configuration: Path) -> None:
        address = f"unix:abstract={directory}"
        self.bus: Bus = start(
            kind,
            directory,
            argv=(f"--config-file={configuration}", f"--address={address}"),
        )
        self.kind = kind
        self.clients: dict[int, Client] = {}
        self.barriers = FIRST_BARRIER
        self.null = os.open("/dev/null", os.O_RDONLY)

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
        os.close(self.null)
        self.bus.stop()

    # ----------------------------------------------------------------- connections

    def enter(self, number: int, identity: Identity) -> bool:
        """Does this client come in, and is it known to the bus after Hello?"""
        client = visit(self.bus.address, identity)
        if client is None:
            return False
        try:
            client.write(HELLO.bytes())
            self.ask(client)
            client.unread += self.until_answered(client)
        except Closed:
            client.close()
            return False
        self.clients[number] = client
        return True

    def refuses(self, identity: Identity) -> bool:
        """Is this client turned away? One that is not has said nothing yet, and goes."""
        client = visit(self.bus.address, identity)
        if client is None:
            return True
        client.sock.settimeout(PATIENCE)
        try:
            client.read()
        except Closed:
            return True
        except TimeoutError:
            return False
        finally:
            client.close()
        raise AssertionError("a message before Hello")

    def leave(self, number: int) -> None:
        """The client goes; returns when the bus has noticed."""
        client = self.clients.pop(number)
        client.sock.shutdown(socket.SHUT_WR)
        client.rest()
        client.close()

    def reload(self) -> None:
        """The files have changed; returns when they hold."""
        before = self.reloads()
        os.kill(self.bus.pid, signal.SIGHUP)
        end = time.monotonic() + raw.TIMEOUT
        while self.reloads() == before:
            assert time.monotonic() < end, f"not reloaded\n{self.bus.log()}"
            time.sleep(0.002)

    def reloads(self) -> int:
        return self.bus.log().count("Reloaded configuration")

    def complaints(self) -> Counter[str]:
        """What the log says of messages that were refused, or would be; without the reason."""
        found = (COMPLAINT.match(line) for line in self.bus.log().splitlines())
        return Counter(each[1] for each in found if each and UNASKED not in each.string)

    # ---------------------------------------------------------------------- rounds

    def play(self, letters: Mapping[int, Sequence[Letter]]) -> dict[int, list[Seen]]:
        """Send each client's letters, in order; then everything that anybody received."""
        for number, each in letters.items():
            self.write(self.clients[number], each)
        for number in letters:
            self.ask(self.clients[number])
        for number in letters:
            client = self.clients[number]
            client.unread += self.until_answered(client)
        for client in self.clients.values():
            self.ask(client)
        return {number: self.collect(client) for number, client in self.clients.items()}

    def write(self, client: Client, letters: Sequence[Letter]) -> None:
        """As few writes as descriptors allow."""
        data = b""
        for letter in letters:
            if letter.fds:
                if data:
                    client.write(data)
                client.write(letter.bytes(), [self.null] * letter.fds)
                data = b""
            else:
                data += letter.bytes()
        if data:
            client.write(data)

    def ask(self, client: Client) -> None:
        self.barriers += 1
        client.serial = self.barriers
        client.write(raw.build(raw.CALL, self.barriers, PEER))

    def until_answered(self, client: Client) -> list[raw.Message]:
        messages = []
        while True:
            message = client.read()
            if message.reply_to == client.serial and message.sender is None:
                return messages
            messages.append(message)

    def collect(self, client: Client) -> list[Seen]:
        """All that it received until its last barrier."""
        messages = client.unread + self.until_answered(client)
        client.unread = []
        for message in messages:
            for fd in message.fds:
                with suppress(OSError):
                    os.close(fd)
        return [seen(message) for message in messages if message.member != RELOADED]
