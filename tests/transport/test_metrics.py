"""OpenMetrics: what is counted, how it is asked for, and that nobody who asks can harm the bus."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bridge.transport import launch, metrics, openmetrics
from bridge.transport.lag import BOUNDS
from bridge.transport.launch import StartError, listen, listen_for_metrics
from bus1.quota import Limits as Quota
from policy.rule import Origin, Rule
from tests.buses import missing, start
from tests.native.peer import Peer, once
from tests.raw import CALL, DRIVER, DRIVER_PATH, Client, build, call_fields
from tests.transport.running import SECONDS, Running, allowing

Make = Callable[..., Running]
Samples = dict[tuple[str, ...], float]


def rule(name: str) -> Rule:
    return Rule(allow=False, about="own", name=name, origin=Origin("/etc/x.conf", 7, "default"))


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "metrics")


@pytest.fixture
def here(make: Make, place: str) -> Running:
    """A bus that is counted; x.No may be owned by nobody."""
    return make(configuration=allowing(rule("x.No"), auth=("EXTERNAL",), metrics=place))


@pytest.fixture
def fresh(here: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """No answer is kept for others."""
    monkeypatch.setattr(metrics, "FRESH", 0.0)
    return here


def connected(place: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(SECONDS)
    sock.connect(place)
    return sock


def asked(here: Running) -> Any:
    """Whoever answers, once it does."""
    return here.do(lambda: here.server.counting.metrics)


def ask(place: str, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
    """All that is answered, until the bus hangs up."""
    with connected(place) as sock:
        sock.sendall(request)
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def scrape(place: str) -> dict[str, Metric]:
    """The families by name, as Prometheus reads them."""
    head, _, body = ask(place).decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    found = list(text_string_to_metric_families(body))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


def samples(place: str, family: str) -> Samples:
    """By the values of the labels, in the order of their names."""
    return {
        tuple(sample.labels[key] for key in sorted(sample.labels)): sample.value
        for sample in scrape(place)[family].samples
    }


def value(place: str, family: str) -> float:
    return samples(place, family)[()]


# ------------------------------------------------------------------------- what is said


def test_messages_and_what_became_of_them(fresh: Running, place: str, a: Client, b: Client) -> None:
    b.own("x.y")
    a.call("M", to="x.y")
    b.reply(b.receive("M"))
    a.call("M", to="x.gone")
    a.ask("RequestName", "su", "x.No", 0)
    a.signal("S", to=b.name)
    b.match("type='signal',interface='t.T'")
    a.signal("S")
    a.take()
    found = samples(place, "bus_messages")
    for kind in ("method_call", "reply", "signal"):
        assert found["delivered", kind] == 1
    assert found["delivered", "broadcast"] >= 1
    assert (found["no_owner", "method_call"], found["denied", "method_call"]) == (1, 1)
    assert value(place, "bus_method_calls") > 5
    assert samples(place, "bus_message_bytes")[("in",)] > 500


def test_connections(fresh: Running, place: str, a: Client) -> None:
    b = fresh.connect()
    b.ask("BecomeMonitor", "asu", [], 0, interface="org.freedesktop.DBus.Monitoring")
    with fresh.socket():
        fresh.until(lambda: len(fresh.server.door.incomplete) == 1)
        found = samples(place, "bus_connections")
    assert found == {("active",): 1, ("native",): 0, ("incomplete",): 1, ("monitor",): 1}
    assert value(place, "bus_connections_opened") == 2


def test_rights(make: Make, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FRESH", 0.0)
    delegate = Rule(allow=True, about="delegate")
    here = make(native=True, configuration=allowing(delegate, metrics=place))
    a, b, n = here.connect(), here.connect(), Peer(here.native)
    a.ask("Grant", "soss", b.name, "/p", "", "", interface="org.bus1.Capability1")
    assert samples(place, "bus_rights") == {("grant",): 1, ("handle",): 0}
    (bridge,) = n.seed().values
    fields = call_fields(DRIVER, DRIVER_PATH, "org.bus1.Native1", "Right")
    n.send(bridge, build(CALL, 1, fields, "ssss", ("x.y", "", "", "")), [once(n.create(), 1)])
    assert samples(place, "bus_rights") == {("grant",): 1, ("handle",): 1}
    for each in (a, n):
        each.close()
    b.receive("RightLost")
    here.until(lambda: here.server.hub.native == 0)
    assert samples(place, "bus_rights") == {("grant",): 0, ("handle",): 0}


def test_who_is_not_let_in(fresh: Running, place: str) -> None:
    with fresh.socket() as sock:
        sock.sendall(b"nonsense")
        assert sock.recv(1) == b""
    assert samples(place, "bus_auth_failures") == {("authentication",): 1}


def test_what_waits_is_told_by_well_known_names(
    fresh: Running, place: str, a: Client, b: Client
) -> None:
    b.own("x.slow")
    b.match("member='M'")
    fresh.narrow(b)
    for _ in range(100):
        a.signal("S", "s", "x" * 20_000, to=b.name)
    a.call("M", to=b.name)
    a.take()
    assert samples(place, "bus_queue_bytes")[("x.slow",)] > 500_000
    assert samples(place, "bus_queue_messages")[("x.slow",)] > 25
    assert samples(place, "bus_match_rules") == {("x.slow",): 1, ("other",): 0}
    assert samples(place, "bus_pending_replies") == {("x.slow",): 1, ("other",): 0}
    assert samples(place, "bus_quota_used_ratio")["bytes", str(os.geteuid())] > 0
    b.take()
    assert samples(place, "bus_queue_bytes") == {("other",): 0}
    assert samples(place, "bus_queue_high_watermark_bytes")[("x.slow",)] > 500_000


def test_labels_have_an_end(
    fresh: Running, place: str, a: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has most is told of; all others together are one."""
    monkeypatch.setattr(openmetrics, "SHOWN", 3)
    for number in range(1, 8):
        client = fresh.connect()
        client.own(f"x.n{number}")
        for _ in range(number):
            client.match("member='M'")
    found = samples(place, "bus_match_rules")
    assert found == {("x.n7",): 7, ("x.n6",): 6, ("x.n5",): 5, ("other",): 1 + 2 + 3 + 4}


