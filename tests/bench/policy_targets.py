"""Our bus as a system bus, with two policies: nothing refused, and all that the packages say.

The policies are those of tests/packages; what is measured for both is the same work.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tests.bench.cases import Case
from tests.bench.targets import Failure, ours
from tests.packages import fetch, system

OPEN, PACKAGES = "allow-all", "packages"
EVERYTHING = """<busconfig><policy context="mandatory">
<allow user="*"/><allow own="*"/>
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
</policy></busconfig>"""
CLIENT = 65534  # nobody: for root the packages' rules say less


class PolicyTarget(NamedTuple):
    """As a Target, but with a configuration of its own."""

    name: str
    kind: str
    program: list[str]
    main: Path

    def command(self, socket: Path, fd: int) -> list[str]:
        """The whole command line; others than root must come to the socket, too."""
        os.chmod(socket.parent, 0o711)
        address = f"--address=unix:path={socket}"
        config = f"--config-file={self.main}"
        return [*self.program, config, address, "--nofork", f"--print-address={fd}"]


def targets(place: Path) -> list[PolicyTarget]:
    """Both; their files are in `place`."""
    if os.geteuid():
        raise Failure("only root can be a service and its unprivileged client")
    try:
        files = fetch.files()
    except fetch.Unavailable as reason:
        raise Failure(str(reason)) from reason
    packages = system.write(place / PACKAGES, files, known=False)
    everything = place / "everything.conf"
    everything.write_text(EVERYTHING)
    opened = system.write(place / OPEN, {OPEN: [everything]}, known=False)
    return [
        PolicyTarget(OPEN, "bus1", ours(), opened),
        PolicyTarget(PACKAGES, "bus1", ours(), packages),
    ]


def call(name: str, service: str, *methods: str) -> list[Case]:
    """Calls of nobody to a service that root runs, one at a time and 64 in flight."""
    what = f"--dest wellknown --name {service} --methods {','.join(methods)}"
    return [
        Case(f"{name}/w{window}", f"call --client {CLIENT} --window {window} {what}")
        for window in (1, 64)
    ]


NETWORK, INIT = "org.freedesktop.NetworkManager", "org.freedesktop.systemd1"
PROPERTIES = "org.freedesktop.DBus.Properties.Get"

# By what the packages' rules have to be asked: nothing, the interface, the member among a few
# rules, the member among many; and other methods in turn.
CASES = [
    *call("settled", "org.bluez", "org.bluez.Adapter1.StartDiscovery"),
    *call("interface", NETWORK, f"{NETWORK}.Device.Disconnect"),
    *call("member", NETWORK, f"{NETWORK}.GetDevices"),
    *call("members", INIT, f"{INIT}.Manager.GetUnit"),
    *call(
        "mixed",
        NETWORK,
        f"{NETWORK}.GetDevices",
        PROPERTIES,
        f"{NETWORK}.Device.Disconnect",
        f"{NETWORK}.GetDeviceByIpIface",
    ),
]
