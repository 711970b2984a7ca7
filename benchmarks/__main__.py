"""``python -m benchmarks``: all measurements, by command."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from benchmarks.compare import compare
from benchmarks.contenders import DRIVERS, PEERS, bridge
from benchmarks.measures import SIZES, Measures
from benchmarks.modes import comparison, modes, recovery, verification
from benchmarks.modes import write as write_modes
from benchmarks.profile import profile
from benchmarks.report import write
from benchmarks.results import FILE, Results
from benchmarks.world import World
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment

ROUNDS = 3
RATES = (10, 100, 1000, 5000)
BACKLOGS = (50_000, 200_000, 1_000_000)
#: The tables of each part of ``make bench-peers``.
PARTS = {
    "peers": ("throughput", "lookup"),
    "own": ("start", "idle", "headers", "full", "readers", "sizes"),
    "latency": ("latency",),
    "profile": (),
    "growth": ("growth", "jobs"),
}


@contextmanager
def world(oplog_megabytes: int) -> Iterator[World]:
    """One MongoDB and one Kafka for everything."""
    with tempfile.TemporaryDirectory(prefix="job-bridge-bench-") as name:
        folder = Path(name)
        with (
            MongoDeployment(folder / "mongod", oplog_megabytes=oplog_megabytes) as mongod,
            Kafka(folder / "kafka") as kafka,
            closing(World(folder, mongod, kafka)) as made,
        ):
            yield made


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """The bridge beside the raw change stream; five minutes."""
    if context.invoked_subcommand is None:
        results = Results()
        with world(4000) as made:
            short(Measures(made, results), made)


def short(measures: Measures, made: World) -> None:
    """What needs no peers."""
    measures.start(ROUNDS)
    measures.idle(1)
    measures.latencies((), 1, ())
    backlog = made.backlog(20_000)
    measures.throughput(ROUNDS, backlog, {driver: bridge(made, driver) for driver in DRIVERS})
    measures.headers(1, backlog)
    measures.sizes(
        1, [name for name in SIZES if name != "2 MB"]
    )  # MongoDB takes over a minute to write those


@main.command()
@click.option("--rounds", default=ROUNDS, show_default=True)
@click.option(
    "--jobs", default=60_000, show_default=True, help="of the long backlog; 7 transitions each"
)
@click.option(
    "--only",
    type=click.Choice(list(PARTS)),
    multiple=True,
    help="parts; the others stay as they were",
)
@click.option("--kind", type=click.Choice(PEERS), multiple=True, default=PEERS)
def peers(rounds: int, jobs: int, only: tuple[str, ...], kind: tuple[str, ...]) -> None:
    """Everything, the other connectors too, and docs/benchmarks.md."""
    results = Results.load() if only and FILE.exists() else Results()
    with world(12_000) as made:
        measures = Measures(made, results)
        parts: dict[str, Callable[[], None]] = {
            "peers": lambda: measures.peers(rounds, jobs, kind),
            "own": lambda: own(measures, made, rounds),
            "latency": lambda: measures.latencies(RATES, rounds, kind),
            "profile": lambda: profile(made, results, made.backlog(40_000)),
            "growth": lambda: measures.growth(rounds, BACKLOGS),
        }
        for part, measure in parts.items():
            if not only or part in only:
                results.begin(part, PARTS[part])
                measure()
                results.save()
    write(results)


def own(measures: Measures, made: World, rounds: int) -> None:
    """What the bridge does in other circumstances, beside itself."""
    measures.start(rounds)
    measures.idle(rounds)
    backlog = made.backlog(20_000)
    measures.headers(rounds, backlog)
    measures.full(rounds, backlog)
    measures.readers(rounds, backlog)
    measures.sizes(rounds)


@main.command("modes")
@click.option("--rounds", default=ROUNDS, show_default=True)
def modes_(rounds: int) -> None:
    """Every delivery mode, and docs/delivery-modes.md."""
    results = Results()
    with world(4000) as made:
        modes(made, results, rounds)
        recovery(made, results, rounds)
        verification(made, results, rounds)
        for transitions in (100_000, 1_000_000):
            comparison(made, results, transitions)
    write_modes(results)


@main.command()
@click.argument("ref")
@click.option("--pairs", default=5, show_default=True)
def check(ref: str, pairs: int) -> None:
    """The working tree beside another commit, in alternating runs."""
    with world(4000) as made:
        compare(made, ref, pairs)


@main.command()
def report() -> None:
    """Make docs/benchmarks.md again of docs/benchmarks.json."""
    write(Results.load())


if __name__ == "__main__":
    main()
