"""Two commits side by side: alternating runs over one backlog, and the ratio of each pair."""

import contextlib
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import click

from benchmarks.bridge import ROOT, Bridge
from benchmarks.contenders import DRIVERS
from benchmarks.world import Contender, Make, World

_JOBS = 20_000


def compare(world: World, ref: str, pairs: int) -> None:
    """Print rate and CPU of the working tree by those of ``ref``, for each driver both know."""
    with checked_out(ref) as other:
        backlog = world.backlog(_JOBS)
        for driver in DRIVERS if _knows_drivers(other) else ("",):
            rates, costs = [], []
            for number in range(pairs):
                mine, theirs = (
                    world.drain(backlog, _bridge(world, code, driver)) for code in (ROOT, other)
                )
                rates.append(mine.rate() / theirs.rate())
                costs.append(mine.cpu_per_100k() / theirs.cpu_per_100k())
                click.echo(
                    f"{driver or 'bridge':14} pair {number + 1}: {mine.rate():8.0f}/s by {theirs.rate():8.0f}/s = {rates[-1]:.3f}"
                    f"   CPU {costs[-1]:.3f}"
                )
            click.echo(
                f"{driver or 'bridge':14} rate {_spread(rates)}, CPU {_spread(costs)}, of {ref}"
            )


@contextlib.contextmanager
def checked_out(ref: str) -> Iterator[Path]:
    """A worktree of a commit, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="job-bridge-ref-") as name:
        path = Path(name) / "checkout"
        subprocess.run(
            ["git", "worktree", "add", "--detach", "--quiet", str(path), ref], cwd=ROOT, check=True
        )
        try:
            yield path
        finally:
            subprocess.run(
                ["git", "worktree", "remove", "--force", str(path)], cwd=ROOT, check=True
            )


def _knows_drivers(code: Path) -> bool:
    return "librdkafka" in (code / "bridge" / "config" / "sections.py").read_text()


def _bridge(world: World, code: Path, driver: str) -> Make:
    settings = {"kafka.headers": "none"} | ({"kafka.driver": driver} if driver else {})

    def make(database: str, topic: str, start: int | None) -> AbstractContextManager[Contender]:
        return Bridge(
            world.folder,
            world.mongod.uri,
            database,
            world.kafka.bootstrap,
            topic,
            start,
            settings,
            code,
        )

    return make


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} - {max(values):.3f})"