def test_no_label_has_what_a_client_says(fresh: Running, place: str, a: Client) -> None:
    for word in ("Secret1", 'Se"cret2\\', "Se\ncret3"):
        a.call("M", "s", word, to="x.Secret")
        a.ask("Secret4", interface="t.Secret")
    text = ask(place).decode()
    assert "ecret" not in text
    assert a.name not in text


def test_denials_by_rule(fresh: Running, place: str, a: Client, b: Client) -> None:
    for _ in range(3):
        a.ask("RequestName", "su", "x.No", 0)
    a.send(2, [(6, b.name), (5, 77)])  # a reply that nobody waits for
    a.take()
    found = samples(place, "bus_policy_denied")
    assert found["default", "own", "/etc/x.conf", "7"] == 3
    assert found["", "reply", "", ""] == 1


def test_counters_survive_a_reload(fresh: Running, place: str, a: Client) -> None:
    a.ask("RequestName", "su", "x.No", 0)
    before = value(place, "bus_method_calls")
    fresh.configuration = allowing(metrics=place)
    assert a.ask("ReloadConfig").error is None
    assert value(place, "bus_method_calls") > before
    assert samples(place, "bus_policy_denied")["default", "own", "/etc/x.conf", "7"] == 1
    assert samples(place, "bus_config_reload") == {("success",): 1, ("failure",): 0}


def test_the_loops_lag_is_a_histogram(fresh: Running, place: str) -> None:
    scrape(place)  # it serves
    fresh.do(fresh.server.counting.lag.measure)
    found = scrape(place)["bus_loop_lag_seconds"]
    assert found.type == "histogram"
    buckets = [each.value for each in found.samples if each.name.endswith("_bucket")]
    assert len(buckets) == len(BOUNDS) + 1
    assert buckets == sorted(buckets)
    assert buckets[-1] >= 1


def counts(family: Metric, **labels: str) -> list[float]:
    """The last bucket of a histogram, and the count it says."""
    found = [each for each in family.samples if labels.items() <= each.labels.items()]
    whole = [each.value for each in found if each.labels.get("le") == "+Inf"]
    return whole + [each.value for each in found if each.name.endswith("_count")]


def test_what_a_client_sends_takes_a_while(fresh: Running, place: str, a: Client) -> None:
    before = counts(scrape(place)["bus_dispatch_seconds"])
    for _ in range(5):
        a.ask("GetId")
    after = counts(scrape(place)["bus_dispatch_seconds"])
    assert after[0] == after[1] == before[0] + 5


def test_replies_by_who_is_called(fresh: Running, place: str, a: Client, b: Client) -> None:
    """Also those that will never come; those of clients without a name are together."""
    b.own("x.y")
    nobody = fresh.connect()
    for _ in range(2):
        serial = a.call("M", to="x.y")
        b.reply(b.receive("M"))
        a.answer(serial)
    serial = a.call("M", to=nobody.name)
    nobody.receive("M")
    assert counts(scrape(place)["bus_reply_seconds"], dest="other") == [0, 0]
    nobody.close()
    a.answer(serial)
    found = scrape(place)["bus_reply_seconds"]
    assert counts(found, dest="x.y") == [2, 2]
    assert counts(found, dest="other") == [1, 1]
    assert fresh.do(lambda: fresh.server.counting.latency.begun) == {}


