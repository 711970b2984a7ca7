"""Measures the mode exactly-once beside at-least-once, for docs/delivery-modes.md."""

from collections.abc import Iterator, Mapping

from benchmarks.contenders import EXACTLY_ONCE, bridge
from benchmarks.goals import Row, at_least, at_most
from benchmarks.paced_measures import PacedMeasures
from benchmarks.pages import spread, table
from benchmarks.results import Results
from benchmarks.world import Make, World

DRIVER = "librdkafka"
BASE, MODE = "at-least-once", "exactly-once"
_SETTINGS: Mapping[str, Mapping[str, str]] = {BASE: {}, MODE: EXACTLY_ONCE}
_RATE, _SECONDS = 200, 10
#: Jobs of the backlog, of seven transitions each; many, because a start costs CPU too.
_JOBS = 60_000
#: The goals: milliseconds at 200 writes/s, relative to at-least-once, and MB.
_P50, _P99, _BACKLOG, _CPU, _MEMORY = 8.0, 20.0, 0.8, 1.1, 90.0


def measure(world: World, results: Results, rounds: int, jobs: int = _JOBS) -> None:
    """Both modes by turns: a backlog, then writes at an even pace."""
    makes: dict[str, Make] = {
        name: bridge(world, DRIVER, settings=settings) for name, settings in _SETTINGS.items()
    }
    paced = PacedMeasures(world, results)
    backlog = world.backlog(jobs)
    for number in range(rounds):
        names = list(makes)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            # The same end condition for both: the messages are read and counted.
            run = world.drain(backlog, makes[name], transactional=True)
            results.add(
                "backlog",
                name,
                rate=run.rate(),
                cpu=run.cpu_per_100k(),
                warm_cpu=run.warm_cpu_per_100k(),
                kafka_cpu=run.servers_cpu["kafka"] / run.transitions * 100_000,
                megabytes=run.megabytes,
            )
        for name in names:
            paced.latency(_RATE, _SECONDS, {name: makes[name]})


def block(results: Results) -> str:
    """The tables of the page, with a line about the run; empty without figures."""
    if not results.names("backlog"):
        return ""
    about = results.about
    made = (
        f"Measured by `make bench-exactly-once` on {about['date']}, commit {about['commit']}, on "
        f"{about['cpu']}, {about['cores']} cores."
    )
    goals = table(("figure", "measured", "goal", "reached"), goal_rows(results))
    return "\n\n".join((made, _figures(results), goals))


def goal_rows(results: Results) -> Iterator[Row]:
    """The goals of the mode, and whether this run reached them."""
    rows = _goals(results)
    yield from (row for row in rows if row is not None)


def _goals(results: Results) -> Iterator[Row | None]:
    for figure, goal in (("p50", _P50), ("p99", _P99)):
        values = results.values("latency", _key("latency", MODE), figure)
        yield at_most(f"{figure} at {_RATE}/s, from write to consumer, ms", values, goal)
    rates = results.ratios("backlog", MODE, BASE, "rate")
    yield at_least(f"rate over a backlog, relative to {BASE}", rates, _BACKLOG)
    for figure, name in (("cpu", "with start-up"), ("warm_cpu", "in the warm half")):
        costs = results.ratios("backlog", MODE, BASE, figure)
        yield at_most(f"CPU over a backlog, {name}, relative to {BASE}", costs, _CPU)
    peaks = results.values("backlog", MODE, "megabytes")
    yield at_most("peak memory, MB", peaks, _MEMORY)


def _figures(results: Results) -> str:
    columns = {
        "transitions/s": ("backlog", "rate", "{:.0f}"),
        "CPU s per 100 000": ("backlog", "cpu", "{:.2f}"),
        "in the warm half": ("backlog", "warm_cpu", "{:.2f}"),
        "Kafka's CPU s per 100 000": ("backlog", "kafka_cpu", "{:.2f}"),
        "peak MB": ("backlog", "megabytes", "{:.0f}"),
        f"p50 ms at {_RATE}/s": ("latency", "p50", "{:.1f}"),
        f"p99 ms at {_RATE}/s": ("latency", "p99", "{:.1f}"),
        "p50 ms after the write's acknowledgement": ("latency", "after_p50", "{:.1f}"),
        "p99 ms after it": ("latency", "after_p99", "{:.1f}"),
        f"CPU of a core at {_RATE}/s": ("latency", "cores", "{:.1%}"),
    }
    rows = [
        (
            f"`{name}`",
            *(
                spread(results.values(kind, _key(kind, name), figure), form)
                for kind, figure, form in columns.values()
            ),
        )
        for name in _SETTINGS
    ]
    return table(("mode", *columns), rows)


def _key(kind: str, name: str) -> str:
    return f"{name}, {_RATE}/s" if kind == "latency" else name
