"""How long a policy takes to load, and to load again in a bus that has clients."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.bench.bus import Bus
from tests.bench.measure import Sample
from tests.bench.policy_targets import PolicyTarget
from tests.bench.targets import ROOT, Failure
from tests.raw import CALL, RETURN, Client

CLIENTS = 200
RELOADS = 7
SERVICE = "org.bluez"
LOAD = """
import sys, time
begun = time.perf_counter()
from policy.files.load import load
from policy.people import People
from policy.policy import Policy
imported = time.perf_counter()
Policy(load(sys.argv[1]), People())
done = time.perf_counter()
print((done - imported) * 1e3, (done - begun) * 1e3)
"""


def loading(main: Path) -> Sample:
    """Milliseconds in a fresh process: files to policy, and that with the import."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(main)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Sample({}, done.stderr.strip())
    load, both = map(float, done.stdout.split())
    return Sample({"load_ms": load, "with_import_ms": both})


def reloading(target: PolicyTarget) -> list[Sample]:
    """Milliseconds until ReloadConfig is answered, and the longest that calls which go on all
    the while waited; every client must have kept all that it had."""
    try:
        with Bus(target) as bus:
            clients = [Client(bus.address) for _ in range(CLIENTS)]
            try:
                return reload_with(clients)
            finally:
                for client in clients:
                    client.close()
    except (Failure, AssertionError, OSError) as error:
        return [Sample({}, f"reload: {error!r}")]


def reload_with(clients: list[Client]) -> list[Sample]:
    administrator, service, caller, *others = clients
    if service.own(SERVICE) != 1:
        raise Failure(f"{SERVICE} has another owner")
    for client in others:
        client.match(f"type='signal',sender='{SERVICE}'")
    samples = []
    for number in range(RELOADS):
        with Traffic(service, caller) as traffic:
            begun = time.perf_counter()
            answer = administrator.ask("ReloadConfig")
            took = time.perf_counter() - begun
        if answer.kind != RETURN:
            raise Failure(f"ReloadConfig: {answer.args}")
        kept(service, others, number)
        samples.append(Sample({"reload_ms": took * 1e3, "waited_ms": traffic.longest * 1e3}))
    return samples


def kept(service: Client, others: list[Client], number: int) -> None:
    """Names, rules and connections are still there: each gets exactly one signal."""
    if service.ask("GetNameOwner", "s", SERVICE).args != [service.name]:
        raise Failure(f"{SERVICE} is no longer owned")
    service.signal("Tick", "u", number)
    service.settle()
    for client in others:
        client.settle()
        ticks = [message.args for message in client.unread if message.sender == service.name]
        if ticks != [[number]]:
            raise Failure(f"after a reload {client.name} saw {ticks}")
        client.unread.clear()


class Traffic:
    """Calls from one client to another, one after the other, until the reload is over."""

    def __init__(self, service: Client, caller: Client) -> None:
        self.service, self.caller = service, caller
        self.longest = 0.0
        self.stopped = False
        self.error: Exception | None = None
        self.threads = [
            threading.Thread(target=self.run, args=[do]) for do in (self.serve, self.call)
        ]

    def __enter__(self) -> Traffic:
        for thread in self.threads:
            thread.start()
        time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped = True
        for thread in self.threads:
            thread.join()
        if self.error:
            raise Failure(f"a call was lost: {self.error!r}")

    def run(self, do: object) -> None:
        assert callable(do)
        try:
            do()
        except Exception as error:
            self.error = error
            self.stopped = True

    def serve(self) -> None:
        while (call := self.service.wait(lambda message: message.kind == CALL)).member != "Last":
            self.service.reply(call)
        self.service.reply(call)

    def call(self) -> None:
        options = {"to": SERVICE, "path": "/", "interface": SERVICE}
        while not self.stopped:
            begun = time.perf_counter()
            answer = self.caller.ask("Next", **options)
            assert answer.kind == RETURN, answer.args
            self.longest = max(self.longest, time.perf_counter() - begun)
        assert self.caller.ask("Last", **options).kind == RETURN
