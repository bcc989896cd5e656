"""The harness works: loadgen notices a bus that misbehaves, a run gives numbers, tables add up."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.bus import Bus, environment
from tests.bench.cases import CASES, Case, matching
from tests.bench.check import CASES as CHECKED
from tests.bench.check import REQUIREMENTS, check
from tests.bench.main import main
from tests.bench.measure import LOADGEN, Length, Sample, build, measure, measure_start, read
from tests.bench.proxy import RETURN, SIGNAL, Fault, Proxy
from tests.bench.report import report
from tests.bench.samples import START, Samples, estimate, interval
from tests.bench.targets import Failure, target

SHORT = Length(0.02, 0.01)


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build()


@pytest.fixture
def upstream() -> Iterator[str]:
    """The path of a fresh dbus-daemon: nobody left over owns a name."""
    with Bus(target("dbus-daemon")) as bus:
        found = re.match("unix:path=([^,]*)", bus.address)
        assert found
        yield found[1]


def loadgen(upstream: str, workload: str, fault: Fault | None, directory: Path) -> Sample:
    """One run through a proxy that commits the fault."""
    proxy = Proxy(upstream, fault, directory)
    limits = ["--stall", "0.3", "--timeout", "10"]
    command = [LOADGEN, "--address", f"unix:path={proxy.path}", *limits, "--workload"]
    done = subprocess.run(
        [*command, *workload.split()], check=False, capture_output=True, text=True
    )
    proxy.close()
    assert proxy.fired is (fault is not None)
    assert done.returncode == (1 if fault else 0)
    return read(done.stdout, done.stderr)


CALL = "call --window 8 --count 1000 --payload 64"
FANOUT = "fanout --subs 4 --count 2000 --payload 64"
FILTERED = "filtered --holders 3 --rules 2 --count 1000"
NAMES = "names --count 200"
CONNECT = "connect --count 100"

MISBEHAVIOUR = (
    [
        (CALL, Fault(how, RETURN, b"0000", 500), error)
        for how, error in {
            "drop": "reply_serial|no progress",
            "duplicate": "reply_serial|without a call",
            "sender": "reply not from",
            "shorten": "payload length",
            "flip a payload byte": "payload damaged",
            "flip the sequence": "sequence",
            "reply serial": "reply_serial",
            "turn into an error": "want a method return",
            "swap": "reply_serial",
            "hang up": "closed the connection|Broken pipe",
            "misdeliver": "not the call",
        }.items()
    ]
    + [
        (FANOUT, Fault(how, SIGNAL, b"Tick", 501), error)
        for how, error in {
            "drop": "sequence|no progress",
            "duplicate": "sequence",
            "sender": "not the signal",
            "shorten": "payload length",
            "flip a payload byte": "payload damaged",
            "member": "not the signal",
            "swap": "sequence",
            "hang up": "closed the connection",
        }.items()
    ]
    + [
        ("call --count 100", Fault("drop", RETURN, b"0000", 50), "no progress"),
        (
            "call --count 100",
            Fault("duplicate", RETURN, b"0000", 110),
            "after the last|without a call",
        ),
        (
            FILTERED,
            Fault("misdeliver", SIGNAL, b"Tick", 500),
            "no matching rule|unexpected message",
        ),
        (NAMES, Fault("drop", SIGNAL, b"NameOwnerChanged", 150), "out of order|saw"),
        (NAMES, Fault("duplicate", SIGNAL, b"NameOwnerChanged", 150), "out of order"),
        (NAMES, Fault("sender", SIGNAL, b"NameOwnerChanged", 150), "want NameOwnerChanged"),
        (NAMES, Fault("drop", SIGNAL, b"NameLost", 100), "no progress"),
        (NAMES, Fault("duplicate", SIGNAL, b"NameAcquired", 100), "no progress"),
        (CONNECT, Fault("drop", SIGNAL, b"NameAcquired", 50), "no progress"),
        (CONNECT, Fault("reply serial", RETURN, b":1.", 50), "unexpected message"),
    ]
)


@pytest.mark.parametrize(
    ("workload", "fault", "error"),
    MISBEHAVIOUR,
    ids=[f"{workload.split()[0]}-{fault.how}" for workload, fault, _ in MISBEHAVIOUR],
)
def test_loadgen_notices_misbehaviour(
    upstream: str, workload: str, fault: Fault, error: str, tmp_path: Path
) -> None:
    assert re.search(error, loadgen(upstream, workload, fault, tmp_path).error)


@pytest.mark.parametrize("workload", [CALL, FANOUT, FILTERED, NAMES, CONNECT])
def test_loadgen_is_content_with_a_good_bus(upstream: str, workload: str, tmp_path: Path) -> None:
    sample = loadgen(upstream, workload, None, tmp_path)
    assert not sample.error
    assert sample.values["ops"] >= 100


SOME = matching("^(call/8B/w64|call/8B/w64/name|fdpass/w16|fanout/10|filtered/10|names/w16)$")


@pytest.mark.parametrize("name", ["bus1", "dbus-daemon"])
@pytest.mark.parametrize("case", SOME, ids=[case.name for case in SOME])
def test_a_run_gives_numbers(name: str, case: Case) -> None:
    sample = measure(target(name), case, SHORT)
    assert not sample.error
    assert sample.values["bus_cpu_us"] > 0
    assert sample.values["rate"] > 0


def test_idle_connections_are_weighed() -> None:
    case = Case("idle/20", "idle --holders 20 --rules 10 --rule-kind object")
    assert measure(target("dbus-daemon"), case, SHORT).values["grown_kib"] > 0


@pytest.mark.parametrize("name", ["bus1", "dbus-daemon"])
def test_starting_is_timed(name: str) -> None:
    sample = measure_start(target(name))
    assert sample.values["startup_ms"] > 0
    assert sample.values["rss_kib"] > 0


def test_a_target_that_does_not_start_is_reported() -> None:
    broken = target("broken=sh -c 'echo no luck >&2; exit 3'")
    for sample in measure_start(broken), measure(broken, CASES[0], SHORT):
        assert re.search("without printing an address.*no luck", sample.error)
    with pytest.raises(Failure, match="unknown target"):
        target("no-such-bus")


def test_the_command_reports(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--rounds", "1", "--duration", "0.01", "--json", str(tmp_path / "out.json")]
    assert main(["relay", "dbus-daemon", "--only", "^call/8B/w1$", *options]) == 0
    shown = capfd.readouterr().out
    assert re.search(r"call/8B/w1 +\| dbus-daemon +\| +[\d,]+ +\|.*x \(", shown)
    assert "bus_cpu_us" in (tmp_path / "out.json").read_text()


def test_the_script_lists_the_workloads() -> None:
    script = Path(__file__).with_name("run")
    listed = subprocess.run(
        [str(script), "--list"],
        env=environment() | {"PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert len(listed.stdout.splitlines()) == len(CASES)


# ---- statistics and tables, on canned samples


def test_the_interval_holds_the_median_with_95_percent() -> None:
    """Order statistics: of 15 values the 4th and the 12th."""
    assert interval([float(value) for value in range(1, 16)]) == (4.0, 12.0)
    assert interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert estimate([]) is None


def canned(**ours: float) -> Samples:
    """Six rounds; dbus-daemon needs 10 us for everything, ours what is said, 1 us if nothing."""
    samples = Samples()
    for number in range(6):
        slower = 1 + number  # the machine, in this round
        for case in CHECKED:
            cost = ours.get(case.name.replace("/", "_"), 1.0)
            base = {"rate": 100.0, "grown_kib": 9.0}
            samples.add(case.name, "dbus-daemon", Sample(base | {"bus_cpu_us": 10.0 * slower}))
            samples.add(case.name, "bus1", Sample(base | {"bus_cpu_us": cost * slower}))
        samples.add(START, "bus1", Sample({"startup_ms": ours.get("startup", 99.0) + number}))
    return samples


def test_ratios_are_taken_round_by_round() -> None:
    """However the machine's speed changes between the rounds."""
    case = "call/8B/w1"
    ratios = canned(call_8B_w1=5.0).ratios((case, "bus1"), (case, "dbus-daemon"), "bus_cpu_us")
    assert ratios == [0.5] * 6


