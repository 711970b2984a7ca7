"""The CPU time per message of each part of the code, for both drivers."""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import click

from benchmarks.contenders import DRIVERS, bridge
from benchmarks.processes import cpu_in
from benchmarks.results import Results
from benchmarks.samples import counted, sampled
from benchmarks.world import Backlog, World
from bridge.demo.servers.process import poll

_COMMAND = (sys.executable, "-P", "-m", "benchmarks.samples", "run")
_ARRIVAL_SECONDS = 120.0
#: Parts below this many microseconds are omitted.
_MIN_MICROS = 0.005

#: Name and CPU seconds of each thread, by its id.
Threads = dict[int, tuple[str, float]]


def profile(world: World, results: Results, backlog: Backlog) -> None:
    """Store the microseconds per message of each part, without start-up, for each driver."""
    for driver in DRIVERS:
        output = world.folder / f"profile-{driver}.raw"
        spent, messages = _run(world, backlog, driver, output)
        if output.exists():
            results.profile[driver] = _by_part(spent, output, messages)
        else:
            click.echo(f"no profile: {output.with_suffix('.log').read_text().strip()}")


def _run(world: World, backlog: Backlog, driver: str, output: Path) -> tuple[Threads, int]:
    """CPU time of each thread from the first messages to the last, and their number."""
    topic, make = world.topic(), bridge(world, driver, command=_COMMAND)
    with make(backlog.database, topic, backlog.start) as contender:
        poll(lambda: world.count(topic) > 0, "the first message", _ARRIVAL_SECONDS)
        with sampled(contender.pid, output):
            published, before = world.count(topic), _threads(contender.pid)
            poll(
                lambda: world.count(topic) >= backlog.transitions,
                "the last message",
                _ARRIVAL_SECONDS,
            )
            after = _threads(contender.pid)
    spent = {
        thread: (name, cpu - before.get(thread, ("", 0.0))[1])
        for thread, (name, cpu) in after.items()
    }
    return spent, backlog.transitions - published


def _threads(pid: int) -> Threads:
    threads: Threads = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        stat = (task / "stat").read_text()
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        threads[int(task.name)] = (name, cpu_in(stat))
    return threads


def _by_part(spent: Threads, output: Path, messages: int) -> dict[str, float]:
    """Divide each thread's CPU time by its samples; a thread without Python is its own part."""
    samples, micros = counted(output), defaultdict[str, float](float)
    for thread, (name, cpu) in spent.items():
        native = "librdkafka's own threads" if name.startswith("rdk:") else "threads not sampled"
        counts = samples.get(thread) or Counter({native: 1})
        for part, count in counts.items():
            micros[part] += cpu / messages * 1e6 * count / counts.total()
    largest_first = sorted(micros.items(), key=lambda item: -item[1])
    return {part: round(cost, 2) for part, cost in largest_first if cost >= _MIN_MICROS}
