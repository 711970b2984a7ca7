"""The goals of the bridge, and whether this run reached them."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from benchmarks.contenders import DRIVERS, PEERS
from benchmarks.pages import spread
from benchmarks.results import Results

JVM = ("mongodb", "debezium")
#: The connectors among which the best is chosen, with their name in the report.
GROUPS = ((JVM, "best JVM connector"), (PEERS, "best connector"))

#: Figure, measured value, goal, "yes" or "no".
Row = Sequence[str]
#: Chooses the best of (median, connector).
Choose = Callable[[list[tuple[float, str]]], tuple[float, str]]


def goals(results: Results) -> Iterator[Row]:
    """Rows of the table; goals without figures are omitted."""
    for part in (_rates, _cpu, _memory_and_start, _latency, _idle_and_sizes, _growth):
        yield from (row for row in part(results) if row is not None)


def _rates(results: Results) -> Iterator[Row | None]:
    for driver, of_watch, of_batches, of_best in (
        ("librdkafka", 1.1, 0.85, 2.5),
        ("kafka-python", 0.6, None, 1.3),
    ):
        ratios = results.ratios("throughput", driver, "watch()", "rate")
        yield at_least(f"{driver}: rate, relative to watch()", ratios, of_watch)
        if of_batches is not None:
            ratios = results.ratios("throughput", driver, "raw batches", "rate")
            yield at_least(f"{driver}: rate, relative to raw batches", ratios, of_batches)
        best = _best(results, "warm_rate", PEERS, max)
        if best:
            ratios = results.ratios("throughput", driver, best, "warm_rate")
            name = f"{driver}: warm rate, relative to the best connector ({best})"
            yield at_least(name, ratios, of_best)


def _cpu(results: Results) -> Iterator[Row | None]:
    for driver, cold, warm in (("librdkafka", 1 / 8, 1 / 2), ("kafka-python", 1 / 3, None)):
        for peers, group in GROUPS:
            for figure, name, goal in (
                ("cpu", "CPU with start-up", cold),
                ("warm_cpu", "CPU when warm", warm),
            ):
                best = _best(results, figure, peers, min)
                if best and goal:
                    ratios = results.ratios("throughput", driver, best, figure)
                    yield at_most(
                        f"{driver}: {name}, relative to the {group} ({best})", ratios, goal
                    )


def _memory_and_start(results: Results) -> Iterator[Row | None]:
    for driver in DRIVERS:
        peaks = _peaks(results, driver)
        yield at_most(f"{driver}: largest peak memory of all runs, MB", peaks[-1:], 80)
        best = _best(results, "megabytes", JVM, min)
        if best:
            ratios = results.ratios("throughput", driver, best, "megabytes")
            name = f"{driver}: peak memory, relative to the best JVM connector"
            yield at_most(name, ratios, 0.1)
        first = results.values("start", driver, "first")
        yield at_most(f"{driver}: start to first message, s", first, 1.0)
        for peers, group in GROUPS:
            best = _best(results, "first", peers, min)
            if best:
                ratios = results.ratios("throughput", driver, best, "first")
                name = f"{driver}: start to first message, relative to the {group} ({best})"
                yield at_most(name, ratios, 0.2)


def _peaks(results: Results, driver: str) -> list[float]:
    return sorted(
        peak
        for table in ("throughput", "growth", "jobs", "full")
        for name in results.names(table)
        if name.split(",")[0] == driver
        for peak in results.values(table, name, "megabytes")
    )


def _latency(results: Results) -> Iterator[Row | None]:
    for driver in DRIVERS:
        for figure in ("p50", "p99"):
            for peers, group in GROUPS:
                best = _best(results, figure, peers, min, table="latency", suffix=", 200/s")
                if best:
                    ratios = results.ratios("latency", f"{driver}, 200/s", f"{best}, 200/s", figure)
                    name = f"{driver}: {figure} at 200/s, relative to the {group} ({best})"
                    yield at_most(name, ratios, 1.0)
        yield _slowest_rate(results, driver, "p50", "p50")
        yield _slowest_rate(results, driver, "after_p50", "p50 after the write's acknowledgement")


def _slowest_rate(results: Results, driver: str, figure: str, name: str) -> Row | None:
    """The latency at the slowest rate, relative to that at the lowest rate."""
    medians = [
        (results.median("latency", contender, figure) or 0.0, contender)
        for contender in results.names("latency")
        if contender.startswith(f"{driver}, ")
    ]
    slowest = max(medians, default=(0.0, ""))[1]
    ratios = results.ratios("latency", slowest, f"{driver}, 10/s", figure)
    rate = slowest.rpartition(", ")[2]
    return at_most(f"{driver}: highest {name} (at {rate}), relative to 10/s", ratios, 1.1)


def _idle_and_sizes(results: Results) -> Iterator[Row | None]:
    for driver in DRIVERS:
        shares = results.values("idle", driver, "cpu_share")
        yield at_most(f"{driver}: idle, share of a core", shares, 0.005)
        commands = results.values("idle", driver, "commands")
        yield at_most(f"{driver}: idle, commands/s to MongoDB", commands, 2.0)
        for size in ("100 KB", "2 MB"):
            ratios = results.ratios("sizes", f"{driver}, {size}", f"{driver}, 1 KB", "rate")
            yield at_least(f"{driver}: rate with jobs of {size}, relative to 1 KB", ratios, 0.8)


def _growth(results: Results) -> Iterator[Row | None]:
    for driver in DRIVERS:
        for table, name in (("growth", "backlogs"), ("jobs", "numbers of jobs")):
            contenders = [key for key in results.names(table) if key.startswith(f"{driver}, ")]
            rates = [results.median(table, key, "rate") or 0.0 for key in contenders]
            peaks = [results.median(table, key, "megabytes") or 0.0 for key in contenders]
            if len(contenders) > 1 and max(rates):
                ratio = min(rates) / max(rates)
                yield at_least(f"{driver}: lowest / highest rate over {name}", [ratio], 0.9)
                range_ = max(peaks) - min(peaks)
                yield at_most(f"{driver}: range of peak memory over {name}, MB", [range_], 10)


def _best(
    results: Results,
    figure: str,
    peers: Sequence[str],
    choose: Choose,
    *,
    table: str = "throughput",
    suffix: str = "",
) -> str | None:
    """The connector with the best median; ``suffix`` follows its name in the table."""
    medians = [
        (median, peer)
        for peer in peers
        if (median := results.median(table, f"{peer}{suffix}", figure)) is not None
    ]
    return choose(medians)[1] if medians else None


def at_least(name: str, values: Sequence[float], goal: float) -> Row | None:
    """The row of a figure whose median must reach ``goal``; None without values."""
    if not values:
        return None
    return _row(name, values, f"at least {goal:g}", reached=statistics.median(values) >= goal)


def at_most(name: str, values: Sequence[float], goal: float) -> Row | None:
    """The row of a figure whose median must not exceed ``goal``; None without values."""
    if not values:
        return None
    return _row(name, values, f"at most {goal:.3g}", reached=statistics.median(values) <= goal)


def _row(name: str, values: Sequence[float], goal: str, *, reached: bool) -> Row:
    return name, spread(values, "{:.3g}"), goal, "yes" if reached else "**no**"
