"""What the bridge is to reach, and whether it did in this run."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from benchmarks.contenders import DRIVERS, PEERS
from benchmarks.results import Results

JVM = ("mongodb", "debezium")
#: Who the best is looked for among.
AMONG = ((JVM, "best JVM peer's"), (PEERS, "best peer's"))


def goals(results: Results) -> Iterator[Sequence[str]]:
    """Rows of what, measured, goal, reached; those without figures are left out."""
    for row in (*_backlog(results), *_costs(results), *_latency(results), *_rest(results)):
        if row is not None:
            yield row


def _backlog(results: Results) -> Iterator[Sequence[str] | None]:
    for driver, watched, batches, warm in (
        ("librdkafka", 1.1, 0.85, 2.5),
        ("kafka-python", 0.6, None, 1.3),
    ):
        yield _least(
            f"{driver}: rate by watch()",
            results.ratios("throughput", driver, "watch()", "rate"),
            watched,
        )
        if batches is not None:
            yield _least(
                f"{driver}: rate by raw batches",
                results.ratios("throughput", driver, "raw batches", "rate"),
                batches,
            )
        best = _best(results, "warm_rate", PEERS, max)
        if best:
            yield _least(
                f"{driver}: warm rate by the best peer's ({best})",
                results.ratios("throughput", driver, best, "warm_rate"),
                warm,
            )


def _costs(results: Results) -> Iterator[Sequence[str] | None]:
    for driver, cold, warm in (("librdkafka", 1 / 8, 1 / 2), ("kafka-python", 1 / 3, None)):
        for peers, who in AMONG:
            best = _best(results, "cpu", peers, min)
            if best:
                yield _most(
                    f"{driver}: CPU with start-up by the {who} ({best})",
                    results.ratios("throughput", driver, best, "cpu"),
                    cold,
                )
            best = _best(results, "warm_cpu", peers, min)
            if best and warm:
                yield _most(
                    f"{driver}: CPU warm by the {who} ({best})",
                    results.ratios("throughput", driver, best, "warm_cpu"),
                    warm,
                )
    for driver in DRIVERS:
        peaks = [
            peak
            for table in ("throughput", "growth", "jobs", "full")
            for name in results.names(table)
            if name.split(",")[0] == driver
            for peak in results.values(table, name, "megabytes")
        ]
        yield _most(
            f"{driver}: largest peak RSS of all runs, MB", [max(peaks)] if peaks else [], 80
        )
        best = _best(results, "megabytes", JVM, min)
        if best:
            yield _most(
                f"{driver}: peak RSS by the best JVM peer's",
                results.ratios("throughput", driver, best, "megabytes"),
                0.1,
            )
        yield _most(
            f"{driver}: start to first message, s", results.values("start", driver, "first"), 1.0
        )
        for peers, who in AMONG:
            best = _best(results, "first", peers, min)
            if best:
                yield _most(
                    f"{driver}: start to first message by the {who} ({best})",
                    results.ratios("throughput", driver, best, "first"),
                    0.2,
                )


def _latency(results: Results) -> Iterator[Sequence[str] | None]:
    for driver in DRIVERS:
        for figure in ("p50", "p99"):
            for peers, who in AMONG:
                best = _best(results, figure, peers, min, "latency", ", 200/s")
                if best:
                    ratios = results.ratios("latency", f"{driver}, 200/s", f"{best}, 200/s", figure)
                    yield _most(f"{driver}: {figure} at 200/s by the {who} ({best})", ratios, 1.0)
        yield _flat(results, driver, "p50", "p50")
        yield _flat(results, driver, "after_p50", "p50 after the write's acknowledgement")


def _flat(results: Results, driver: str, figure: str, what: str) -> Sequence[str] | None:
    """The rate at which it is slowest, beside the lowest rate."""
    paced = [
        (results.median("latency", name, figure) or 0.0, name)
        for name in results.names("latency")
        if name.startswith(f"{driver}, ")
    ]
    slowest = max(paced, default=(0.0, ""))[1]
    ratios = results.ratios("latency", slowest, f"{driver}, 10/s", figure)
    return _most(
        f"{driver}: {what}, at its highest ({slowest.rpartition(', ')[2]}) by that at 10/s",
        ratios,
        1.1,
    )


def _rest(results: Results) -> Iterator[Sequence[str] | None]:
    for driver in DRIVERS:
        yield _most(
            f"{driver}: idle, share of a core", results.values("idle", driver, "cpu_share"), 0.005
        )
        yield _most(f"{driver}: idle, commands/s", results.values("idle", driver, "commands"), 2.0)
        for size in ("100 KB", "2 MB"):
            yield _least(
                f"{driver}: rate of {size} jobs by 1 KB",
                results.ratios("sizes", f"{driver}, {size}", f"{driver}, 1 KB", "rate"),
                0.8,
            )
        for table, what in (("growth", "backlogs"), ("jobs", "numbers of jobs")):
            names = [name for name in results.names(table) if name.startswith(f"{driver}, ")]
            rates = [results.median(table, name, "rate") or 0.0 for name in names]
            peaks = [results.median(table, name, "megabytes") or 0.0 for name in names]
            if len(names) > 1 and max(rates):
                yield _least(
                    f"{driver}: slowest by fastest over {what}", [min(rates) / max(rates)], 0.9
                )
                yield _most(
                    f"{driver}: difference of peak RSS over {what}, MB",
                    [max(peaks) - min(peaks)],
                    10,
                )


def _best(
    results: Results,
    figure: str,
    peers: Sequence[str],
    choose: Callable[[list[tuple[float, str]]], tuple[float, str]],
    table: str = "throughput",
    condition: str = "",
) -> str | None:
    """The peer with the best median; ``condition`` is what the table's names have behind the peer's."""
    found = [
        (median, peer)
        for peer in peers
        if (median := results.median(table, f"{peer}{condition}", figure)) is not None
    ]
    return choose(found)[1] if found else None


def _least(what: str, values: Sequence[float], goal: float) -> Sequence[str] | None:
    return (
        _row(what, values, f"at least {goal:g}", statistics.median(values) >= goal)
        if values
        else None
    )


def _most(what: str, values: Sequence[float], goal: float) -> Sequence[str] | None:
    return (
        _row(what, values, f"at most {goal:.3g}", statistics.median(values) <= goal)
        if values
        else None
    )


def _row(what: str, values: Sequence[float], goal: str, reached: bool) -> Sequence[str]:
    middle = f"{statistics.median(values):.3g}"
    spread = "" if len(values) == 1 else f" ({min(values):.3g} - {max(values):.3g})"
    return what, middle + spread, goal, "yes" if reached else "**no**"
