"""Tables of what was measured, every target against the first."""

from __future__ import annotations

from tests.bench.cases import Case
from tests.bench.samples import START, Estimate, Samples, estimate

Row = list[str]


def number(value: float) -> str:
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def median(found: Estimate | None) -> str:
    return number(found.median) if found else "-"


def spread(found: Estimate | None) -> str:
    return f"{found.spread:.0%}" if found else "-"


def ratio(found: Estimate | None) -> str:
    return f"{found.median:.2f}x ({found.low:.2f}-{found.high:.2f})" if found else ""


def table(head: Row, rows: list[Row], texts: int = 2) -> str:
    """Markdown that can be read as it is; all columns after the first `texts` are numbers."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: Row) -> str:
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(cells) + " |"

    rule = [("-" if i < texts else "-" * (w - 1) + ":").ljust(w, "-") for i, w in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def workloads(samples: Samples, cases: list[Case], targets: list[str]) -> str:
    first = targets[0]
    head = ["workload", "target", "ops/s", "±", "p50 us", "p99 us", "CPU us/msg", "±"]
    head += ["load us/msg", f"ops/s vs {first}", f"CPU vs {first}"]
    pairs = [(c.name, t) for c in cases for t in targets if (c.name, t) in samples.all]
    return table(head, [workload(samples, case, target, first) for case, target in pairs])


def workload(samples: Samples, case: str, target: str, first: str) -> Row:
    def of(key: str) -> Estimate | None:
        return estimate(samples.values(case, target, key))

    def against_first(key: str) -> str:
        ratios = samples.ratios((case, target), (case, first), key)
        return ratio(estimate(ratios)) if target != first else ""

    rate, cpu = of("rate"), of("bus_cpu_us")
    return [
        *(case, target, median(rate) if rate else "FAILED", spread(rate)),
        *(median(of("p50_us")), median(of("p99_us")), median(cpu), spread(cpu)),
        *(median(of("load_cpu_us")), against_first("rate"), against_first("bus_cpu_us")),
    ]


def starts(samples: Samples, targets: list[str]) -> str:
    rows = []
    for target in targets:
        time = estimate(samples.values(START, target, "startup_ms"))
        rss = estimate(samples.values(START, target, "rss_kib"))
        least = number(time.least) if time else "-"
        rows.append([target, median(time), spread(time), least, median(rss)])
    return table(["target", "startup ms", "±", "least ms", "RSS KiB"], rows, texts=1)


def growth(samples: Samples, cases: list[Case], targets: list[str]) -> str:
    """What an idle connection with its rules costs."""
    rows = [
        [case.name, target, median(found), spread(found)]
        for case in cases
        for target in targets
        if (found := estimate(samples.values(case.name, target, "grown_kib")))
    ]
    return table(["", "target", "RSS KiB/connection", "±"], rows) if rows else ""


def report(samples: Samples, cases: list[Case], targets: list[str]) -> str:
    parts = [
        workloads(samples, cases, targets),
        starts(samples, targets),
        growth(samples, [case for case in cases if case.name.startswith("idle")], targets),
        "\n".join(samples.failures()),
    ]
    return "\n\n".join(part for part in parts if part)
