"""docs/benchmarks.md, made of one run's figures; what it says of goals and of who is ahead is computed."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import DRIVERS, PEERS, title
from benchmarks.goals import goals
from benchmarks.measures import MANY, SPREAD
from benchmarks.plots import draw
from benchmarks.results import ROOT, Results

PAGE = ROOT / "docs" / "benchmarks.md"
_HAND_WRITTEN = Path(__file__).parent
Rows = Iterable[Sequence[str]]


def write(results: Results) -> None:
    """Write the page and its plots."""
    plots = draw(results, PAGE.parent / "benchmarks")
    PAGE.write_text("\n".join(_page(results, plots)) + "\n")


def _page(results: Results, plots: list[tuple[str, str]]) -> Iterator[str]:
    about = results.about
    yield "# Benchmarks"
    yield ""
    made = (
        "`make bench-peers`"
        if any(peer in results.names("throughput") for peer in PEERS)
        else "the parts of `make bench-peers` that need no other connector"
    )
    yield (
        f"Made by {made} on {_when(about)}, on {about['cpu']}, {about['cores']} cores, "
        f"{about['memory']}, Python {about['python']}. MongoDB 6.0.5 (a replica set of one), Apache Kafka 4.2.0 (one node, 3 partitions, "
        "acks=all), the contender and the clients all share these cores. Figures are medians of alternating rounds with (lowest - highest); absolute "
        "ones drift from hour to hour, ratios are of the same round. The bridge has all guarantees switched on."
    )
    yield from _others(about)
    yield from _section("Goals", ("what", "measured", "goal", "reached"), goals(results))
    yield from _section(
        "Backlog",
        (
            "contender",
            "transitions/s",
            "warm half",
            "of watch()",
            "first message s",
            "CPU s per 100k",
            "warm",
            "peak MB",
        ),
        (_throughput(results, name) for name in results.names("throughput")),
    )
    yield from _section(
        "With the document looked up (a change event of an update has no job id)",
        ("contender", "transitions/s", "CPU s per 100k"),
        (
            (
                title(name),
                _spread(results, "lookup", name, "rate", "{:.0f}"),
                _spread(results, "lookup", name, "cpu", "{:.1f}"),
            )
            for name in results.names("lookup")
        ),
    )
    yield from _section(
        "CloudEvents headers",
        ("contender", "transitions/s", "CPU s per 100k"),
        (
            (
                f"job-bridge, {name}",
                _spread(results, "headers", name, "rate", "{:.0f}"),
                _spread(results, "headers", name, "cpu", "{:.2f}"),
            )
            for name in results.names("headers")
        ),
    )
    yield from _section(
        "The most memory: CloudEvents headers, and a full window since Kafka takes nothing for a while",
        ("contender", "peak MB"),
        (
            (f"job-bridge, {name}", _spread(results, "full", name, "megabytes", "{:.0f}"))
            for name in results.names("full")
        ),
    )
    yield from _section(
        "The change stream read in three ways, everything else the same",
        ("contender", "transitions/s", "CPU s per 100k"),
        (
            (
                f"job-bridge, {name}",
                _spread(results, "readers", name, "rate", "{:.0f}"),
                _spread(results, "readers", name, "cpu", "{:.2f}"),
            )
            for name in results.names("readers")
        ),
    )
    yield from _section(
        "Latency: from just before the write to the arrival at a consumer",
        (
            "contender, rate",
            "p50 ms",
            "p90",
            "p99",
            "after the write's acknowledgement: p50",
            "p99",
            "arrived",
            "MongoDB's CPU, cores",
        ),
        (
            (
                _rated(name),
                *(
                    _spread(results, "latency", name, figure, "{:.1f}")
                    for figure in ("p50", "p90", "p99", "after_p50", "after_p99")
                ),
                _spread(results, "latency", name, "arrived", "{:.3f}"),
                _spread(results, "latency", name, "mongod_cores", "{:.2f}"),
            )
            for name in results.names("latency")
        ),
    )
    yield from _section(
        "Size of the jobs, and noise",
        ("what", "transitions/s", "events/s"),
        (
            (
                name,
                _spread(results, "sizes", name, "rate", "{:.0f}"),
                _spread(results, "sizes", name, "events_rate", "{:.0f}"),
            )
            for name in results.names("sizes")
        ),
    )
    yield from _section(
        "Idle",
        ("contender", "CPU of a core", "commands/s to MongoDB"),
        (
            (
                f"job-bridge, {name}",
                _spread(results, "idle", name, "cpu_share", "{:.2%}"),
                _spread(results, "idle", name, "commands", "{:.2f}"),
            )
            for name in results.names("idle")
        ),
    )
    yield from _section(
        "Growth",
        ("driver, transitions of backlog", "transitions/s", "of raw batches, shaped", "peak MB"),
        _grown(results, "growth"),
    )
    yield from _section(
        f"Distinct jobs in a backlog of {SPREAD} transitions; {MANY} jobs of one each",
        ("driver, jobs", "transitions/s", "of raw batches, shaped", "peak MB"),
        _grown(results, "jobs"),
    )
    yield from _profile(results)
    yield from _near(results)
    for caption, name in plots:
        yield from ("", f"![{caption}](benchmarks/{name})", "", f"*{caption}*")
    yield from _settings(results)
    for name in ("fairness.md", "tried.md"):
        yield ""
        yield (_HAND_WRITTEN / name).read_text().rstrip()
    yield from _ahead(results)


def _when(made: Mapping[str, Any]) -> str:
    return f"{made['date']}, commit {made['commit']}{' with changes' if made['changed'] else ''}"


def _others(about: Mapping[str, Any]) -> Iterator[str]:
    """Which parts were made at another time than the rest."""
    for part, made in about.get("parts", {}).items():
        if (made["date"], made["commit"]) != (about["date"], about["commit"]):
            yield ""
            yield f"The part `{part}` was made on {_when(made)}."


def _section(name: str, head: Sequence[str], rows: Rows) -> Iterator[str]:
    kept = list(rows)
    if kept:
        yield from ("", f"## {name}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head))
        yield from ("| " + " | ".join(row) + " |" for row in kept)


def _throughput(results: Results, name: str) -> Sequence[str]:
    def cell(figure: str, form: str) -> str:
        return _spread(results, "throughput", name, figure, form)

    ratio = _of(results.ratios("throughput", name, "watch()", "rate"), "{:.2f}")
    return (
        title(name),
        cell("rate", "{:.0f}"),
        cell("warm_rate", "{:.0f}"),
        ratio,
        cell("first", "{:.2f}"),
        cell("cpu", "{:.2f}"),
        cell("warm_cpu", "{:.2f}"),
        cell("megabytes", "{:.0f}"),
    )


def _grown(results: Results, table: str) -> Rows:
    figures = (("rate", "{:.0f}"), ("of_raw", "{:.2f}"), ("megabytes", "{:.0f}"))
    return (
        (name, *(_spread(results, table, name, figure, form) for figure, form in figures))
        for name in results.names(table)
    )


def _rated(name: str) -> str:
    who, _, rate = name.rpartition(", ")
    return f"{title(who)}, {rate}"


def _profile(results: Results) -> Iterator[str]:
    parts = list(dict.fromkeys(part for driver in results.profile.values() for part in driver))
    rows = [
        (part, *(f"{results.profile[driver].get(part, 0):.2f}" for driver in results.profile))
        for part in parts
    ]
    rows += (
        [("all", *(f"{sum(driver.values()):.2f}" for driver in results.profile.values()))]
        if rows
        else []
    )
    yield from _section(
        "Where the time goes: microseconds of CPU for one message", ("part", *results.profile), rows
    )
    if rows:
        yield from (
            "",
            "CPU seconds of each thread (the kernel's count) from the first messages to the last, without the start, shared out by where py-spy saw "
            "that thread 200 times a second, from outside. The kernel's part of sending and receiving is with the code that asked for it.",
        )


def _near(results: Results) -> Iterator[str]:
    rows = []
    for driver in DRIVERS:
        parts = [
            results.median("throughput", driver, figure)
            for figure in ("warm_cpu", "mongod_cpu", "kafka_cpu", "warm_rate")
        ]
        if all(part is not None for part in parts):
            bridge, mongod, kafka, rate = (part or 0.0 for part in parts)
            ceiling = 2 / (bridge + mongod + kafka) * 100_000
            rows.append(
                (
                    title(driver),
                    f"{bridge:.2f}",
                    f"{mongod:.2f}",
                    f"{kafka:.2f}",
                    f"{ceiling:.0f}",
                    f"{rate / ceiling:.0%}",
                )
            )
    yield from _section(
        "How near to what two cores can give",
        (
            "contender",
            "CPU s per 100k: bridge, warm",
            "mongod",
            "Kafka",
            "both cores full: transitions/s",
            "reached, warm",
        ),
        rows,
    )


def _settings(results: Results) -> Iterator[str]:
    if results.settings:
        yield from ("", "## Settings", "")
        yield "The bridge: as shipped, but `kafka.headers = none` where it is not said otherwise. The others, for throughput (for latency with `linger.ms` 0, and mq-bridge with `batch_size` 1):"
        for name, settings in results.settings.items():
            yield ""
            yield f"- {title(name)}: " + ", ".join(
                f"`{key}={value}`" for key, value in settings.items()
            )


def _ahead(results: Results) -> Iterator[str]:
    """Every figure in which another connector is better than the bridge with either driver."""
    found, measured = [], any(peer in results.names("throughput") for peer in PEERS)
    checks: list[tuple[str, str, str, Callable[[str], str], bool]] = [
        ("warm rate", "throughput", "warm_rate", lambda name: name, True),
        ("CPU, warm", "throughput", "warm_cpu", lambda name: name, False),
        ("peak memory", "throughput", "megabytes", lambda name: name, False),
        ("first message", "throughput", "first", lambda name: name, False),
        ("latency p50", "latency", "p50", lambda name: f"{name}, 200/s", False),
        ("latency p99", "latency", "p99", lambda name: f"{name}, 200/s", False),
    ]
    for what, table, figure, key, more in checks:
        for peer in PEERS:
            theirs = results.median(table, key(peer), figure)
            for driver in DRIVERS:
                mine = results.median(table, key(driver), figure)
                if (
                    theirs is not None
                    and mine is not None
                    and (theirs > mine if more else theirs < mine)
                ):
                    found.append(
                        f"- {what}: {title(peer)} {theirs:.4g}, {title(driver)} {mine:.4g}"
                    )
    yield from (
        "",
        "## What the others do better",
        "",
        *(
            found
            or [
                "In these measurements: nothing."
                if measured
                else "They were not measured in this run."
            ]
        ),
        "",
    )
    yield (_HAND_WRITTEN / "better.md").read_text().rstrip()


def _spread(results: Results, table: str, name: str, figure: str, form: str) -> str:
    return _of(results.values(table, name, figure), form)


def _of(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    middle = form.format(statistics.median(values))
    return (
        middle
        if len(values) == 1
        else f"{middle} ({form.format(min(values))} - {form.format(max(values))})"
    )
