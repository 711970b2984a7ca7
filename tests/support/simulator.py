"""The simulated job service as a command, and names of it for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, get_args

import click

from bridge.demo.job_service.job_service import ensure_indexes, play
from bridge.demo.job_service.workload import Commit, Indeterminate, Kind, Workload, Writes

__all__ = [
    "Commit",
    "Indeterminate",
    "Kind",
    "Workload",
    "Writes",
    "ensure_indexes",
    "main",
    "play",
]


class _Log:
    """Counts the reports and writes each as a JSON line."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self.jobs = 0
        self.transitions = 0

    def write(self, outcome: Commit | Indeterminate) -> None:
        if isinstance(outcome, Commit):
            self.jobs += outcome.sequence == 0
            self.transitions += 1
        if self._file is not None:
            kind = type(outcome).__name__.lower()
            line = {"kind": kind, **asdict(outcome), "time": outcome.time.isoformat()}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


@dataclass(frozen=True, slots=True)
class _Target:
    uri: str
    database: str
    collection: str | None


@click.command()
@click.option("--uri", required=True, help="MongoDB to write to.")
@click.option("--database", default="cdmtaskservice", show_default=True)
@click.option("--collection", help="Default: the kind.")
@click.option(
    "--kind",
    type=click.Choice(get_args(Kind)),
    default="jobs",
    show_default=True,
    help="Which of the service's collections of jobs.",
)
@click.option(
    "--writes",
    type=click.Choice(get_args(Writes)),
    default="push",
    show_default=True,
    help="$push updates, or pipeline updates and recoveries as of the newest CTS, or both.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="End after this many jobs; else run on.")
@click.option(
    "--rate", type=float, default=20.0, show_default=True, help="Transitions a second; 0: no limit."
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=8, show_default=True, help="Jobs at once."
)
@click.option(
    "--size", type=int, default=2000, show_default=True, help="Bytes of a new job, about."
)
@click.option(
    "--noise/--no-noise", default=True, show_default=True, help="Writes that change no state too."
)
@click.option("--error-share", type=click.FloatRange(0, 1), default=0.2, show_default=True)
@click.option("--cancel-share", type=click.FloatRange(0, 1), default=0.1, show_default=True)
@click.option(
    "--recover-share",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Of the failed jobs that are written with pipeline updates.",
)
@click.option("--seed", type=int, help="The same journeys every time.")
@click.option("--log", type=click.Path(path_type=Path), help="One JSON line for each transition.")
def main(
    uri: str, database: str, collection: str | None, log: Path | None, rate: float, **options: Any
) -> None:
    """Run the job service until its jobs end or a signal; print a summary as JSON."""
    workload = Workload(rate=rate or None, **options)
    with log.open("a") if log is not None else contextlib.nullcontext() as file:
        record = _Log(file)
        asyncio.run(_play_until_signal(_Target(uri, database, collection), workload, record))
    click.echo(json.dumps({"jobs": record.jobs, "transitions": record.transitions}))


async def _play_until_signal(target: _Target, workload: Workload, record: _Log) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await play(
        target.uri,
        target.database,
        workload,
        collection=target.collection,
        stop=stop,
        on_commit=record.write,
    )


if __name__ == "__main__":
    main()
