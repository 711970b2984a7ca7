"""Compares two commits: alternating runs over the same backlog, and the ratio of each pair."""

import statistics
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import click

from benchmarks.bridge import MeasuredBridge
from benchmarks.results import ROOT
from benchmarks.world import Backlog, Contender, Make, Route, Run, World
from tests.support.checkout import checked_out


def compare(world: World, ref: str, pairs: int, jobs: int, drivers: Sequence[str]) -> None:
    """Print rate and CPU of the working tree, relative to the commit ``ref``."""
    with checked_out(ref) as other:
        backlog = world.backlog(jobs)
        for driver in drivers:
            rates, costs = [], []
            for number in range(pairs):
                tree, commit = _pair(world, backlog, driver, other, tree_first=number % 2 == 0)
                rates.append(_rate(tree) / _rate(commit))
                costs.append(_cpu(tree) / _cpu(commit))
                click.echo(
                    f"{driver:14} pair {number + 1}: "
                    f"{_rate(tree):8.0f}/s / {_rate(commit):8.0f}/s = {rates[-1]:.3f}"
                    f"   CPU {costs[-1]:.3f}"
                )
            click.echo(
                f"{driver:14} rate {_spread(rates)}, CPU {_spread(costs)}, relative to {ref}"
            )


def _pair(
    world: World, backlog: Backlog, driver: str, other: Path, *, tree_first: bool
) -> tuple[list[Run], list[Run]]:
    """Run the working tree and the commit twice each, the second time in the reverse order.

    So a machine that becomes slower or faster meanwhile favours neither.
    """
    codes = [ROOT, other] if tree_first else [other, ROOT]
    runs: dict[Path, list[Run]] = {ROOT: [], other: []}
    for code in (*codes, *reversed(codes)):
        runs[code].append(world.drain(backlog, _bridge(world, code, driver)))
    return runs[ROOT], runs[other]


def _rate(runs: list[Run]) -> float:
    return statistics.fmean(run.rate() for run in runs)


def _cpu(runs: list[Run]) -> float:
    return statistics.fmean(run.cpu_per_100k() for run in runs)


def _bridge(world: World, code: Path, driver: str) -> Make:
    settings = {"kafka.headers": "none", "kafka.driver": driver}

    def make(database: str, topic: str, start: int | None) -> AbstractContextManager[Contender]:
        return MeasuredBridge(Route(world, database, topic, start), settings, code=code)

    return make


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} - {max(values):.3f})"