def test_all_requirements_can_be_met() -> None:
    table, met = check(canned())
    assert met
    assert len(table.splitlines()) == 2 + len(REQUIREMENTS)


@pytest.mark.parametrize(
    ("case", "value", "missed"),
    [
        ("call_8B_w1", 6.1, 1),
        ("call_8B_w64", 2.6, 1),
        ("fanout_100", 1.1, 1),
        ("filtered_1000", 1.3, 1),
        ("startup", 149.0, 1),  # the median, not the least
        ("startup", 151.0, 2),
    ],
)
def test_what_misses_its_limit_is_said(case: str, value: float, missed: int) -> None:
    table, met = check(canned(**{case: value}))
    assert not met
    assert table.count("MISSED") == missed


def test_what_could_not_be_measured_is_not_met() -> None:
    samples = canned()
    samples.all["idle/1000", "bus1"] = [Sample({}, "it crashed")]
    table, met = check(samples)
    assert not met
    assert "FAILED" in table
    assert samples.failures() == ["FAILED idle/1000 on bus1 (1x): it crashed"]


def test_the_report_compares_with_the_first_target() -> None:
    samples = canned(call_8B_w1=5.0)
    text = report(samples, CHECKED, ["dbus-daemon", "bus1"])
    assert re.search(r"call/8B/w1 +\| bus1 .* 1.00x \(1.00-1.00\) \| +0.50x \(0.50-0.50\) \|", text)
    assert re.search(r"idle/1000 \| bus1 +\| +9.00 \|", text)