def test_deadlines_of_replies_hold_while_they_are_measured(make: Make, place: str) -> None:
    limits = {"reply_timeout": 50}
    here = make(configuration=allowing(limits=limits, metrics=place))
    a, b = here.connect(), here.connect()
    assert a.answer(a.call("M", to=b.name)).error.endswith("NoReply")
    assert counts(scrape(place)["bus_reply_seconds"], dest="other") == [1, 1]


def test_users_without_room(fresh: Running, place: str, a: Client, b: Client) -> None:
    fresh.narrow(b)
    b.match("member='S'")
    user = str(os.geteuid())
    b.take()
    fresh.client(b).peer.reset(Quota(bytes=1000, messages=100, handles=100, fds=10))
    for _ in range(3):
        a.signal("S", "s", "x" * 2000)
    a.take()
    assert samples(place, "bus_quota_exceeded")[(user, user)] == 3


def test_bytes_of_both_directions(fresh: Running, place: str, a: Client) -> None:
    before = samples(place, "bus_message_bytes")
    a.ask("ListNames")
    after = samples(place, "bus_message_bytes")
    assert after[("out",)] - before[("out",)] > 50
    assert after[("in",)] - before[("in",)] > 50


def test_starts_by_how_they_ended(fresh: Running, place: str) -> None:
    tally = fresh.server.hub.tally
    tally.start("x.y", "started", 0.5)
    tally.start("x.y", "started", 0.25)
    tally.start("x.y", "TimedOut", 25.0)
    found = scrape(place)["bus_activation_seconds"].samples
    told = {(each.name, each.labels["result"]): each.value for each in found}
    assert told == {
        ("bus_activation_seconds_count", "started"): 2,
        ("bus_activation_seconds_sum", "started"): 0.75,
        ("bus_activation_seconds_count", "TimedOut"): 1,
        ("bus_activation_seconds_sum", "TimedOut"): 25.0,
    }


# --------------------------------------------------------------------------- how to ask


