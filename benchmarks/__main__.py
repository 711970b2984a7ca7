"""``python -m benchmarks``: the commands that measure, compare and report."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from benchmarks import exactly_once, modes, report
from benchmarks.backlog_measures import SIZES, BacklogMeasures
from benchmarks.compare import compare
from benchmarks.contenders import DRIVERS, PEERS, bridge
from benchmarks.open_pages import OpenPages
from benchmarks.paced_measures import PacedMeasures
from benchmarks.profile import profile
from benchmarks.results import EXACTLY_ONCE_FILE, MODES_FILE, PEERS_FILE, Results
from benchmarks.world import World
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment

ROUNDS = 3
RATES = (10, 100, 1000, 5000)
BACKLOGS = (50_000, 200_000, 1_000_000)
COMPARED_TRANSITIONS = (100_000, 1_000_000)
#: The tables of each part of ``make bench-peers``.
PARTS = {
    "peers": ("throughput", "lookup"),
    "own": ("start", "idle", "headers", "full", "readers", "sizes"),
    "latency": ("latency",),
    "profile": (),
    "growth": ("growth", "jobs"),
}


@contextmanager
def _world(oplog_megabytes: int) -> Iterator[World]:
    """A MongoDB and a Kafka for all measurements."""
    with tempfile.TemporaryDirectory(prefix="job-bridge-bench-") as name:
        folder = Path(name)
        with (
            MongoDeployment(folder / "mongod", oplog_megabytes=oplog_megabytes) as mongod,
            Kafka(folder / "kafka") as kafka,
            closing(World(folder, mongod, kafka)) as world,
        ):
            yield world


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the bridge beside the raw change stream; six minutes."""
    if context.invoked_subcommand is None:
        with _world(4000) as world:
            _short(world, Results())


def _short(world: World, results: Results) -> None:
    """The measurements without other connectors."""
    backlogs, paced = BacklogMeasures(world, results), PacedMeasures(world, results)
    backlogs.start(ROUNDS)
    paced.idle(1)
    paced.latencies((), 1, ())
    backlog = world.backlog(20_000)
    backlogs.throughput(ROUNDS, backlog, {driver: bridge(world, driver) for driver in DRIVERS})
    backlogs.headers(1, backlog)
    exactly_once.measure(world, results, 1, jobs=20_000)
    # MongoDB needs over a minute to write the largest jobs.
    backlogs.sizes(1, [name for name in SIZES if name != "2 MB"])


@main.command()
@click.option("--rounds", default=ROUNDS, show_default=True)
@click.option(
    "--jobs",
    default=60_000,
    show_default=True,
    help="Jobs of the long backlog, 7 transitions each.",
)
@click.option(
    "--only",
    type=click.Choice(list(PARTS)),
    multiple=True,
    help="Measure these parts and keep the stored figures of the others.",
)
@click.option("--kind", type=click.Choice(PEERS), multiple=True, default=PEERS)
def peers(rounds: int, jobs: int, only: tuple[str, ...], kind: tuple[str, ...]) -> None:
    """Measure everything, the other connectors too, and write docs/benchmarks.md."""
    results = Results.load(PEERS_FILE) if only else Results()
    with _world(12_000) as world:
        backlogs, paced = BacklogMeasures(world, results), PacedMeasures(world, results)
        parts: dict[str, Callable[[], None]] = {
            "peers": lambda: backlogs.peers(rounds, jobs, kind),
            "own": lambda: _own(world, results, rounds),
            "latency": lambda: paced.latencies(RATES, rounds, kind),
            "profile": lambda: profile(world, results, world.backlog(40_000)),
            "growth": lambda: backlogs.growth(rounds, BACKLOGS),
        }
        for part, measure in parts.items():
            if not only or part in only:
                results.begin(part, PARTS[part])
                measure()
                results.save(PEERS_FILE)
    report.write(results)


def _own(world: World, results: Results, rounds: int) -> None:
    """The measurements that compare the bridge with itself."""
    backlogs = BacklogMeasures(world, results)
    backlogs.start(rounds)
    PacedMeasures(world, results).idle(rounds)
    backlog = world.backlog(20_000)
    backlogs.headers(rounds, backlog)
    backlogs.full(rounds, backlog)
    backlogs.readers(rounds, backlog)
    backlogs.sizes(rounds)


@main.command("modes")
@click.option("--rounds", default=ROUNDS, show_default=True)
def _modes(rounds: int) -> None:
    """Measure every delivery mode, and write docs/delivery-modes.md."""
    results = Results()
    with _world(4000) as world:
        modes.modes(world, results, rounds)
        modes.recovery(world, results, rounds)
        modes.verification(world, results, rounds)
        for transitions in COMPARED_TRANSITIONS:
            modes.comparison(world, results, transitions)
    results.save(MODES_FILE)
    modes.write(results, Results.load(EXACTLY_ONCE_FILE))


@main.command("exactly-once")
@click.option("--rounds", default=ROUNDS, show_default=True)
def _exactly_once(rounds: int) -> None:
    """Measure exactly-once beside at-least-once, and write docs/delivery-modes.md."""
    results = Results()
    with _world(4000) as world:
        exactly_once.measure(world, results, rounds)
    results.save(EXACTLY_ONCE_FILE)
    modes.write(Results.load(MODES_FILE), results)
    for name, measured, goal, reached in exactly_once.goal_rows(results):
        click.echo(f"{name:64} {measured:24} {goal:14} {reached}")


@main.command()
@click.argument("ref")
@click.option("--pairs", default=5, show_default=True, help="Pairs of runs for each driver.")
@click.option(
    "--jobs", default=20_000, show_default=True, help="Jobs of the backlog, 7 transitions each."
)
@click.option("--driver", type=click.Choice(DRIVERS), multiple=True, default=DRIVERS)
def check(ref: str, pairs: int, jobs: int, driver: tuple[str, ...]) -> None:
    """Compare the working tree with the commit REF, in alternating runs."""
    with _world(4000) as world:
        compare(world, ref, pairs, jobs, driver)


@main.command("pages")
@click.option("--rounds", default=ROUNDS, show_default=True)
def _pages(rounds: int) -> None:
    """Measure the latency with ten open status pages beside that without; a minute."""
    with _world(1000) as world:
        for row in OpenPages(world).rows(rounds):
            click.echo("  ".join(f"{cell:12}" for cell in row))


@main.command("report")
def _report() -> None:
    """Write docs/benchmarks.md and docs/delivery-modes.md from the stored figures."""
    report.write(Results.load(PEERS_FILE))
    modes.write(Results.load(MODES_FILE), Results.load(EXACTLY_ONCE_FILE))


if __name__ == "__main__":
    main()
