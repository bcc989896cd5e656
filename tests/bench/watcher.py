"""A monitor for measurements: it sees everything, and reads it or does not.

One that does not read has had enough before it begins: all that may wait for it waits.
"""

from __future__ import annotations

import signal
import sys

from tests.raw import Client

TOO_MUCH = 48  # MiB
MONITORING = "org.freedesktop.DBus.Monitoring"


def main(address: str, mode: str) -> None:
    client = Client(address)
    assert not client.ask("BecomeMonitor", "asu", [], 0, interface=MONITORING).error
    if mode != "reading":
        overwhelm(address)
    print("watching", flush=True)
    client.sock.settimeout(None)
    room = bytearray(1 << 20)
    while mode != "reading" or client.sock.recv_into(room):
        if mode != "reading":
            signal.pause()


def overwhelm(address: str) -> None:
    """Send more than may wait for a monitor (quotas.MONITOR_BYTES), which nobody else gets."""
    with Client(address) as client:
        for _ in range(TOO_MUCH):
            client.signal("Flood", "s", "x" * (1 << 20))
        client.ask("GetId")


if __name__ == "__main__":
    main(*sys.argv[1:])