def test_curl_and_prometheus_understand_it(fresh: Running, place: str) -> None:
    curl = shutil.which("curl") or missing("curl is not installed") or ""
    done = subprocess.run(
        [curl, "-sS", "-i", "--unix-socket", place, "http://bus/metrics"],
        capture_output=True, text=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    head, _, body = done.stdout.partition("\n\n")
    assert re.search(r"^Content-Type: application/openmetrics-text; version=1\.0\.0; ", head, re.M)
    assert f"Content-Length: {len(body.encode())}\n" in head + "\n"
    assert body.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("request_", "status", "empty"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"200 OK", False),
        (b"GET /metrics?a=b HTTP/1.0\n\n", b"200 OK", False),
        (b"HEAD /metrics HTTP/1.1\r\nX: y\r\n\r\n", b"200 OK", True),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404 Not Found", True),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", True),
        (b"\r\n\r\n", b"405 Method Not Allowed", True),
        (b"\xff\x00 \xff\r\n\r\n", b"405 Method Not Allowed", True),
    ],
)
def test_requests(here: Running, place: str, request_: bytes, status: bytes, empty: bool) -> None:
    head, _, body = ask(place, request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"Connection: close" in head
    assert (body == b"") is empty


def test_a_request_in_pieces(here: Running, place: str) -> None:
    with connected(place) as sock:
        for byte in b"GET / HTTP/1.1\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert sock.recv(12) == b"HTTP/1.1 200"


def test_the_socket_is_for_its_owner_and_group(here: Running, place: str) -> None:
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o660
    here.stop()
    assert not os.path.lexists(place)


# ------------------------------------------------------------------------ no harm is done


@pytest.mark.parametrize("data", [b"x" * (metrics.LONGEST + 1), b""])
def test_who_sends_no_request_is_hung_up_on(here: Running, place: str, data: bytes) -> None:
    with connected(place) as sock:
        sock.settimeout(metrics.SECONDS / 2)  # it is not its time that ends it
        sock.sendall(data)
        if not data:
            sock.shutdown(socket.SHUT_WR)
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            assert data  # not all of it was read
    assert ask(place)


def test_few_are_answered_at_once_and_not_for_long(
    make: Make, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who are silent hold the others up, and only until their time is over."""
    monkeypatch.setattr(metrics, "SECONDS", 0.3)
    here = make(configuration=allowing(metrics=place))
    before = here.descriptors()
    silent = [connected(place) for _ in range(3 * metrics.AT_ONCE)]
    opened = asked(here)
    here.until(lambda: len(opened.open) == metrics.AT_ONCE)
    assert here.descriptors() <= before + len(silent) + metrics.AT_ONCE
    client = here.connect()
    assert client.is_open()
    assert ask(place).endswith(b"# EOF\n")
    for sock in silent:
        assert sock.recv(1) == b""
        sock.close()
    assert opened.open == {}


def test_who_does_not_read_is_hung_up_on(
    make: Make, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "SECONDS", 0.3)
    here = make(configuration=allowing(metrics=place))
    opened = asked(here)
    opened.expose = lambda: ("text/plain", b"x" * 5_000_000)
    with connected(place) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        here.until(lambda: len(opened.open) == 1)
        assert here.connect().is_open()
        here.until(lambda: not opened.open)
        assert 0 < len(b"".join(iter(lambda: sock.recv(1 << 20), b""))) < 5_000_000


def test_who_reads_slowly_gets_all_of_it(here: Running, place: str) -> None:
    opened = asked(here)
    opened.expose = lambda: ("text/plain", b"x" * 2_000_000)
    with connected(place) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(10_000), b""))
    assert len(answer.partition(b"\r\n\r\n")[2]) == 2_000_000


def test_asking_often_costs_nothing(here: Running, place: str) -> None:
    opened = asked(here)
    made = 0
    real = opened.expose

    def expose() -> Any:
        nonlocal made
        made += 1
        return real()

    opened.expose = expose
    begun = time.monotonic()
    answers = [ask(place) for _ in range(20)]
    assert made <= 1 + (time.monotonic() - begun) // metrics.FRESH + 1
    assert len(answers) > made


def test_a_mistake_in_counting_is_no_end(
    here: Running, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    opened = asked(here)
    opened.expose = lambda: {}["x"]
    assert ask(place).startswith(b"HTTP/1.1 500 ")
    assert "An error of the bus itself, when it was counted" in caplog.text
    assert here.connect().is_open()


# ------------------------------------------------------------------------- where it listens


@pytest.fixture
def handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Two listening sockets, handed over as the service manager does: for clients, and this."""
    with socket.socket(socket.AF_UNIX) as clients, socket.socket(socket.AF_UNIX) as counted:
        for place, sock in enumerate((clients, counted)):
            sock.bind(str(tmp_path / str(place)))
            sock.listen()
            os.dup2(sock.fileno(), 700 + place)
        monkeypatch.setattr(launch, "FIRST_INHERITED", 700)
        yield {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": "2",
            "LISTEN_FDNAMES": "bus.socket:metrics",
        }


def test_a_socket_that_was_handed_over(handed: dict[str, str], tmp_path: Path) -> None:
    (ours,) = listen_for_metrics(None, handed)
    (clients,) = listen("systemd:", handed)
    assert ours.socket.getsockname() == str(tmp_path / "1")
    assert clients.socket.getsockname() == str(tmp_path / "0")
    assert handed == {}
    for listener in (ours, clients):
        listener.close()
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]  # whoever made them removes them


def test_nothing_is_wanted_nothing_is_done() -> None:
    assert listen_for_metrics(None, {}) == ()


def test_what_is_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="Address already in use"):
        listen_for_metrics(str(tmp_path / "file"), {})
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize("place", ["run/metrics", "file/metrics"])
def test_the_program_starts_with_or_without(tmp_path: Path, place: str) -> None:
    """A relative path is that of the file. What cannot be opened is said, and no more."""
    (tmp_path / "file").touch()
    (tmp_path / "bus.toml").write_text(
        f'type = "session"\nlisten = ["unix:path={tmp_path}/bus"]\nmetrics = "{place}"\n'
        '[[policy]]\nfor = "default"\nrules = [{ allow = "connect", user = "*" }, '
        '{ allow = "send", to = "*" }, { allow = "receive", from = "*" }]\n'
    )
    bus = start("ours", tmp_path, argv=(f"--config-file={tmp_path}/bus.toml",))
    try:
        assert bus.connect().is_open()
        if place.startswith("run"):
            assert samples(str(tmp_path / place), "bus_connections")[("active",)] == 1
        else:
            assert f'There are no metrics: Failed to bind socket "{tmp_path}/file/' in bus.log()
    finally:
        bus.stop()
    assert not os.path.lexists(tmp_path / place)
