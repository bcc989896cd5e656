"""A program of clients that are killed: `python -m tests.behaviour.cycles ADDRESS`.

For each line of its input, a number, it forks so many clients. Each does what ACTS says, all at
once, and stays. It prints their names; at the next line it kills them with SIGKILL, and prints
`killed`. It ends with its input.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.raw import CALL, Client, build, call_fields, socket_to

STEADY: Final = "com.example.Steady"  # who outlives them all
SHARED: Final = "com.example.Shared"  # a name for which they stand in line


def only_connects(address: str, number: int) -> Client | None:
    keep.append(socket_to(address))
    return None


def stops_in_the_handshake(address: str, number: int) -> Client | None:
    keep.append(socket_to(address))
    keep[-1].sendall(b"\0AUTH EXTERNAL\r\n"[: 1 + number % 16])  # type: ignore[attr-defined]
    return None


def says_hello(address: str, number: int) -> Client | None:
    return Client(address)


def owns_and_calls(address: str, number: int) -> Client | None:
    client = Client(address)
    client.own(f"com.example.N{os.getpid()}")
    client.match("type=signal")
    for _ in range(number % 5 + 1):
        client.call("Ask", "s", "x" * 1000, to=STEADY)
    return client


def waits_in_line(address: str, number: int) -> Client | None:
    client = Client(address)
    client.own(SHARED, number % 4)  # ALLOW_REPLACEMENT and REPLACE_EXISTING in all ways
    client.match(f"sender={SHARED},arg0={number}")
    return client


def stops_in_a_message(address: str, number: int) -> Client | None:
    client = Client(address)
    data = build(CALL, 99, call_fields(STEADY, "/", None, "Ask"), "s", ["y" * 5000])
    client.write(data[: number * 97 % len(data)])
    return client


def sends_descriptors(address: str, number: int) -> Client | None:
    """Those of one message come whole, those of the other without the rest of it."""
    client = Client(address)
    client.call("Take", "hh", 0, 1, to=STEADY, fds=[0, 1])
    data = build(CALL, 99, [*call_fields(STEADY, "/", None, "Take"), (9, 1)], "h", [0])
    client.write(data[:20], [0])
    return client


def calls_and_closes(address: str, number: int) -> Client | None:
    client = Client(address)
    client.own(f"com.example.N{os.getpid()}")
    client.call("Ask", to=STEADY)
    client.call("GetId")
    client.sock.close()
    return None


def does_not_read(address: str, number: int) -> Client | None:
    client = Client(address)
    client.match("type=signal")
    client.match(f"sender={STEADY}")
    for _ in range(50):
        client.call("ListNames")
    client.call("Ask", to=client.name)
    return client


ACTS: Final[tuple[Callable[[str, int], Client | None], ...]] = (
    only_connects,
    stops_in_the_handshake,
    says_hello,
    owns_and_calls,
    waits_in_line,
    stops_in_a_message,
    sends_descriptors,
    calls_and_closes,
    does_not_read,
    owns_and_calls,
)
keep: list[object] = []  # what is open as long as the process lives


def client(address: str, number: int, done: int) -> None:
    """In the child: do it, say the name, and wait for the end."""
    try:
        found = ACTS[number % len(ACTS)](address, number)
        keep.append(found)
        os.write(done, f"{found.name if found else '-'} ".encode())
        while True:
            signal.pause()
    except BaseException:
        with suppress(BaseException):
            traceback.print_exc()
    finally:
        os._exit(1)


def one_round(address: str, first: int, count: int) -> None:
    """So many clients, from their beginning to their end."""
    read, write = os.pipe()
    children = []
    for number in range(first, first + count):
        child = os.fork()
        if not child:
            client(address, number, write)
        children.append(child)
    os.close(write)
    said = b""
    while said.count(b" ") < count and (more := os.read(read, 65536)):
        said += more
    os.close(read)
    print(said.decode(), flush=True)
    sys.stdin.readline()
    for child in children:
        os.kill(child, signal.SIGKILL)
    ends = [os.waitpid(child, 0)[1] for child in children]
    assert ends == [signal.SIGKILL] * count, ends
    print("killed", flush=True)


def main() -> None:
    first = 0
    while line := sys.stdin.readline():
        one_round(sys.argv[1], first, int(line))
        first += int(line)


if __name__ == "__main__":
    main()
