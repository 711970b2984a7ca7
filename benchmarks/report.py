"""Writes the figures of a run into docs/benchmarks.md, and draws its pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.contenders import DRIVERS, PEERS, title
from benchmarks.goals import goals
from benchmarks.pages import fill, spread, table
from benchmarks.plots import draw
from benchmarks.results import FOLDER, ROOT, Results

PAGE = ROOT / "docs" / "benchmarks.md"

#: Column heads with the figure and its format.
_Columns = dict[str, tuple[str, str]]
_RATE_AND_CPU: _Columns = {"transitions/s": ("rate", "{:.0f}"), "CPU s per 100k": ("cpu", "{:.2f}")}
_GROWTH: _Columns = {
    "transitions/s": ("rate", "{:.0f}"),
    "relative to raw batches, shaped": ("of_raw", "{:.2f}"),
    "peak MB": ("megabytes", "{:.0f}"),
}
_LATENCY: _Columns = {
    "p50 ms": ("p50", "{:.1f}"),
    "p90 ms": ("p90", "{:.1f}"),
    "p99 ms": ("p99", "{:.1f}"),
    "p50 ms after the write's acknowledgement": ("after_p50", "{:.1f}"),
    "p99 ms after it": ("after_p99", "{:.1f}"),
    "share that arrived": ("arrived", "{:.3f}"),
    "MongoDB's CPU, cores": ("mongod_cores", "{:.2f}"),
}
_SIZES: _Columns = {
    "transitions/s": ("rate", "{:.0f}"),
    "events/s": ("events_rate", "{:.0f}"),
}
_IDLE: _Columns = {
    "CPU of a core": ("cpu_share", "{:.2%}"),
    "commands/s to MongoDB": ("commands", "{:.2f}"),
}
_MEMORY: _Columns = {"peak MB": ("megabytes", "{:.0f}")}
#: Name in "where the others are better", table, suffix of the contender, figure, more is better.
_COMPARED = (
    ("warm rate", "throughput", "", "warm_rate", True),
    ("CPU when warm", "throughput", "", "warm_cpu", False),
    ("peak memory", "throughput", "", "megabytes", False),
    ("first message", "throughput", "", "first", False),
    ("latency p50", "latency", ", 200/s", "p50", False),
    ("latency p99", "latency", ", 200/s", "p99", False),
)


def write(results: Results) -> None:
    """Fill the page and draw the pictures."""
    draw(results, FOLDER)
    fill(PAGE, blocks(results))


def blocks(results: Results) -> dict[str, str]:
    """The generated blocks of the page, by name."""
    lookup = _RATE_AND_CPU | {"CPU s per 100k": ("cpu", "{:.1f}")}
    return {
        "made": "\n\n".join(_made(results.about)),
        "goals": table(("figure", "measured", "goal", "reached"), goals(results)),
        "backlog": _backlog(results),
        "lookup": _table(results, "lookup", title, "contender", lookup),
        "headers": _table(results, "headers", _own, "contender, headers", _RATE_AND_CPU),
        "memory": _table(results, "full", _own, "contender", _MEMORY),
        "readers": _table(results, "readers", _own, "contender, reader", _RATE_AND_CPU),
        "latency": _table(results, "latency", _rated, "contender, writes/s", _LATENCY),
        "sizes": _table(results, "sizes", str, "reader or driver, size of a job", _SIZES),
        "idle": _table(results, "idle", _own, "contender", _IDLE),
        "growth": _table(results, "growth", str, "driver, transitions in the backlog", _GROWTH),
        "jobs": _table(results, "jobs", str, "driver, jobs", _GROWTH),
        "profile": _profile(results),
        "ceiling": _ceiling(results),
        "settings": _settings(results),
        "better": _better(results),
    }


def _own(contender: str) -> str:
    return f"job-bridge, {contender}"


def _rated(contender: str) -> str:
    name, _, rate = contender.rpartition(", ")
    return f"{title(name)}, {rate}"


def _made(about: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Measured by `make bench-peers` on {_when(about)}, on {about['cpu']}, {about['cores']} "
        f"cores, {about['memory']}, Python {about['python']}."
    )
    for part, when in about.get("parts", {}).items():
        if (when["date"], when["commit"]) != (about["date"], about["commit"]):
            yield f"The part `{part}` was measured on {_when(when)}."


def _when(made: Mapping[str, Any]) -> str:
    return f"{made['date']}, commit {made['commit']}{' with changes' if made['changed'] else ''}"


def _table(
    results: Results,
    name: str,
    titled: Callable[[str], str],
    head: str,
    columns: _Columns,
) -> str:
    """A row per contender, in the order in which they were measured."""
    rows = (
        (
            titled(contender),
            *(spread(results.values(name, contender, key), form) for key, form in columns.values()),
        )
        for contender in results.names(name)
    )
    return table((head, *columns), rows)


def _backlog(results: Results) -> str:
    columns: _Columns = {
        "transitions/s": ("rate", "{:.0f}"),
        "in the warm half": ("warm_rate", "{:.0f}"),
        "relative to watch()": ("", "{:.2f}"),
        "first message s": ("first", "{:.2f}"),
        "CPU s per 100k": ("cpu", "{:.2f}"),
        "CPU in the warm half": ("warm_cpu", "{:.2f}"),
        "peak MB": ("megabytes", "{:.0f}"),
    }

    def cell(contender: str, figure: str, form: str) -> str:
        if figure:
            return spread(results.values("throughput", contender, figure), form)
        return spread(results.ratios("throughput", contender, "watch()", "rate"), form)

    rows = (
        (title(name), *(cell(name, figure, form) for figure, form in columns.values()))
        for name in results.names("throughput")
    )
    return table(("contender", *columns), rows)


def _profile(results: Results) -> str:
    drivers = results.profile
    parts = dict.fromkeys(part for micros in drivers.values() for part in micros)
    rows = [
        (part, *(f"{micros.get(part, 0):.2f}" for micros in drivers.values())) for part in parts
    ]
    if rows:
        rows.append(("total", *(f"{sum(micros.values()):.2f}" for micros in drivers.values())))
    return table(("part", *drivers), rows)


def _ceiling(results: Results) -> str:
    head = (
        "contender",
        "CPU s per 100k: bridge, warm",
        "mongod",
        "Kafka",
        "transitions/s with both cores full",
        "reached when warm",
    )
    return table(head, _ceilings(results))


def _ceilings(results: Results) -> Iterator[Sequence[str]]:
    for driver in DRIVERS:
        costs = [
            results.median("throughput", driver, figure)
            for figure in ("warm_cpu", "mongod_cpu", "kafka_cpu")
        ]
        rate = results.median("throughput", driver, "warm_rate")
        if rate is not None and all(costs):
            known = [cost or 0.0 for cost in costs]
            ceiling = 2 / sum(known) * 100_000
            cells = (*(f"{cost:.2f}" for cost in known), f"{ceiling:.0f}", f"{rate / ceiling:.0%}")
            yield title(driver), *cells


def _settings(results: Results) -> str:
    return "\n".join(
        f"- {title(name)}:\n" + "\n".join(f"    - `{key}={value}`" for key, value in values.items())
        for name, values in results.settings.items()
    )


def _better(results: Results) -> str:
    """Each figure in which a connector is better than the bridge with a driver."""
    if not any(peer in results.names("throughput") for peer in PEERS):
        return ""
    lines = [line for compared in _COMPARED for line in _better_in(results, *compared)]
    return "\n".join(lines) or "In these measurements: nothing."


def _better_in(
    results: Results, name: str, table: str, suffix: str, figure: str, more: bool
) -> Sequence[str]:
    medians = {
        contender: median
        for contender in (*PEERS, *DRIVERS)
        if (median := results.median(table, f"{contender}{suffix}", figure)) is not None
    }
    return [
        f"- {name}: {title(peer)} {medians[peer]:.4g}, {title(driver)} {medians[driver]:.4g}"
        for peer in PEERS
        for driver in DRIVERS
        if {peer, driver} <= medians.keys()
        and (medians[peer] > medians[driver] if more else medians[peer] < medians[driver])
    ]
